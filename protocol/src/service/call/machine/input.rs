//! Inputs: one that is external is fetched before the handler runs. WIRE_PROTOCOL 12.

use super::{Call, State, Step};
use crate::effect::{Completion, Effects, Request};
use crate::external::{Fetch, Resolved};
use crate::ipc::Metadata;
use crate::service::call::carrier::{Blame, Carrier};
use crate::service::call::waiting::{FetchedFor, Fetching};
use crate::service::context::{Bounds, CallContext};
use crate::service::invocation::{Task, Turning, Work};
use crate::wire::classify::{BatchKind, classify, refuse_pointer};
use crate::wire::error::RpcError;
use crate::wire::keys;
use crate::wire::request::check_rows;
use arrow_array::RecordBatch;

fn is_shared(batch: &RecordBatch, metadata: &Metadata) -> bool {
    classify(batch.num_rows(), Some(metadata)) == BatchKind::ShmPointer
}

impl Call {
    /// Begins a request whose batch may be external. Returns the work if it can run now.
    pub(super) fn begin_call(&mut self, work: Work) -> Option<Work> {
        let Work { task: Task::Call(_, batch), context, .. } = &work else { return Some(work) };
        // A batch without rows may be a pointer, or have no columns.
        if batch.num_rows() > 0 {
            return Some(work);
        }
        match self.find(batch, &context.metadata, context) {
            Ok(None) => return Some(work),
            Ok(Some(fetch)) => self.wait_for(fetch, FetchedFor::Call(work)),
            Err(error) => {
                self.take_session(work.context);
                self.state = State::Refused(Blame::Handler, error);
            }
        }
        None
    }

    /// Begins a turn whose input may be external.
    pub(super) fn begin_turn(
        &mut self,
        stream: Turning,
        batch: RecordBatch,
        metadata: Metadata,
        context: Box<CallContext>,
        carrier: &mut impl Carrier,
    ) {
        match self.find(&batch, &metadata, &context) {
            Ok(None) => self.take_turn(stream, batch, metadata, context),
            Ok(Some(fetch)) => self.wait_for(fetch, FetchedFor::Turn(stream, context)),
            Err(error) => {
                self.take_session(context);
                self.fail(Blame::Handler, error, carrier);
            }
        }
    }

    fn take_turn(
        &mut self,
        stream: Turning,
        batch: RecordBatch,
        metadata: Metadata,
        context: Box<CallContext>,
    ) {
        // An input in shared memory is recorded when it is read.
        let is_there = !context.shared.is_on() || !metadata.contains_key(keys::SHM_OFFSET);
        if batch.num_columns() > 0 && !stream.is_producer() && is_there {
            self.scope.note_input(&batch);
        }
        self.run(Task::Turn(stream, batch, metadata), context);
    }

    /// Requests the fetch of the batch if it is external.
    fn find(
        &self,
        batch: &RecordBatch,
        metadata: &Metadata,
        context: &CallContext,
    ) -> Result<Option<Fetch>, RpcError> {
        let Bounds { limits, account, .. } = &*context.bounds;
        let found = self
            .service
            .fetch
            .as_ref()
            .map_or(Ok(None), |options| Fetch::of_batch(batch, metadata, limits, account, options))?;
        // The work reads shared memory, on its own thread.
        if found.is_none() && !(context.shared.is_on() && is_shared(batch, metadata)) {
            // Refuses a pointer into shared memory that is not attached, or to an object if fetching is disabled.
            refuse_pointer(batch.num_rows(), metadata)?;
        }
        Ok(found)
    }

    fn wait_for(&mut self, fetch: Fetch, waiting: FetchedFor) {
        self.state = State::Fetching(Box::new(Fetching { id: None, fetch, waiting }));
    }

    /// Continues with a fetched batch. Returns `Waiting` until the fetch is complete.
    pub(super) fn poll_fetching(
        &mut self,
        mut fetching: Box<Fetching>,
        carrier: &mut impl Carrier,
        effects: &mut Effects,
    ) -> Option<Step> {
        let Some(id) = fetching.id else {
            let time_limit = fetching.fetch.options().time_limit;
            let request = Request::Fetch(fetching.fetch.clone());
            fetching.id = Some(effects.request_within(request, time_limit, self.scope.listeners()));
            self.state = State::Fetching(fetching);
            return Some(Step::Waiting);
        };
        let Some(completed) = effects.take(id) else {
            self.state = State::Fetching(fetching);
            return Some(Step::Waiting);
        };
        let resolved = match completed.completion {
            Completion::Resolved(resolved) => resolved.map_err(RpcError::from),
            other => Err(other.into_error("what an object holds")),
        };
        match resolved {
            Ok(resolved) => self.go_on_with(fetching.waiting, resolved, carrier),
            Err(error) => self.refuse_fetched(fetching.waiting, Blame::Handler, error, carrier),
        }
        None
    }

    fn go_on_with(&mut self, waiting: FetchedFor, resolved: Resolved, carrier: &mut impl Carrier) {
        let Resolved { batch, metadata, .. } = resolved;
        match waiting {
            FetchedFor::Call(mut work) => match check_rows(&batch) {
                Ok(()) => {
                    if let Some(record) = self.scope.record_mut() {
                        record.resolve_request(&batch);
                    }
                    for key in [keys::LOCATION, keys::LOCATION_SHA256] {
                        work.context.metadata.remove(key);
                    }
                    if let Task::Call(_, row) = &mut work.task {
                        *row = batch;
                    }
                    self.state = State::Ready(work);
                }
                Err(error) => self.refuse_fetched(FetchedFor::Call(work), Blame::Request, error, carrier),
            },
            FetchedFor::Turn(stream, context) => self.take_turn(stream, batch, metadata, context),
        }
    }

    /// Responds with an error to a call whose batch was not fetched.
    pub(super) fn refuse_fetched(
        &mut self,
        waiting: FetchedFor,
        blame: Blame,
        error: RpcError,
        carrier: &mut impl Carrier,
    ) {
        match waiting {
            FetchedFor::Call(work) => {
                self.take_session(work.context);
                self.refuse(blame, error, carrier);
            }
            FetchedFor::Turn(_, context) => {
                self.take_session(context);
                self.fail(blame, error, carrier);
            }
        }
    }
}
