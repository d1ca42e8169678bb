//! A call as its listeners and the access log see it: from the request that was resolved to the end, exactly once.

use crate::effect::Surroundings;
use crate::service::context::CallContext;
use crate::service::hooks::Scopes;
use crate::service::host::Service;
use crate::service::record::CallRecord;
use crate::wire::code::Code;
use crate::wire::error::RpcError;
use arrow_array::RecordBatch;
use std::sync::Arc;
use std::time::Duration;

/// The record of a call, and those who listen to it. It ends when it is told to, and otherwise when it is dropped.
pub(crate) struct Scope {
    record: Option<Box<CallRecord>>,
    scopes: Option<Arc<Scopes>>,
    /// Records are wanted, beside those for the listeners.
    recording: bool,
}

impl Scope {
    /// A call that nobody listens to.
    pub(crate) const fn silent() -> Self {
        Self { record: None, scopes: None, recording: false }
    }

    /// Begins a call: listeners learn of it now. `record` is made if anybody wants it.
    pub(crate) fn begin(
        service: &Service,
        recording: bool,
        context: &CallContext,
        record: impl FnOnce() -> CallRecord,
    ) -> Self {
        if !recording && service.hooks.is_empty() {
            return Self::silent();
        }
        let scopes = Scopes::start(&service.hooks, context);
        let record = (recording || scopes.is_some()).then(|| of(service, record()));
        Self { record, scopes, recording }
    }

    /// Begins what is no call to a listener, but has a record.
    pub(crate) fn unheard(service: &Service, recording: bool, record: impl FnOnce() -> CallRecord) -> Self {
        Self { record: recording.then(|| of(service, record())), scopes: None, recording }
    }

    /// For the work that is about to run.
    pub(crate) fn scopes(&self) -> Option<Arc<Scopes>> {
        self.scopes.clone()
    }

    /// For an effect that the call waits for.
    pub(crate) fn surroundings(&self) -> Surroundings {
        Surroundings::new(self.scopes.clone())
    }

    pub(crate) fn record_mut(&mut self) -> Option<&mut CallRecord> {
        self.record.as_deref_mut()
    }

    pub(crate) fn note_input(&mut self, batch: &RecordBatch) {
        if let Some(record) = &mut self.record {
            record.statistics.input.add(batch);
        }
    }

    pub(crate) fn note_output(&mut self, batch: &RecordBatch) {
        if let Some(record) = &mut self.record {
            record.statistics.output.add(batch);
        }
    }

    /// Notes why the call failed.
    pub(crate) fn note_error(&mut self, error: &RpcError) {
        if let Some(record) = &mut self.record {
            record.error = Some(error.clone());
        }
    }

    /// Ends the call: listeners learn of it now. Gives the record if records are wanted.
    pub(crate) fn end(&mut self, now: Duration) -> Option<CallRecord> {
        let mut record = self.record.take()?;
        record.ended = now.max(record.started);
        if let Some(scopes) = self.scopes.take() {
            scopes.end(&mut record);
        }
        self.recording.then_some(*record)
    }
}

/// The record of a call of this service.
fn of(service: &Service, mut record: CallRecord) -> Box<CallRecord> {
    record.server_version = service.server_version().clone();
    record.into()
}

impl Drop for Scope {
    fn drop(&mut self) {
        if let Some(record) = &mut self.record {
            record.error.get_or_insert_with(given_up);
            let now = record.started;
            self.end(now);
        }
    }
}

/// The error of a call that was dropped before its end.
pub(crate) fn given_up() -> RpcError {
    RpcError::status(Code::Cancelled, "the connection was lost before the call had ended")
}
