//! The state machine of one call, from its resolved request to its last output, on any carrier.
//!
//! This module has the machine that admits a call, returns the handler's invocations and accepts their outcomes, and passes the
//! output to a [`Carrier`] in order; and the [`Scope`] that records all of this. Bytes, tokens and statuses belong to the
//! carriers.
//!
//! ```text
//!   open ──► Admitting ──► Fetching ──► Ready ──► Running ──► Storing ──► Between ──► (input) ──► Fetching ...
//!                │                                                │            │
//!                └── refused ────────────────────────────────────►└──► Over ◄──┘ input_ended
//! ```
//!
//! The call waits in `Admitting` for an answer, in `Fetching` for an external batch, and in `Storing` until an output is stored.
//! It skips each of these states if there is nothing to wait for.
//!
//! The machine borrows nothing. It can be parked, moved between threads, and dropped at any step. Dropping it ends the call for
//! its listeners and releases its sticky session.

mod carrier;
mod elsewhere;
mod scope;
mod waiting;

pub(crate) use carrier::{Blame, Carrier};
pub(crate) use scope::{Scope, given_up};

use self::waiting::{Fetching, Output, Place, Storing, log_all};
use super::answer::{Answer, VOID};
use super::context::CallContext;
use super::declaration::Declaration;
use super::hooks::Stop;
use super::host::Service;
use super::method::Method;
use super::protocol::Hosted;
use super::resolve::gate_version;
use super::session::SessionAccess;
#[cfg(feature = "http")]
use super::work::SavedStream;
use super::work::{Emission, OpenStream, Outcome, Task, Turning, Work, WorkResult, guard};
use crate::description::MethodKind;
use crate::effect::{Answers, EffectId, Effects};
use crate::ipc::{EncodedSchema, Metadata};
use crate::server::InputStream;
use crate::shm::Stored;
use crate::wire::error::RpcError;
use crate::wire::log::LogMessage;
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

/// A call that is being admitted, with the question that admission asked.
struct Admitting {
    work: Work,
    answers: Answers,
    asked: Option<(EffectId, Box<str>)>,
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
            state => self.refuse_elsewhere(state, error, carrier),
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

impl Call {
    /// Asks admission whether the call may proceed. Returns `None` once that is decided.
    fn admit(
        &mut self,
        mut admitting: Box<Admitting>,
        carrier: &mut impl Carrier,
        effects: &mut Effects,
    ) -> Option<Step> {
        let mut may_ask = true;
        if let Some((id, key)) = admitting.asked.take() {
            let Some(completed) = effects.take(id) else {
                admitting.asked = Some((id, key));
                self.state = State::Admitting(admitting);
                return Some(Step::Waiting);
            };
            may_ask = admitting.answers.insert(key, completed.into_answer());
        }
        let Admitting { work, answers, .. } = &*admitting;
        let decided = match &self.service.admission {
            Some(admission) => {
                guard(|| Ok(admission(&work.context, answers))).unwrap_or_else(|e| Err(e.into()))
            }
            None => Ok(()),
        };
        match decided {
            Ok(()) => {
                if let Some(work) = self.begin_call(admitting.work) {
                    self.state = State::Ready(work);
                }
            }
            Err(Stop::Ask(ask)) if may_ask => {
                let id = effects.ask_within(&ask, self.scope.listeners());
                admitting.asked = Some((id, ask.key));
                self.state = State::Admitting(admitting);
                return Some(Step::Waiting);
            }
            Err(stop) => {
                self.take_session(admitting.work.context);
                self.refuse(Blame::Handler, stop.into_error(), carrier);
            }
        }
        None
    }

    /// Opens the stream that a handler returned.
    fn opened<C: Carrier>(
        &mut self,
        stream: Box<OpenStream>,
        header: Option<RecordBatch>,
        context: Box<CallContext>,
        carrier: &mut C,
    ) {
        if let Err(error) = carrier.prepare(&stream) {
            return self.refuse(Blame::Handler, error, carrier);
        }
        match header.filter(|_| context.method.header.is_some()) {
            Some(batch) => {
                let (place, metadata) = (Place::Header(stream), Metadata::new());
                let output =
                    Output { place, batch, metadata, logs: Vec::new(), logs_before: 0, stored: None };
                self.give(output, context, carrier);
            }
            None => self.open_stream(stream, context, carrier),
        }
    }

    /// Opens a stream after its header, if it has one, was sent.
    fn open_stream<C: Carrier>(
        &mut self,
        stream: Box<OpenStream>,
        context: Box<CallContext>,
        carrier: &mut C,
    ) {
        if let Err(error) = carrier.open(&stream) {
            return self.fail(Blame::Handler, error, carrier);
        }
        if C::KEEPS_STREAMS {
            self.state = State::Between(Turning::Open(stream), context);
        } else if stream.state.is_producer() {
            // The request that opens a producer is also its first tick.
            self.tick(stream, context);
        } else {
            match carrier.save(&stream) {
                Ok(()) => {
                    carrier.turn_ended();
                    carrier.end();
                }
                Err(error) => self.fail(Blame::Handler, error, carrier),
            }
        }
    }

    /// Continues the stream after a turn.
    fn go_on<C: Carrier>(&mut self, stream: Box<OpenStream>, context: Box<CallContext>, carrier: &mut C) {
        if C::KEEPS_STREAMS {
            self.state = State::Between(Turning::Open(stream), context);
        } else if !stream.state.can_resume() {
            self.tick(stream, context);
        } else {
            carrier.turn_ended();
            carrier.end();
        }
    }

    /// Starts a producer's turn, which has no input.
    fn tick(&mut self, stream: Box<OpenStream>, context: Box<CallContext>) {
        let metadata = context.metadata.clone();
        self.run(Task::Turn(Turning::Open(stream), VOID.clone(), metadata), context);
    }

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

impl Emission {
    /// Combines the batch of a turn with the turn's logs.
    fn output(self, place: Place, logs: Vec<LogMessage>, stored: Option<Stored>) -> Output {
        let Self { batch, metadata, logs_before } = self;
        Output { place, batch, metadata, logs, logs_before, stored }
    }
}
