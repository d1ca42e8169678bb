//! Exchange streams without a header.

use super::producers::{numbered, numbered_rows};
use super::types::{Float64, Int64, Utf8, optional, schema};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use vgi_rpc_protocol::service::{Exchange, Method, MethodBuilder, MethodSpec, Stream, Turn};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::log::LogMessage;

/// The methods of this theme.
pub fn methods() -> Vec<MethodSpec> {
    let nothing = Arc::new(Schema::empty());
    vec![
        values_to_values("exchange_scale")
            .param("factor", Float64)
            .exchange(|args, _| Ok(Stream::new(Scale { factor: args.get("factor")? }))),
        values_to_values("exchange_cast_compatible").exchange(|_, _| Ok(Stream::new(Scale { factor: 1.0 }))),
        values_to_values("exchange_with_logs").exchange(|_, _| Ok(Stream::new(Logging))),
        values_to_values("exchange_error_on_nth").param("fail_on", Int64).exchange(|args, _| {
            Ok(Stream::new(FailOnNth { fail_on: args.get("fail_on")?, exchange_count: 0 }))
        }),
        values_to_values("exchange_error_on_init")
            .exchange::<Scale>(|_, _| Err(RpcError::runtime_error("intentional exchange init error"))),
        Method::new("exchange_accumulate")
            .input(values())
            .output(schema(vec![optional("running_sum", Float64), optional("exchange_count", Int64)]))
            .exchange(|_, _| Ok(Stream::new(Accumulating { running_sum: 0.0, exchange_count: 0 }))),
        Method::new("exchange_input_metadata")
            .input(values())
            .output(schema(vec![optional("seen", Utf8), optional("keys", Utf8)]))
            .exchange(|_, _| Ok(Stream::new(InputMetadata))),
        Method::new("exchange_oversized")
            .param("rows_per_batch", Int64)
            .input(values())
            .output(numbered())
            .exchange(|args, _| Ok(Stream::new(Oversized { rows_per_batch: args.get("rows_per_batch")? }))),
        Method::new("exchange_zero_columns")
            .input(nothing.clone())
            .output(nothing)
            .exchange(|_, _| Ok(Stream::new(ZeroColumns))),
    ]
}

/// One column of floats, named `value`.
fn values() -> SchemaRef {
    schema(vec![optional("value", Float64)])
}

/// Begins an exchange that has such a column as input and as output.
pub fn values_to_values(method: &str) -> MethodBuilder {
    Method::new(method).input(values()).output(values())
}

/// Multiplies each value.
#[derive(Serialize, Deserialize)]
pub struct Scale {
    /// By this.
    pub factor: f64,
}

impl Exchange for Scale {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        let scaled: Float64Array =
            input.column(0).as_primitive::<Float64Type>().unary(|value| value * self.factor);
        turn.emit_columns(vec![Arc::new(scaled)])
    }
}

/// Sums up all values so far.
#[derive(Serialize, Deserialize)]
struct Accumulating {
    running_sum: f64,
    exchange_count: i64,
}

impl Exchange for Accumulating {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        self.running_sum += input.column(0).as_primitive::<Float64Type>().iter().flatten().sum::<f64>();
        self.exchange_count += 1;
        turn.emit_columns(vec![
            Arc::new(Float64Array::from(vec![self.running_sum])),
            Arc::new(Int64Array::from(vec![self.exchange_count])),
        ])
    }
}

/// Logs twice before each answer.
#[derive(Serialize, Deserialize)]
struct Logging;

impl Exchange for Logging {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        turn.log(LogMessage::info("exchange processing"));
        turn.log(LogMessage::debug("exchange debug"));
        turn.emit(input.clone())
    }
}

/// Answers with what it is sent, but fails from the nth time on.
#[derive(Serialize, Deserialize)]
struct FailOnNth {
    fail_on: i64,
    exchange_count: i64,
}

impl Exchange for FailOnNth {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        self.exchange_count += 1;
        if self.exchange_count >= self.fail_on {
            let count = self.exchange_count;
            return Err(RpcError::runtime_error(format!("intentional error on exchange {count}")));
        }
        turn.emit(input.clone())
    }
}

/// Reports one value of each input's metadata, and all keys.
#[derive(Serialize, Deserialize)]
struct InputMetadata;

impl Exchange for InputMetadata {
    fn exchange(&mut self, _: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        let metadata = turn.input_metadata();
        let seen = metadata.get("vgi.conformance.input").unwrap_or_default();
        let seen = StringArray::from_iter_values([String::from_utf8_lossy(seen)]);
        let mut keys: Vec<_> = metadata.iter().map(|(key, _)| String::from_utf8_lossy(key)).collect();
        keys.sort_unstable();
        let keys = StringArray::from_iter_values([keys.join(",")]);
        turn.emit_columns(vec![Arc::new(seen), Arc::new(keys)])
    }
}

/// Answers every input with so many rows.
#[derive(Serialize, Deserialize)]
struct Oversized {
    rows_per_batch: i64,
}

impl Exchange for Oversized {
    fn exchange(&mut self, _: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        turn.emit_columns(numbered_rows(0..self.rows_per_batch))
    }
}

/// Answers a batch without columns with another.
#[derive(Serialize, Deserialize)]
struct ZeroColumns;

impl Exchange for ZeroColumns {
    fn exchange(&mut self, _: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        turn.emit(RecordBatch::new_empty(turn.output_schema().clone()))
    }
}
