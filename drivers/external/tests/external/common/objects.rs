//! Objects, and resolutions that expect them.

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use bytes::{Buf, Bytes};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::sync::Arc;
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::external::{Digest, Location, ObjectLimits, Pointer, Resolution};
use vgi_rpc_protocol::ipc::{BatchEncoder, EncodedSchema, Metadata, Outbox};
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_protocol::wire::log::LogMessage;

pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]))
}

/// A batch that does not compress well.
pub fn batch(rows: usize) -> RecordBatch {
    let mixed = |n: usize| (n as i64).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64);
    let column = Int64Array::from_iter_values((0..rows).map(mixed));
    RecordBatch::try_new(schema(), vec![Arc::new(column)]).unwrap()
}

/// Returns the object of this batch, preceded by a log.
pub fn object_of(batch: &RecordBatch) -> Bytes {
    let (mut encoder, mut outbox) = (BatchEncoder::default(), Outbox::default());
    encoder.open(&EncodedSchema::new(schema()).unwrap(), &mut outbox);
    encoder.write_empty(&LogMessage::info("a log").to_metadata("server", None), &mut outbox).unwrap();
    encoder.write(batch, &Metadata::new(), &mut outbox).unwrap();
    encoder.close(&mut outbox);
    outbox.copy_to_bytes(outbox.remaining())
}

pub fn object(rows: usize) -> Bytes {
    object_of(&batch(rows))
}

pub fn zstd(bytes: &[u8]) -> Bytes {
    zstd::bulk::compress(bytes, 1).unwrap().into()
}

pub fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().into()
}

pub fn resolution(url: &str) -> Resolution {
    resolution_with(url, None, ObjectLimits::default())
}

pub fn resolution_with(url: &str, sha256: Option<Digest>, object_limits: ObjectLimits) -> Resolution {
    let pointer = Pointer { location: Location::parse(url).unwrap(), sha256 };
    Resolution::new(pointer, schema(), &Limits::default(), &Budget::new(1 << 30).account(), object_limits)
}
