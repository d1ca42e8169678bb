//! Objects that a server would store.

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use std::sync::Arc;
use vgi_rpc_protocol::content_coding::{Codecs, Coding};
use vgi_rpc_protocol::external::{Cycle, Externalisation, Store};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::memory::Budget;

/// Returns a batch with this many rows.
pub fn batch(rows: i64) -> RecordBatch {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
    RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from_iter_values(0..rows))]).unwrap()
}

/// Returns the effect that stores it.
pub fn store(rows: i64, coding: Option<Coding>) -> Store {
    let (batch, metadata) = (batch(rows), Metadata::new());
    let cycle = Cycle { logs_before: &[], batch: &batch, metadata: &metadata, logs_after: &[] };
    let externalisation = Externalisation { coding, ..Externalisation::default() };
    let schema = EncodedSchema::new(batch.schema()).unwrap();
    let account = Budget::new(1 << 30).account();
    externalisation.externalise(cycle, &schema, 0, &Arc::new(Codecs::default()), &account).unwrap()
}

/// Returns the stored bytes.
pub fn bytes(store: &Store) -> Vec<u8> {
    store.object().segments.concat()
}
