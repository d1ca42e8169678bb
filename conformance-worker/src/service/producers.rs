//! Producer streams without a header.

use arrow_array::Int64Array;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::prelude::*;
use vgi_rpc_protocol::service::MethodSpec;

/// Not ASCII, so that metadata decoded as anything but UTF-8 is noticed.
const LABEL: &str = "ünïcode-λ";
/// Rows between the first values of two annotated batches.
const ANNOTATED_STRIDE: i64 = 1_000_000;

/// A numbered row, with ten times its number.
#[derive(Record)]
pub struct Numbered {
    index: Option<i64>,
    value: Option<i64>,
}

impl Numbered {
    /// The row of this number.
    pub fn new(index: i64) -> Self {
        Self { index: Some(index), value: Some(index.wrapping_mul(10)) }
    }
}

/// Batches of rows numbered from zero: this many, with this many rows each.
#[derive(Serialize, Deserialize)]
pub struct Counter {
    count: i64,
    rows_per_batch: i64,
    current: i64,
}

impl Counter {
    /// Returns the state before the first batch.
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
        let numbers = first..first.wrapping_add(self.rows_per_batch);
        self.current += 1;
        // As whole columns, since the batches are large.
        let tens = numbers.clone().map(|number| number.wrapping_mul(10));
        turn.emit_columns(vec![
            Arc::new(Int64Array::from_iter_values(numbers)),
            Arc::new(Int64Array::from_iter_values(tens)),
        ])
    }
}

#[derive(Record)]
pub struct Value {
    value: Option<i64>,
}

/// The metadata of a tick.
#[derive(Record)]
pub struct Tick {
    index: Option<i64>,
    seen: Option<String>,
}

/// The methods of this theme.
#[service(name = "ConformanceService")]
pub trait Producers {
    #[method(producer, output = Numbered)]
    fn produce_n(&self, count: i64) -> Stream<Counter> {
        Counter::new(count, 1).into()
    }

    #[method(producer, output = Numbered)]
    fn produce_empty(&self) -> Stream<Counter> {
        Counter::new(0, 1).into()
    }

    #[method(producer, output = Numbered)]
    fn produce_single(&self) -> Stream<Counter> {
        Counter::new(1, 1).into()
    }

    #[method(producer, output = Numbered)]
    fn produce_large_batches(&self, rows_per_batch: i64, batch_count: i64) -> Stream<Counter> {
        Counter::new(batch_count, rows_per_batch).into()
    }

    #[method(producer, output = Numbered)]
    fn produce_oversized_batch(&self, rows_per_batch: i64) -> Stream<Counter> {
        Counter::new(1, rows_per_batch).into()
    }

    #[method(producer, output = Numbered)]
    fn produce_error_on_init(&self) -> Result<Stream<Counter>, RpcError> {
        Err(RpcError::runtime_error("intentional init error"))
    }

    /// Batches with their own metadata.
    #[method(producer, output = Value, turn = annotate)]
    fn produce_annotated_batches(&self, count: i64, rows_per_batch: i64) -> Counter {
        Counter::new(count, rows_per_batch)
    }

    fn annotate(&self, counter: &mut Counter, turn: &mut Turn) -> Result<(), RpcError> {
        if counter.is_done() {
            return turn.finish();
        }
        let first = counter.current.wrapping_mul(ANNOTATED_STRIDE);
        let values = first..first.wrapping_add(counter.rows_per_batch);
        let rows: Vec<_> = values.map(|value| Value { value: Some(value) }).collect();
        let mut metadata = Metadata::new();
        metadata.push("conformance.batch_index", counter.current.to_string());
        metadata.push("conformance.batch_total", counter.count.to_string());
        metadata.push("conformance.emit_label", LABEL);
        turn.emit_with(Value::rows_to_batch(&rows)?, metadata)?;
        counter.current += 1;
        Ok(())
    }

    /// Reports the metadata of each tick. The last batch and the end of the stream answer the same tick.
    #[method(producer, output = Tick, turn = report_tick)]
    fn produce_tick_metadata(&self, count: i64) -> Counter {
        Counter::new(count, 1)
    }

    fn report_tick(&self, counter: &mut Counter, turn: &mut Turn) -> Result<(), RpcError> {
        let seen = turn.input_metadata().get("vgi.conformance.tick").unwrap_or_default();
        let seen = Some(String::from_utf8_lossy(seen).into());
        turn.emit_rows(&[Tick { index: Some(counter.current), seen }])?;
        counter.current += 1;
        if counter.is_done() { turn.finish() } else { Ok(()) }
    }

    /// Logs each batch before it.
    #[method(producer, output = Numbered, turn = log_and_count)]
    fn produce_with_logs(&self, count: i64) -> Counter {
        Counter::new(count, 1)
    }

    fn log_and_count(&self, counter: &mut Counter, turn: &mut Turn) -> Result<(), RpcError> {
        if !counter.is_done() {
            turn.log(LogMessage::info(format!("producing batch {}", counter.current)));
        }
        counter.produce(turn)
    }

    /// Fails at the point where it would finish.
    #[method(producer, output = Numbered, turn = count_and_fail)]
    fn produce_error_mid_stream(&self, emit_before_error: i64) -> Counter {
        Counter::new(emit_before_error, 1)
    }

    fn count_and_fail(&self, counter: &mut Counter, turn: &mut Turn) -> Result<(), RpcError> {
        if counter.is_done() {
            let count = counter.count;
            return Err(RpcError::runtime_error(format!("intentional error after {count} batches")));
        }
        counter.produce(turn)
    }
}

struct Worker;

impl Producers for Worker {}

/// The methods of this theme.
pub fn methods() -> Vec<MethodSpec> {
    ProducersProtocol::methods(Worker)
}
