//! Exchange streams without a header.

use super::producers::Numbered;
use arrow_array::RecordBatch;
use vgi_rpc_protocol::prelude::*;
use vgi_rpc_protocol::service::MethodSpec;

/// The input and output of most exchanges.
#[derive(Record)]
pub struct Value {
    value: Option<f64>,
}

/// Multiplies each value.
pub fn scale(factor: f64, values: Vec<Value>) -> Vec<Value> {
    values.into_iter().map(|Value { value }| Value { value: value.map(|value| value * factor) }).collect()
}

/// The sum of all values so far.
#[derive(Record)]
pub struct Sum {
    running_sum: Option<f64>,
    exchange_count: Option<i64>,
}

/// One value of an input's metadata, and all keys.
#[derive(Record)]
pub struct Seen {
    seen: Option<String>,
    keys: Option<String>,
}

/// A batch without columns.
#[derive(Record)]
pub struct Nothing {}

/// The methods of this theme.
#[service(name = "ConformanceService")]
pub trait Exchanges {
    #[method(exchange, turn = scale)]
    fn exchange_scale(&self, factor: f64) -> f64 {
        factor
    }

    #[method(exchange, turn = scale)]
    fn exchange_cast_compatible(&self) -> f64 {
        1.0
    }

    #[method(exchange, turn = scale)]
    fn exchange_error_on_init(&self) -> Result<f64, RpcError> {
        Err(RpcError::runtime_error("intentional exchange init error"))
    }

    fn scale(&self, factor: &mut f64, values: Vec<Value>) -> Vec<Value> {
        scale(*factor, values)
    }

    #[method(exchange, turn = log_twice)]
    fn exchange_with_logs(&self) {}

    fn log_twice(&self, _: &mut (), values: Vec<Value>, turn: &mut Turn) -> Vec<Value> {
        turn.log(LogMessage::info("exchange processing"));
        turn.log(LogMessage::debug("exchange debug"));
        values
    }

    /// Returns its input, but fails from the nth time on.
    #[method(exchange, turn = fail_on_nth)]
    fn exchange_error_on_nth(&self, fail_on: i64) -> (i64, i64) {
        (fail_on, 0)
    }

    fn fail_on_nth(
        &self,
        (fail_on, count): &mut (i64, i64),
        values: Vec<Value>,
    ) -> Result<Vec<Value>, RpcError> {
        *count += 1;
        if *count >= *fail_on {
            return Err(RpcError::runtime_error(format!("intentional error on exchange {count}")));
        }
        Ok(values)
    }

    #[method(exchange, turn = accumulate)]
    fn exchange_accumulate(&self) -> (f64, i64) {
        (0.0, 0)
    }

    fn accumulate(&self, (sum, count): &mut (f64, i64), values: Vec<Value>) -> Vec<Sum> {
        *sum += values.iter().filter_map(|row| row.value).sum::<f64>();
        *count += 1;
        vec![Sum { running_sum: Some(*sum), exchange_count: Some(*count) }]
    }

    #[method(exchange, turn = report_metadata)]
    fn exchange_input_metadata(&self) {}

    fn report_metadata(&self, _: &mut (), _: Vec<Value>, turn: &mut Turn) -> Vec<Seen> {
        let metadata = turn.input_metadata();
        let seen = metadata.get("vgi.conformance.input").unwrap_or_default();
        let mut keys: Vec<_> = metadata.iter().map(|(key, _)| String::from_utf8_lossy(key)).collect();
        keys.sort_unstable();
        vec![Seen { seen: Some(String::from_utf8_lossy(seen).into()), keys: Some(keys.join(",")) }]
    }

    /// Responds to every input with this many rows.
    #[method(exchange, turn = answer_with_many)]
    fn exchange_oversized(&self, rows_per_batch: i64) -> i64 {
        rows_per_batch
    }

    fn answer_with_many(&self, rows: &mut i64, _: Vec<Value>) -> Vec<Numbered> {
        (0..*rows).map(Numbered::new).collect()
    }

    /// Responds to a batch without columns with another.
    #[method(exchange, input = Nothing, output = Nothing, turn = answer_with_nothing)]
    fn exchange_zero_columns(&self) {}

    fn answer_with_nothing(&self, _: &mut (), _: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        turn.emit(RecordBatch::new_empty(turn.output_schema().clone()))
    }
}

struct Worker;

impl Exchanges for Worker {}

/// The methods of this theme.
pub fn methods() -> Vec<MethodSpec> {
    ExchangesProtocol::methods(Worker)
}
