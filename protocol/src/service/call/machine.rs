//! The state machine of one call. Admission, inputs, outputs and streams are in files of their own.

mod admission;
mod input;
mod output;
mod stream;

use super::carrier::{Blame, Carrier};
use super::scope::Scope;
use super::waiting::{Admitting, Fetching, Output, Place, Storing, log_all};
use crate::description::MethodKind;
use crate::effect::{Answers, Effects};
use crate::ipc::{EncodedSchema, Metadata};
use crate::server::InputStream;
use crate::service::context::{CallContext, Declaration, SessionAccess};
use crate::service::declare::{Hosted, Method};
use crate::service::handler::{Answer, VOID};
use crate::service::hosting::{Service, gate_version};
#[cfg(feature = "http")]
use crate::service::invocation::SavedStream;
use crate::service::invocation::{Outcome, Task, Turning, Work, WorkResult};
use crate::wire::error::RpcError;
use arrow_array::RecordBatch;
use std::sync::Arc;

/// One call.
pub(crate) struct Call {
    pub(crate) scope: Scope,
    service: Arc<Service>,
    method: Arc<Declaration>,
    /// The sticky session, unless a handler has it.
    session: Option<Box<dyn SessionAccess>>,
    /// The context of a call that is over. The next call reuses its memory.
    spare: Option<Box<CallContext>>,
    /// Bytes of the objects that were stored in place of outputs.
    externalised: u64,
    state: State,
}

enum State {
    /// The request was refused before its handler was invoked.
    Refused(Blame, RpcError),
    Admitting(Box<Admitting>),
    Fetching(Box<Fetching>),
    Ready(Work),
    Running,
    Storing(Box<Storing>),
    /// A stream is open and waits for its next input.
    Between(Turning, Box<CallContext>),
    Over,
}

/// What a call needs next.
pub(crate) enum Step {
    /// Run the handler's invocation and pass its result to [`Call::complete`].
    Work(Work),
    /// An effect or the running work must complete.
    Waiting,
    /// The next input of the open stream.
    NeedTurn,
    /// The call is over.
    Over,
}

/// Beginning.
impl Call {
    /// Opens a call of the context's method. Returns its first work too, unless the call has to wait.
    pub(crate) fn open(
        service: Arc<Service>,
        hosted: &Hosted,
        method: Arc<Method>,
        batch: RecordBatch,
        context: Box<CallContext>,
        scope: Scope,
    ) -> (Self, Option<Work>) {
        let refused = gate_version(hosted, &context.metadata).err();
        let is_admitted = service.admission.is_none();
        let declaration = context.method.clone();
        let scopes = scope.scopes();
        let call = |state| Self {
            scope,
            service,
            method: declaration,
            session: None,
            spare: None,
            externalised: 0,
            state,
        };
        if let Some(error) = refused {
            let mut call = call(State::Refused(Blame::Request, error));
            call.take_session(context);
            return (call, None);
        }
        let work = Work { task: Task::Call(method, batch), context, scopes };
        if is_admitted {
            let mut call = call(State::Running);
            let work = call.begin_call(work);
            return (call, work);
        }
        let admitting = Admitting { work, answers: Answers::none(), asked: None };
        (call(State::Admitting(Box::new(admitting))), None)
    }

    /// Resumes a stream whose state its client carried: its next turn, or its end if the client cancelled it.
    #[cfg(feature = "http")]
    pub(crate) fn resume(
        service: Arc<Service>,
        method: Arc<Method>,
        stream: Box<SavedStream>,
        context: Box<CallContext>,
        scope: Scope,
    ) -> Self {
        let declaration = context.method.clone();
        let state = State::Between(Turning::Saved(method, stream), context);
        Self { scope, service, method: declaration, session: None, spare: None, externalised: 0, state }
    }
}

/// Getters.
impl Call {
    pub(crate) fn method(&self) -> &Declaration {
        &self.method
    }

    /// Returns whether a stream is open and no turn of it is running.
    pub(crate) fn is_between(&self) -> bool {
        matches!(self.state, State::Between(..))
    }

    /// Returns whether work is running.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.state, State::Running)
    }

    /// Returns whether the call waits for effects, or is about to request them.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Admitting(_) | State::Fetching(_) | State::Storing(_))
    }

    /// Returns whether the call is over.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Takes the context of a call that is over, to reuse its memory.
    pub(crate) fn take_spare(&mut self) -> Option<Box<CallContext>> {
        let mut spare = self.spare.take()?;
        spare.clear();
        Some(spare)
    }

    /// Takes the sticky session of a call that is over.
    #[cfg(feature = "http")]
    pub(crate) fn into_session(mut self) -> (Option<Box<dyn SessionAccess>>, Scope) {
        (self.session.take(), self.scope)
    }
}

/// Commands.
impl Call {
    /// Takes the next input of the open stream.
    pub(crate) fn input(&mut self, batch: RecordBatch, metadata: Metadata, carrier: &mut impl Carrier) {
        let Some((stream, context)) = self.take_stream() else { return };
        // The cap applies to one response.
        self.externalised = 0;
        self.begin_turn(stream, batch, metadata, context, carrier);
    }

    /// Handles the client's cancellation of the open stream.
    pub(crate) fn cancel(&mut self) {
        if let Some((stream, context)) = self.take_stream() {
            // A cancel is not a call: listeners do not see it.
            self.state = State::Ready(Work { task: Task::Cancel(stream), context, scopes: None });
        }
    }

    /// Ends the call, since the input of the open stream has ended.
    pub(crate) fn input_ended(&mut self, carrier: &mut impl Carrier) {
        if let Some((_, context)) = self.take_stream() {
            self.take_session(context);
            carrier.end();
        }
    }

    /// Ends the call without a response: the client has been sent the error already, or cannot be reached.
    pub(crate) fn break_off(&mut self, error: &RpcError) {
        self.scope.note_error(error);
        match std::mem::replace(&mut self.state, State::Over) {
            State::Between(_, context) | State::Ready(Work { context, .. }) => self.take_session(context),
            State::Admitting(admitting) => self.take_session(admitting.work.context),
            State::Fetching(fetching) => self.take_session(fetching.into_context()),
            State::Storing(storing) => self.take_session(storing.into_context()),
            State::Refused(..) | State::Running | State::Over => {}
        }
    }

    /// Responds with an error to a call that is waiting for an effect.
    pub(crate) fn refuse_waiting(&mut self, error: RpcError, carrier: &mut impl Carrier) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Admitting(admitting) => {
                self.take_session(admitting.work.context);
                self.refuse(Blame::Handler, error, carrier);
            }
            State::Fetching(fetching) => {
                self.refuse_fetched(fetching.waiting, Blame::Handler, error, carrier);
            }
            State::Storing(storing) => {
                log_all(storing.output.logs().0, carrier);
                self.lose(&storing.output.place, storing.context, error, carrier);
            }
            state => self.state = state,
        }
    }

    /// Handles work that was dropped without a result.
    pub(crate) fn lose_work(&mut self, carrier: &mut impl Carrier) {
        if self.is_running() {
            self.state = State::Over;
            let error = RpcError::runtime_error("the handler was not run to its end");
            if carrier.is_open() {
                self.fail(Blame::Handler, error, carrier);
            } else {
                self.refuse(Blame::Handler, error, carrier);
            }
        }
    }

    /// Accepts the result of an invocation and passes it to the carrier.
    pub(crate) fn complete(&mut self, done: WorkResult, carrier: &mut impl Carrier) {
        let WorkResult { outcome, mut context } = done;
        self.session = context.session.take();
        let (logs, left_out) = context.take_logs();
        carrier.leave_out(left_out);
        let stored = context.stored.take();
        if let Some(batch) = context.resolved.take() {
            self.note_resolved(&batch, &outcome);
        }
        self.state = State::Over;
        match outcome {
            Outcome::Answered(answer) => {
                let (place, metadata, logs_before) = (Place::Result, Metadata::new(), logs.len());
                let output = |batch| Output { place, batch, metadata, logs, logs_before, stored };
                match answer {
                    Answer::Batch(batch) => self.give(output(batch), context, carrier),
                    Answer::Published(pointer) => {
                        self.deliver(output(VOID.clone()), Some(&pointer), context, carrier);
                    }
                }
            }
            Outcome::Invalid(error) => {
                log_all(&logs, carrier);
                self.refuse(Blame::Request, error, carrier);
            }
            Outcome::Refused(error) => {
                log_all(&logs, carrier);
                self.refuse(Blame::Handler, error, carrier);
            }
            Outcome::Opened { stream, header } => {
                log_all(&logs, carrier);
                self.opened(stream, header, context, carrier);
            }
            Outcome::Emitted { stream, data } => {
                self.give(data.output(Place::Turn(stream), logs, stored), context, carrier);
            }
            Outcome::Finished { schema, data: Some(data) } => {
                self.give(data.output(Place::Last(schema), logs, stored), context, carrier);
            }
            Outcome::Finished { schema, data: None } => {
                log_all(&logs, carrier);
                self.finish(schema, context, carrier);
            }
            Outcome::Cancelled => {
                log_all(&logs, carrier);
                if let Some(record) = self.scope.record_mut() {
                    record.cancelled = true;
                }
                carrier.end();
            }
            Outcome::Unrestored(error) => self.fail(Blame::Request, error, carrier),
            Outcome::OverBudget(error) => self.fail(Blame::Memory, error.into(), carrier),
            Outcome::Failed { error } => {
                log_all(&logs, carrier);
                self.fail(Blame::Handler, error, carrier);
            }
        }
    }

    /// Returns what the call needs next. Passes output that is ready to the carrier.
    pub(crate) fn poll(&mut self, carrier: &mut impl Carrier, effects: &mut Effects) -> Step {
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Refused(blame, error) => self.refuse(blame, error, carrier),
                State::Admitting(admitting) => {
                    if let Some(step) = self.admit(admitting, carrier, effects) {
                        return step;
                    }
                }
                State::Fetching(fetching) => {
                    if let Some(step) = self.poll_fetching(fetching, carrier, effects) {
                        return step;
                    }
                }
                State::Storing(storing) => {
                    if let Some(step) = self.poll_storing(storing, carrier, effects) {
                        return step;
                    }
                }
                State::Ready(mut work) => {
                    self.state = State::Running;
                    work.context.session = self.session.take().or(work.context.session);
                    return Step::Work(work);
                }
                State::Running => {
                    self.state = State::Running;
                    return Step::Waiting;
                }
                between @ State::Between(..) => {
                    self.state = between;
                    return Step::NeedTurn;
                }
                State::Over => return Step::Over,
            }
        }
    }
}

/// Steps that several files of the machine use.
impl Call {
    fn run(&mut self, task: Task, context: Box<CallContext>) {
        self.state = State::Ready(Work { task, context, scopes: self.scope.scopes() });
    }

    /// Responds to the call with an error, and records the error.
    fn refuse(&mut self, blame: Blame, error: RpcError, carrier: &mut impl Carrier) {
        match self.method.info.kind {
            MethodKind::Unary => carrier.refuse(blame, &self.method.result, InputStream::None, &error),
            MethodKind::Stream(_) => {
                carrier.refuse(blame, &EncodedSchema::empty(), InputStream::Possible, &error);
            }
        }
        self.scope.note_error(&error);
    }

    /// Responds to the call with an error on the given schema, and records the error.
    fn refuse_on(
        &mut self,
        blame: Blame,
        schema: &EncodedSchema,
        error: &RpcError,
        carrier: &mut impl Carrier,
    ) {
        carrier.refuse(blame, schema, InputStream::Possible, error);
        self.scope.note_error(error);
    }

    /// Ends the open stream with an error, and records the error.
    fn fail(&mut self, blame: Blame, error: RpcError, carrier: &mut impl Carrier) {
        carrier.fail(blame, &error);
        self.scope.note_error(&error);
    }

    fn take_stream(&mut self) -> Option<(Turning, Box<CallContext>)> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Between(stream, context) => Some((stream, context)),
            other => {
                self.state = other;
                None
            }
        }
    }

    /// Records a batch that was read from shared memory: that of the request, or an input.
    fn note_resolved(&mut self, batch: &RecordBatch, outcome: &Outcome) {
        let is_turn = matches!(
            outcome,
            Outcome::Emitted { .. }
                | Outcome::Finished { .. }
                | Outcome::Failed { .. }
                | Outcome::OverBudget(_)
        );
        if is_turn {
            self.scope.note_input(batch);
        } else if let Some(record) = self.scope.record_mut() {
            record.resolve_request(batch);
        }
    }

    /// Takes the session out of a context that no handler will see again.
    fn take_session(&mut self, mut context: Box<CallContext>) {
        self.session = context.session.take().or(self.session.take());
        self.spare = Some(context);
    }
}
