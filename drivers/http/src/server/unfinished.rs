//! Calls that are running on a thread. They end for the access log and for hooks even if the server ends first.

use super::clock::Clock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use vgi_rpc_access_log::AccessLog;
use vgi_rpc_protocol::http::RunningCall;

/// The calls that run on a server's threads.
#[derive(Clone, Debug)]
pub(crate) struct UnfinishedCalls {
    log: Option<AccessLog>,
    clock: Clock,
    running: Arc<Mutex<Running>>,
}

#[derive(Debug, Default)]
struct Running {
    next: u64,
    calls: HashMap<u64, RunningCall>,
    server_has_ended: bool,
}

impl UnfinishedCalls {
    pub(super) fn new(log: Option<AccessLog>, clock: Clock) -> Self {
        Self { log, clock, running: Arc::default() }
    }

    /// Records that a call is running, and returns its number for [`finish`](Self::finish). If the server has already ended, the
    /// call is cut off.
    pub(super) fn begin(&self, call: RunningCall) -> u64 {
        let mut running = self.running();
        running.next += 1;
        let number = running.next;
        if running.server_has_ended {
            drop(running);
            self.cut_off(call);
        } else {
            running.calls.insert(number, call);
        }
        number
    }

    /// Removes a call that has ended. Returns false if the server ended first and cut the call off.
    pub(super) fn finish(&self, number: u64) -> bool {
        self.running().calls.remove(&number).is_some()
    }

    /// Cuts off all running calls because the server has ended.
    pub(super) fn cut_off_all(&self) {
        let calls = {
            let mut running = self.running();
            running.server_has_ended = true;
            std::mem::take(&mut running.calls)
        };
        calls.into_values().for_each(|call| self.cut_off(call));
    }

    fn cut_off(&self, call: RunningCall) {
        let record = call.cut_off(self.clock.now());
        if let Some(log) = &self.log {
            log.write(&record);
        }
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        // Each change to the guarded value is a single step.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
