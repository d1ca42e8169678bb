//! Calls whose work is on a thread. When the server ends it leaves them there, and they have a line in the access log all the same.

use super::clock::Clock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use vgi_rpc_access_log::AccessLog;
use vgi_rpc_protocol::http::RequestWork;
use vgi_rpc_protocol::service::CallRecord;

/// What the threads of a server are at.
#[derive(Clone, Debug)]
pub(crate) struct UnfinishedCalls {
    log: AccessLog,
    clock: Clock,
    records: Arc<Mutex<Records>>,
}

#[derive(Debug, Default)]
struct Records {
    next: u64,
    /// As they were when the work began.
    begun: HashMap<u64, CallRecord>,
}

impl UnfinishedCalls {
    pub(super) fn new(log: AccessLog, clock: Clock) -> Self {
        Self { log, clock, records: Arc::default() }
    }

    /// Notes that a call is at work. The number is for [`finish`](Self::finish).
    pub(super) fn begin(&self, record: &CallRecord) -> u64 {
        let mut records = self.records();
        records.next += 1;
        let number = records.next;
        records.begun.insert(number, record.clone());
        number
    }

    /// The work of a call has ended. False if the server has ended before, and the call has its line.
    pub(super) fn finish(&self, number: u64) -> bool {
        self.records().begun.remove(&number).is_some()
    }

    /// The server has ended: writes the lines of all calls that are at work.
    pub(super) fn write(&self) {
        let begun = std::mem::take(&mut self.records().begun);
        for record in begun.into_values() {
            self.log.write(&RequestWork::record_of_cut_off(record, self.clock.now()));
        }
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        // What is guarded is changed in one step.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
