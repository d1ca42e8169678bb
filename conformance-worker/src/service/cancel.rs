//! Streams that clients cancel, and what they observed of it.

use super::exchanges::values_to_values;
use super::producers::{numbered, numbered_rows};
use super::types::{Int64, list};
use crate::cancel_probe::{self, Counts};
use arrow_array::RecordBatch;
use serde::{Deserialize, Serialize};
use vgi_rpc_protocol::service::{Args, CallContext, Exchange, Method, MethodSpec, Producer, Stream, Turn};
use vgi_rpc_protocol::wire::error::RpcError;

/// The methods of this theme.
pub fn methods() -> Vec<MethodSpec> {
    vec![
        Method::new("cancellable_producer")
            .output(numbered())
            .producer(|_, _| Ok(Stream::new(CancellableProducer { current: 0 }))),
        values_to_values("cancellable_exchange").exchange(|_, _| Ok(Stream::new(CancellableExchange))),
        Method::new("cancel_probe_counters").returns(list(Int64)).unary(counters),
        Method::new("reset_cancel_probe")
            .unary(|_, _| cancel_probe::change(|counts| *counts = Counts::default())),
    ]
}

fn counters(_: &Args, _: &mut CallContext) -> Result<Vec<i64>, RpcError> {
    let Counts { produce_calls, exchange_calls, on_cancel_calls } = cancel_probe::read()?;
    Ok(vec![produce_calls, exchange_calls, on_cancel_calls])
}

fn count_cancellation() {
    // Nobody is left to tell of a failure; the count that is missing tells the test.
    let _ = cancel_probe::change(|counts| counts.on_cancel_calls += 1);
}

/// Never finishes.
#[derive(Serialize, Deserialize)]
struct CancellableProducer {
    current: i64,
}

impl Producer for CancellableProducer {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        cancel_probe::change(|counts| counts.produce_calls += 1)?;
        turn.emit_columns(numbered_rows(self.current..self.current + 1))?;
        self.current += 1;
        Ok(())
    }

    fn on_cancel(&mut self, _: &mut CallContext) {
        count_cancellation();
    }
}

/// Answers with what it is sent.
#[derive(Serialize, Deserialize)]
struct CancellableExchange;

impl Exchange for CancellableExchange {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        cancel_probe::change(|counts| counts.exchange_calls += 1)?;
        turn.emit(input.clone())
    }

    fn on_cancel(&mut self, _: &mut CallContext) {
        count_cancellation();
    }
}
