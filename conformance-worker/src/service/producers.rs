//! Producer streams without a header.

use super::types::{Int64, Utf8, optional, schema};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::SchemaRef;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::service::{Method, MethodSpec, Producer, Stream, Turn};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::log::LogMessage;

/// Not ASCII, so that metadata read as anything but UTF-8 shows.
const LABEL: &str = "ünïcode-λ";
/// Rows between the first values of two annotated batches.
const ANNOTATED_STRIDE: i64 = 1_000_000;

/// The methods of this theme.
pub fn methods() -> Vec<MethodSpec> {
    vec![
        Method::new("produce_n")
            .param("count", Int64)
            .output(numbered())
            .producer(|args, _| Ok(Stream::new(Counter::new(args.get("count")?, 1)))),
        Method::new("produce_empty").output(numbered()).producer(|_, _| Ok(Stream::new(Counter::new(0, 1)))),
        Method::new("produce_single").output(numbered()).producer(|_, _| Ok(Stream::new(Counter::new(1, 1)))),
        Method::new("produce_large_batches")
            .param("rows_per_batch", Int64)
            .param("batch_count", Int64)
            .output(numbered())
            .producer(|args, _| {
                Ok(Stream::new(Counter::new(args.get("batch_count")?, args.get("rows_per_batch")?)))
            }),
        Method::new("produce_oversized_batch")
            .param("rows_per_batch", Int64)
            .output(numbered())
            .producer(|args, _| Ok(Stream::new(Counter::new(1, args.get("rows_per_batch")?)))),
        Method::new("produce_annotated_batches")
            .param("count", Int64)
            .param("rows_per_batch", Int64)
            .output(schema(vec![optional("value", Int64)]))
            .producer(|args, _| {
                let (count, rows_per_batch) = (args.get("count")?, args.get("rows_per_batch")?);
                Ok(Stream::new(Annotated { count, rows_per_batch, current: 0 }))
            }),
        Method::new("produce_tick_metadata")
            .param("count", Int64)
            .output(schema(vec![optional("index", Int64), optional("seen", Utf8)]))
            .producer(|args, _| Ok(Stream::new(TickMetadata { count: args.get("count")?, current: 0 }))),
        Method::new("produce_with_logs")
            .param("count", Int64)
            .output(numbered())
            .producer(|args, _| Ok(Stream::new(Logging(Counter::new(args.get("count")?, 1))))),
        Method::new("produce_error_mid_stream")
            .param("emit_before_error", Int64)
            .output(numbered())
            .producer(|args, _| Ok(Stream::new(Failing(Counter::new(args.get("emit_before_error")?, 1))))),
        Method::new("produce_error_on_init")
            .output(numbered())
            .producer::<Counter>(|_, _| Err(RpcError::runtime_error("intentional init error"))),
    ]
}

/// Rows that are numbered: `index`, and ten times that as `value`.
pub fn numbered() -> SchemaRef {
    schema(vec![optional("index", Int64), optional("value", Int64)])
}

/// The rows of these numbers.
pub fn numbered_rows(indices: Range<i64>) -> Vec<ArrayRef> {
    let values = Int64Array::from_iter_values(indices.clone().map(|index| index.wrapping_mul(10)));
    vec![Arc::new(Int64Array::from_iter_values(indices)), Arc::new(values)]
}

/// Batches of rows numbered from zero, so many of so many rows.
#[derive(Serialize, Deserialize)]
pub struct Counter {
    count: i64,
    rows_per_batch: i64,
    current: i64,
}

impl Counter {
    /// Before the first batch.
    pub fn new(count: i64, rows_per_batch: i64) -> Self {
        Self { count, rows_per_batch, current: 0 }
    }

    fn is_done(&self) -> bool {
        self.current >= self.count
    }
}

impl Producer for Counter {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.is_done() {
            return turn.finish();
        }
        let first = self.current.wrapping_mul(self.rows_per_batch);
        turn.emit_columns(numbered_rows(first..first.wrapping_add(self.rows_per_batch)))?;
        self.current += 1;
        Ok(())
    }
}

/// Logs each batch before it.
#[derive(Serialize, Deserialize)]
struct Logging(Counter);

impl Producer for Logging {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if !self.0.is_done() {
            turn.log(LogMessage::info(format!("producing batch {}", self.0.current)));
        }
        self.0.produce(turn)
    }
}

/// Fails where it would finish.
#[derive(Serialize, Deserialize)]
struct Failing(Counter);

impl Producer for Failing {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.0.is_done() {
            let count = self.0.count;
            return Err(RpcError::runtime_error(format!("intentional error after {count} batches")));
        }
        self.0.produce(turn)
    }
}

/// Batches that carry metadata of their own.
#[derive(Serialize, Deserialize)]
struct Annotated {
    count: i64,
    rows_per_batch: i64,
    current: i64,
}

impl Producer for Annotated {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.current >= self.count {
            return turn.finish();
        }
        let first = self.current.wrapping_mul(ANNOTATED_STRIDE);
        let values = Int64Array::from_iter_values(first..first.wrapping_add(self.rows_per_batch));
        let mut metadata = Metadata::new();
        metadata.push("conformance.batch_index", self.current.to_string());
        metadata.push("conformance.batch_total", self.count.to_string());
        metadata.push("conformance.emit_label", LABEL);
        turn.emit_with(
            RecordBatch::try_new(turn.output_schema().clone(), vec![Arc::new(values)])?,
            metadata,
        )?;
        self.current += 1;
        Ok(())
    }
}

/// Reports the metadata of each tick. The last batch and the end of the stream answer the same tick.
#[derive(Serialize, Deserialize)]
struct TickMetadata {
    count: i64,
    current: i64,
}

impl Producer for TickMetadata {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        let seen = turn.input_metadata().get("vgi.conformance.tick").unwrap_or_default();
        let seen = StringArray::from_iter_values([String::from_utf8_lossy(seen)]);
        turn.emit_columns(vec![Arc::new(Int64Array::from(vec![self.current])), Arc::new(seen)])?;
        self.current += 1;
        if self.current >= self.count { turn.finish() } else { Ok(()) }
    }
}
