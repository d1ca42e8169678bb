//! The state machine of one request: its stages, its input, and its next steps.

use super::admit::Target;
use super::call::Calling;
use super::response::{Body, RecordedResponse, Unsent};
use super::running_call::CLIENT_GONE;
use super::work::{Outcome, RequestWork, RequestWorkResult};
use crate::CommandError;
use crate::effect::{Completion, EffectEvent, EffectId, Effects};
use crate::http::auth::Found;
use crate::http::endpoint::{Endpoint, RequestOrigin};
#[cfg(feature = "oauth-pkce")]
use crate::http::oauth::MAX_FORM_BYTES;
use crate::http::request_context::RequestContext;
use crate::http::response_draft::ResponseDraft;
use crate::http::session::{CallSession, Waiting};
#[cfg(feature = "oauth-pkce")]
use crate::http::slots::Slot;
use crate::memory::Reservation;
use crate::service::call::given_up;
use crate::service::context::Bounds;
use crate::service::{CallRecord, TransportKind};
use crate::wire::error::RpcError;
use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// One request, from its head to its response.
///
/// It borrows nothing. It may be parked for any time and moved between threads. Dropping it at any step ends its call for its
/// listeners and returns its sticky session. [`hang_up`](Self::hang_up) does the same and returns the call's record.
pub struct Transaction {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) stage: Stage,
    /// The context of the request, unless the stage has it.
    pub(super) request: Option<Box<RequestContext>>,
    body: Option<Body>,
    bounds: Arc<Bounds>,
    pub(super) effects: Effects,
    /// Input for effects that arrived while running work had the table of effects.
    pub(super) arrived: Vec<Arrived>,
}

pub(super) enum Stage {
    /// The service must be started first, or its start-up work is running.
    Starting {
        is_out: bool,
    },
    Authenticating {
        found: Found,
        asked: Option<(EffectId, Box<str>)>,
    },
    /// Another call uses the sticky session.
    Waiting(Target, Box<Waiting>),
    /// The body has not been received yet.
    Body(Target, Option<Box<CallSession>>),
    Vending(EffectId),
    /// A code is being exchanged for a page of another origin.
    #[cfg(feature = "oauth-pkce")]
    Exchanging(EffectId, Slot),
    /// The next step of the call can run.
    Ready(Box<Calling>),
    Running,
    /// The call waits for an effect.
    Parked(Box<Calling>),
    Answered(Box<Unsent>),
    Over,
}

pub(super) enum Arrived {
    Data(EffectId, Bytes),
    Completed(EffectId, Completion),
}

/// What a [`Transaction`](super::Transaction) needs next.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is moved once, and a box is an allocation for each request"
)]
pub enum RequestStep {
    /// Read the body, and pass it to [`Transaction::receive_body`](super::Transaction::receive_body).
    NeedBody,
    /// Run this, and pass the result to [`Transaction::complete`](super::Transaction::complete).
    Work(RequestWork),
    /// Wait for the completion of an effect, the result of running work, or a wake-up.
    Waiting,
    /// Send this response. Nothing else is needed.
    Answer(RecordedResponse),
    /// Nothing: the response was already returned.
    Over,
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &self.stage {
            Stage::Starting { .. } => "starting",
            Stage::Authenticating { .. } => "authenticating",
            Stage::Waiting(..) => "waiting for the session",
            Stage::Body(..) => "waiting for the body",
            Stage::Vending(_) => "vending URLs",
            #[cfg(feature = "oauth-pkce")]
            Stage::Exchanging(..) => "exchanging a code",
            Stage::Ready(_) => "ready",
            Stage::Running => "running",
            Stage::Parked(_) => "parked",
            Stage::Answered(_) => "answered",
            Stage::Over => "over",
        };
        f.debug_struct("Transaction")
            .field("request", &self.request)
            .field("stage", &stage)
            .finish_non_exhaustive()
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // The result of its running work, if any, is not used.
        self.bounds.client_gone();
    }
}

impl Endpoint {
    /// Begins a request whose head was received.
    pub fn begin(self: &Arc<Self>, head: Parts, origin: RequestOrigin) -> Transaction {
        let request = Box::new(self.request_context(head, origin));
        let bounds = request.bounds.clone();
        let stage = if self.service.is_started(TransportKind::Http) {
            Stage::Authenticating { found: Found::default(), asked: None }
        } else {
            Stage::Starting { is_out: false }
        };
        let (effects, arrived) = (Effects::default(), Vec::new());
        Transaction {
            endpoint: self.clone(),
            stage,
            request: Some(request),
            body: None,
            bounds,
            effects,
            arrived,
        }
    }
}

/// Getters.
impl Transaction {
    /// Returns the maximum size of the body in bytes. A driver stops reading there and passes [`Body::TooLarge`].
    pub fn max_body_bytes(&self) -> u64 {
        match self.stage {
            Stage::Body(Target::EndSession, _) => 0,
            #[cfg(feature = "oauth-pkce")]
            Stage::Body(Target::ExchangeCode(_), _) => MAX_FORM_BYTES,
            _ => self.endpoint.max_body_bytes(),
        }
    }
}

/// Input.
impl Transaction {
    /// Receives the body. It may be passed before it is [needed](RequestStep::NeedBody), for example if it is small. It is
    /// dropped if the response does not need it.
    ///
    /// # Errors
    /// If the body was already received.
    pub fn receive_body(&mut self, body: Body) -> Result<(), CommandError> {
        match self.stage {
            Stage::Answered(_) | Stage::Over => return Ok(()),
            Stage::Starting { .. } | Stage::Authenticating { .. } | Stage::Waiting(..) | Stage::Body(..)
                if self.body.is_none() => {}
            _ => return Err(CommandError::Misuse { command: "receive_body", when: "once for each request" }),
        }
        self.body = Some(body);
        Ok(())
    }

    /// Receives a piece of an effect's data, before the effect is [completed](Self::complete_effect).
    pub fn receive_effect_data(&mut self, id: EffectId, data: Bytes) {
        self.arrive(Arrived::Data(id, data));
    }
}

/// Commands.
impl Transaction {
    /// Receives the result of work.
    ///
    /// # Errors
    /// If the transaction is not waiting for work, or if the work was lost or the client has disconnected since.
    pub fn complete(&mut self, done: RequestWorkResult) -> Result<(), CommandError> {
        match (done.0, &self.stage) {
            (Outcome::Started(result), Stage::Starting { is_out: true }) => match result {
                Ok(()) => {
                    self.stage = Stage::Authenticating { found: Found::default(), asked: None };
                }
                Err(_) => {
                    // The caller is not authenticated yet, so the reason is not disclosed.
                    let text = "the service could not be started\n";
                    self.answer(ResponseDraft::text(StatusCode::INTERNAL_SERVER_ERROR, text));
                }
            },
            (Outcome::Called(mut calling), Stage::Running) if calling.is_within(&self.bounds) => {
                self.effects = std::mem::take(&mut calling.effects);
                self.stage = match calling.take_answer() {
                    Some(answer) => Stage::Answered(answer),
                    None => Stage::Parked(calling),
                };
                for arrived in std::mem::take(&mut self.arrived) {
                    self.arrive(arrived);
                }
            }
            _ => {
                let when = "while work of this transaction is running";
                return Err(CommandError::Misuse { command: "complete", when });
            }
        }
        Ok(())
    }

    /// Reports that running work was dropped without a result: the response has status 500. Does nothing if no work is running.
    pub fn lose_work(&mut self) {
        if let Stage::Running | Stage::Starting { is_out: true } = self.stage {
            let response = self.endpoint.bare(StatusCode::INTERNAL_SERVER_ERROR);
            let answer = RecordedResponse { response, record: None, memory: Reservation::default() };
            self.stage = Stage::Answered(Box::new(answer.into()));
        }
    }

    /// Ends the request because the client has disconnected. Returns the record of its call if the call had begun and no work
    /// is running. If work is running, [`RequestWorkResult::take_record`] returns it. `now` is the time since the Unix epoch.
    pub fn hang_up(&mut self, now: Duration) -> Option<CallRecord> {
        self.abandon(&given_up(), CLIENT_GONE, now)
    }

    /// Like [`hang_up`](Self::hang_up), for a client that is still connected and received a response with this status from
    /// elsewhere. The record says that the call failed with this error.
    pub fn abandon(&mut self, error: &RpcError, status: StatusCode, now: Duration) -> Option<CallRecord> {
        self.effects.withdraw_all();
        self.bounds.client_gone();
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Ready(mut calling) | Stage::Parked(mut calling) => calling.give_up(error, status, now),
            Stage::Answered(answer) => answer.into_record(error, status),
            _ => None,
        }
    }

    /// Completes an effect. Does nothing if the effect is no longer pending.
    pub fn complete_effect(&mut self, id: EffectId, completion: Completion) {
        self.arrive(Arrived::Completed(id, completion));
    }
}

/// Output.
impl Transaction {
    /// Returns what the request needs next. `now` is the time since the Unix epoch. While the request waits for its sticky
    /// session, `waker` is woken when it should be polled again.
    pub fn poll(&mut self, now: Duration, waker: &Waker) -> RequestStep {
        loop {
            if let Some(request) = &mut self.request {
                request.now = now;
            }
            match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::Starting { is_out: true } => {
                    self.stage = Stage::Starting { is_out: true };
                    return RequestStep::Waiting;
                }
                Stage::Starting { is_out: false } => {
                    self.stage = Stage::Starting { is_out: true };
                    return RequestStep::Work(RequestWork::start(self.endpoint.service.clone()));
                }
                Stage::Authenticating { found, asked } => {
                    if !self.authenticate(found, asked, waker) {
                        return RequestStep::Waiting;
                    }
                }
                Stage::Waiting(target, waiting) => {
                    if !self.wait_for_session(target, waiting, waker) {
                        return RequestStep::Waiting;
                    }
                }
                Stage::Body(target, session) => match (target, self.body.take()) {
                    (Target::EndSession, _) => {
                        let draft = session
                            .map_or_else(|| ResponseDraft::empty(StatusCode::OK), |session| session.end());
                        self.answer(draft);
                    }
                    (target, Some(body)) => self.take_body(target, session, body),
                    (target, None) => {
                        self.stage = Stage::Body(target, session);
                        return RequestStep::NeedBody;
                    }
                },
                Stage::Vending(id) => {
                    if !self.vend(id) {
                        return RequestStep::Waiting;
                    }
                }
                #[cfg(feature = "oauth-pkce")]
                Stage::Exchanging(id, slot) => {
                    if !self.exchange(id, slot) {
                        return RequestStep::Waiting;
                    }
                }
                Stage::Ready(mut calling) => {
                    calling.effects = std::mem::take(&mut self.effects);
                    self.stage = Stage::Running;
                    return RequestStep::Work(RequestWork::call(calling));
                }
                Stage::Running => {
                    self.stage = Stage::Running;
                    return RequestStep::Waiting;
                }
                Stage::Parked(calling) => {
                    if calling.can_go_on(&self.effects) {
                        self.stage = Stage::Ready(calling);
                    } else {
                        self.stage = Stage::Parked(calling);
                        return RequestStep::Waiting;
                    }
                }
                Stage::Answered(answer) => {
                    self.effects.withdraw_all();
                    return RequestStep::Answer(answer.hand_out());
                }
                Stage::Over => return RequestStep::Over,
            }
        }
    }

    /// Returns the next event of an effect. Call it after [`poll`](Self::poll) until it returns `None`.
    pub fn poll_effect(&mut self) -> Option<EffectEvent> {
        self.effects.poll()
    }
}
