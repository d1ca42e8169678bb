//! A call as its listeners and the access log see it, from its resolved request to its end, which is reported exactly once.

use crate::effect::EffectListeners;
use crate::service::context::CallContext;
use crate::service::hosting::Service;
use crate::service::record::{CallRecord, Scopes};
use crate::wire::code::Code;
use crate::wire::error::RpcError;
use arrow_array::RecordBatch;
use std::sync::Arc;
use std::time::Duration;

/// A call's record and its listeners. It ends when [`end`](Self::end) is called, or when it is dropped.
pub(crate) struct Scope {
    record: Option<Box<CallRecord>>,
    scopes: Option<Arc<Scopes>>,
    /// Whether a record is wanted in addition to those for the listeners.
    recording: bool,
}

impl Scope {
    /// Returns a scope without listeners.
    pub(crate) const fn silent() -> Self {
        Self { record: None, scopes: None, recording: false }
    }

    /// Begins a call and notifies the listeners. `record` is called only if a record is needed.
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

    /// Begins a request that has a record but is not a call to listeners.
    pub(crate) fn unheard(service: &Service, recording: bool, record: impl FnOnce() -> CallRecord) -> Self {
        Self { record: recording.then(|| of(service, record())), scopes: None, recording }
    }

    /// Returns the listeners' scopes for the work that is about to run.
    pub(crate) fn scopes(&self) -> Option<Arc<Scopes>> {
        self.scopes.clone()
    }

    /// Returns the listeners of an effect that the call waits for.
    pub(crate) fn listeners(&self) -> EffectListeners {
        EffectListeners::new(self.scopes.clone())
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

    /// Records why the call failed.
    pub(crate) fn note_error(&mut self, error: &RpcError) {
        if let Some(record) = &mut self.record {
            record.error = Some(error.clone());
        }
    }

    /// Ends the call and notifies the listeners. Returns the record if records are wanted.
    pub(crate) fn end(&mut self, now: Duration) -> Option<CallRecord> {
        let mut record = self.record.take()?;
        record.ended = now.max(record.started);
        if let Some(scopes) = self.scopes.take() {
            scopes.end(&mut record);
        }
        self.recording.then_some(*record)
    }
}

/// Completes the record of a call with what only the service knows.
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
