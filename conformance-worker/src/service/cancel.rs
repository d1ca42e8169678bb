//! Streams that clients cancel, and the counts of their calls.

use super::exchanges::Value;
use super::producers::Numbered;
use crate::cancel_probe::{self, Counts};
use serde::{Deserialize, Serialize};
use vgi_rpc_protocol::prelude::*;
use vgi_rpc_protocol::service::MethodSpec;

/// The methods of this theme.
#[service(name = "ConformanceService")]
pub trait Cancellations {
    #[method(producer, output = Numbered)]
    fn cancellable_producer(&self) -> Stream<CancellableProducer> {
        CancellableProducer { current: 0 }.into()
    }

    #[method(exchange, input = Value, output = Value)]
    fn cancellable_exchange(&self) -> Stream<CancellableExchange> {
        CancellableExchange.into()
    }

    fn cancel_probe_counters(&self) -> Result<Vec<i64>, RpcError> {
        let Counts { produce_calls, exchange_calls, on_cancel_calls } = cancel_probe::read()?;
        Ok(vec![produce_calls, exchange_calls, on_cancel_calls])
    }

    fn reset_cancel_probe(&self) -> Result<(), RpcError> {
        cancel_probe::change(|counts| *counts = Counts::default())
    }
}

struct Worker;

impl Cancellations for Worker {}

/// The methods of this theme.
pub fn methods() -> Vec<MethodSpec> {
    CancellationsProtocol::methods(Worker)
}

fn count_cancellation() {
    // A failure cannot be reported here; the test notices the missing count.
    let _ = cancel_probe::change(|counts| counts.on_cancel_calls += 1);
}

/// Never finishes.
#[derive(Serialize, Deserialize)]
pub struct CancellableProducer {
    current: i64,
}

impl Producer for CancellableProducer {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        cancel_probe::change(|counts| counts.produce_calls += 1)?;
        turn.emit_rows(&[Numbered::new(self.current)])?;
        self.current += 1;
        Ok(())
    }

    fn on_cancel(&mut self, _: &mut CallContext) {
        count_cancellation();
    }
}

/// Returns its input.
#[derive(Serialize, Deserialize)]
pub struct CancellableExchange;

impl Exchange for CancellableExchange {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        cancel_probe::change(|counts| counts.exchange_calls += 1)?;
        turn.emit(input.clone())
    }

    fn on_cancel(&mut self, _: &mut CallContext) {
        count_cancellation();
    }
}
