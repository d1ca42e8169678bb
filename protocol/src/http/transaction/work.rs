//! The parts of a request that run on a worker thread.

use super::call::{Calling, Clock};
use super::running_call::{CLIENT_GONE, RunningCall};
use crate::service::call::given_up;
use crate::service::{CallRecord, Service, TransportKind};
use crate::wire::error::RpcError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A step of a request: decoding its body, its handler, encoding the response. Run it, then pass the result to
/// [`Transaction::complete`](super::Transaction::complete).
pub struct RequestWork(Step);

enum Step {
    Start(Arc<Service>),
    Call(Box<Calling>),
}

/// The result of a [`RequestWork`], for the transaction that created the work.
pub struct RequestWorkResult(pub(super) Outcome);

pub(super) enum Outcome {
    Started(Result<(), RpcError>),
    Called(Box<Calling>),
}

impl RequestWork {
    /// Creates the service's start-up work.
    pub(super) fn start(service: Arc<Service>) -> Self {
        Self(Step::Start(service))
    }

    /// Creates the next step of a call.
    pub(super) fn call(calling: Box<Calling>) -> Self {
        Self(Step::Call(calling))
    }

    /// Runs the work, which takes as long as its handler. A panic in a handler becomes an error of its call. `clock` provides
    /// the time for sealing tokens and for the end of the call.
    pub fn run(self, clock: Clock<'_>) -> RequestWorkResult {
        self.run_noting(clock, &mut |_| ())
    }

    /// Like [`run`](Self::run). If the call has listeners or a record, `on_call` receives it before its handler runs, for a
    /// driver that may end while the handler runs.
    pub fn run_noting(self, clock: Clock<'_>, on_call: &mut dyn FnMut(RunningCall)) -> RequestWorkResult {
        RequestWorkResult(match self.0 {
            Step::Start(service) => Outcome::Started(service.start(TransportKind::Http)),
            Step::Call(mut calling) => {
                calling.run(clock, on_call);
                Outcome::Called(calling)
            }
        })
    }
}

impl RequestWorkResult {
    /// Returns why the service's start-up work failed, if this was it and it failed. The client does not receive this.
    pub fn start_failure(&self) -> Option<&RpcError> {
        match &self.0 {
            Outcome::Started(result) => result.as_ref().err(),
            Outcome::Called(_) => None,
        }
    }

    /// Takes the record of the call. Use it if the transaction no longer exists because its client has disconnected. A call
    /// without a response ends. `now` is the time since the Unix epoch.
    pub fn take_record(&mut self, now: Duration) -> Option<CallRecord> {
        match &mut self.0 {
            Outcome::Called(calling) => calling.give_up(&given_up(), CLIENT_GONE, now),
            Outcome::Started(_) => None,
        }
    }
}

impl fmt::Debug for RequestWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Step::Start(_) => f.write_str("RequestWork::Start"),
            Step::Call(calling) => f.debug_tuple("RequestWork::Call").field(calling).finish(),
        }
    }
}

impl fmt::Debug for RequestWorkResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Outcome::Started(result) => f.debug_tuple("RequestWorkResult::Started").field(result).finish(),
            Outcome::Called(calling) => f.debug_tuple("RequestWorkResult::Called").field(calling).finish(),
        }
    }
}
