//! Work that runs on threads rather than in the event loop: start-up work, decoding, handlers.

use super::clock::Clock;
use super::unfinished::UnfinishedCalls;
use vgi_rpc_access_log::AccessLog;
use vgi_rpc_protocol::{http, panics};

/// One step of a request.
#[derive(Debug)]
pub(crate) struct TransactionJob {
    pub(super) work: http::RequestWork,
    pub(super) access_log: Option<AccessLog>,
    pub(super) clock: Clock,
    /// Where running calls are recorded.
    pub(super) unfinished: UnfinishedCalls,
}

/// The result of a step; empty if something panicked that should not.
#[derive(Debug)]
pub(crate) struct FinishedTransactionJob {
    done: Option<http::RequestWorkResult>,
    access_log: Option<AccessLog>,
    clock: Clock,
}

impl vgi_rpc_reactor::Job for TransactionJob {
    type Finished = FinishedTransactionJob;

    /// An error or panic of a handler is an error of its call. Any other panic fails only its own request.
    fn run(self) -> FinishedTransactionJob {
        let Self { work, access_log, clock, unfinished } = self;
        // Set once there is a call to record.
        let mut noted = None;
        let mut on_call = |call: http::RunningCall| noted = Some(unfinished.begin(call));
        let done = panics::catch(|| work.run_noting(&|| clock.now(), &mut on_call));
        let is_cut_off = noted.is_some_and(|number| !unfinished.finish(number));
        FinishedTransactionJob { done, access_log: access_log.filter(|_| !is_cut_off), clock }
    }
}

impl FinishedTransactionJob {
    /// Takes the result of the step.
    pub(super) fn take(mut self) -> Option<http::RequestWorkResult> {
        self.done.take()
    }
}

impl Drop for FinishedTransactionJob {
    /// Logs the call even if the client has gone.
    fn drop(&mut self) {
        let record = self.done.as_mut().and_then(|done| done.take_record(self.clock.now()));
        if let (Some(log), Some(record)) = (&self.access_log, record) {
            log.write(&record);
        }
    }
}
