//! One request and its response, as a machine: head in, body in; effects, waits and work; the response out.
//!
//! HTTP adds to a call what a byte stream does not have: who sends it, tokens, content codings, statuses, sticky
//! sessions. The call itself is the [machine](crate::service::call) that byte streams use.
//!
//! ```text
//!   begin ──► Starting ──► Authenticating ──► Session ──► Body ──► Ready ──► Running ──► Answered
//!                │                │ (effect)     │ (wait)             ▲          │
//!                └─ (work)        └──► Answered  └──► Answered        └─ Parked ◄┘
//! ```
//!
//! A request that was refused before its handler ran is answered with the status that says so; a call that its handler
//! failed with 200 and a mark, because intermediaries drop the bodies of other statuses. WIRE_PROTOCOL 13, "HTTP status
//! code mapping".

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `answer` | what goes in and out |
// | `steps` | from stage to stage |
// | `admit` | what a request's head must say, and what is answered from the head alone |
// | `calling` | a call, from the request's body to the response |
// | `body` | the Arrow stream that a request's body is |
// | `carrier` | the response's body as a carrier of the call's output, tokens included |
// | `gathered` | the output of a producer that cannot be resumed |
// | `recover` | what tokens bring back |
// | `upload` | vending URLs for large inputs |
// | `work` | what is run on a thread that may take its time |

mod admit;
mod answer;
mod body;
mod calling;
mod carrier;
mod gathered;
mod recover;
mod steps;
mod upload;
mod work;

pub use answer::{Answer, Body, Next};
use work::Outcome;
pub use work::{Clock, Done, Work};

use super::auth::Found;
use super::endpoint::{Arrival, Endpoint};
use super::reply::Reply;
use super::routes::Part;
use super::session::{CallSession, Waiting};
use super::visit::Visit;
use crate::effect::{Completion, EffectEvent, EffectId, Effects};
use crate::memory::{OverBudget, Reservation};
use crate::service::call::given_up;
use crate::service::context::Bounds;
use crate::service::{CallRecord, Method, TransportKind};
use crate::wire::error::RpcError;
use answer::Unsent;
use bytes::Bytes;
use calling::Calling;
use http::StatusCode;
use http::request::Parts;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// Why a request was not dispatched.
pub(super) type Refusal = (StatusCode, RpcError);

/// What a record says in place of a status when the client was gone before there was an answer. Servers commonly log 499
/// then, which is no registered status.
const CLIENT_GONE: StatusCode = match StatusCode::from_u16(499) {
    Ok(status) => status,
    Err(_) => StatusCode::BAD_REQUEST,
};

/// A request that the memory budget has no room for.
fn no_room(error: OverBudget) -> Refusal {
    (StatusCode::SERVICE_UNAVAILABLE, error.into())
}

fn bad_request(error: RpcError) -> Refusal {
    (StatusCode::BAD_REQUEST, error)
}

/// One request, from its head to its response.
///
/// It borrows nothing. It may be parked for any time, moved between threads and dropped at any step, which ends its call
/// for its listeners and gives back its sticky session. [`hang_up`](Self::hang_up) does the same and gives the call's record.
pub struct Transaction {
    endpoint: Arc<Endpoint>,
    stage: Stage,
    /// What is known of the request, while the stage does not have it.
    visit: Option<Box<Visit>>,
    body: Option<Body>,
    bounds: Arc<Bounds>,
    effects: Effects,
    /// What came for effects while work was out that has the table of them.
    arrived: Vec<Arrived>,
}

enum Stage {
    /// The service is to be started first, or that work is out.
    Starting {
        is_out: bool,
    },
    Authenticating {
        found: Found,
        asked: Option<(EffectId, Box<str>)>,
    },
    /// Another call has the sticky session.
    Waiting(Target, Box<Waiting>),
    /// The body is to come.
    Body(Target, Option<Box<CallSession>>),
    Vending(EffectId),
    /// The next step of the call is to be run.
    Ready(Box<Calling>),
    Running,
    /// The call waits for an effect.
    Parked(Box<Calling>),
    Answered(Box<Unsent>),
    Over,
}

/// What a request with a body or a session is for.
#[derive(Clone, Debug)]
enum Target {
    Method(Arc<Method>, Part),
    UploadUrls,
    /// There is no body to this.
    EndSession,
}

enum Arrived {
    Data(EffectId, Bytes),
    Completed(EffectId, Completion),
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &self.stage {
            Stage::Starting { .. } => "starting",
            Stage::Authenticating { .. } => "authenticating",
            Stage::Waiting(..) => "waiting for the session",
            Stage::Body(..) => "waiting for the body",
            Stage::Vending(_) => "vending URLs",
            Stage::Ready(_) => "ready",
            Stage::Running => "running",
            Stage::Parked(_) => "parked",
            Stage::Answered(_) => "answered",
            Stage::Over => "over",
        };
        f.debug_struct("Transaction")
            .field("visit", &self.visit)
            .field("stage", &stage)
            .finish_non_exhaustive()
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // Its work, if it is out, is for nobody.
        self.bounds.client_gone();
    }
}

impl Endpoint {
    /// Begins a request whose head has come.
    pub fn begin(self: &Arc<Self>, head: Parts, arrival: Arrival) -> Transaction {
        let visit = Box::new(self.visit(head, arrival));
        let bounds = visit.bounds.clone();
        let stage = if self.service.is_started(TransportKind::Http) {
            Stage::Authenticating { found: Found::default(), asked: None }
        } else {
            Stage::Starting { is_out: false }
        };
        let (effects, arrived) = (Effects::default(), Vec::new());
        Transaction {
            endpoint: self.clone(),
            stage,
            visit: Some(visit),
            body: None,
            bounds,
            effects,
            arrived,
        }
    }
}

/// Getters.
impl Transaction {
    /// The most bytes of body that are of use. A driver reads no more of it, and gives [`Body::TooLarge`].
    pub fn max_body_bytes(&self) -> u64 {
        match self.stage {
            Stage::Body(Target::EndSession, _) => 0,
            _ => self.endpoint.max_body_bytes(),
        }
    }
}

/// Bytes in.
impl Transaction {
    /// Takes the body. It may come before it is [needed](Next::NeedBody), such as when it is small.
    pub fn receive_body(&mut self, body: Body) {
        self.body = Some(body);
    }

    /// Takes a piece of an effect's data in, before the effect is [completed](Self::complete_effect).
    pub fn receive_effect_data(&mut self, id: EffectId, data: Bytes) {
        self.arrive(Arrived::Data(id, data));
    }
}

/// Commands.
impl Transaction {
    /// Takes back what work gave. Does nothing when no work is out.
    pub fn complete(&mut self, done: Done) {
        match (done.0, &self.stage) {
            (Outcome::Started(result), Stage::Starting { .. }) => match result {
                Ok(()) => {
                    self.stage = Stage::Authenticating { found: Found::default(), asked: None };
                }
                Err(_) => {
                    // Nobody is authenticated yet, and why a service does not start is no stranger's business.
                    let text = "the service could not be started\n";
                    self.reply(Reply::text(StatusCode::INTERNAL_SERVER_ERROR, text));
                }
            },
            (Outcome::Called(mut calling), Stage::Running) => {
                self.effects = std::mem::take(&mut calling.effects);
                self.stage = match calling.take_answer() {
                    Some(answer) => Stage::Answered(answer),
                    None => Stage::Parked(calling),
                };
                for arrived in std::mem::take(&mut self.arrived) {
                    self.arrive(arrived);
                }
            }
            _ => {}
        }
    }

    /// The work that is out was dropped and gives nothing: the request is answered with 500. Does nothing when none is
    /// out.
    pub fn lose_work(&mut self) {
        if let Stage::Running | Stage::Starting { is_out: true } = self.stage {
            let response = self.endpoint.bare(StatusCode::INTERNAL_SERVER_ERROR);
            let answer = Answer { response, record: None, memory: Reservation::default() };
            self.stage = Stage::Answered(Box::new(answer.into()));
        }
    }

    /// The client is gone: ends the request, and gives the record of its call if that had begun and no work is out. If work
    /// is, [`Done::take_record`] gives it. `now` is the time since the Unix epoch.
    pub fn hang_up(&mut self, now: Duration) -> Option<CallRecord> {
        self.abandon(&given_up(), CLIENT_GONE, now)
    }

    /// As [`hang_up`](Self::hang_up), for a client that is there and was answered with this status, and not from here. The
    /// record says that the call failed with this error.
    pub fn abandon(&mut self, error: &RpcError, status: StatusCode, now: Duration) -> Option<CallRecord> {
        self.effects.withdraw_all();
        self.bounds.client_gone();
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Ready(mut calling) | Stage::Parked(mut calling) => calling.give_up(error, status, now),
            Stage::Answered(answer) => answer.into_record(error, status),
            _ => None,
        }
    }

    /// Completes an effect. Does nothing when it is not out any more.
    pub fn complete_effect(&mut self, id: EffectId, completion: Completion) {
        self.arrive(Arrived::Completed(id, completion));
    }
}

/// What comes next.
impl Transaction {
    /// What the request needs next. `now` is the time since the Unix epoch. While the sticky session is waited for,
    /// `waker` is woken when polling again is of use.
    pub fn poll(&mut self, now: Duration, waker: &Waker) -> Next {
        loop {
            if let Some(visit) = &mut self.visit {
                visit.now = now;
            }
            match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::Starting { is_out: true } => {
                    self.stage = Stage::Starting { is_out: true };
                    return Next::Waiting;
                }
                Stage::Starting { is_out: false } => {
                    self.stage = Stage::Starting { is_out: true };
                    return Next::Work(Work::start(self.endpoint.service.clone()));
                }
                Stage::Authenticating { found, asked } => {
                    if !self.authenticate(found, asked, waker) {
                        return Next::Waiting;
                    }
                }
                Stage::Waiting(target, waiting) => {
                    if !self.wait_for_session(target, waiting, waker) {
                        return Next::Waiting;
                    }
                }
                Stage::Body(target, session) => match (target, self.body.take()) {
                    (Target::EndSession, _) => {
                        let reply =
                            session.map_or_else(|| Reply::empty(StatusCode::OK), |session| session.end());
                        self.reply(reply);
                    }
                    (target, Some(body)) => self.take_body(target, session, body),
                    (target, None) => {
                        self.stage = Stage::Body(target, session);
                        return Next::NeedBody;
                    }
                },
                Stage::Vending(id) => {
                    if !self.vend(id) {
                        return Next::Waiting;
                    }
                }
                Stage::Ready(mut calling) => {
                    calling.effects = std::mem::take(&mut self.effects);
                    self.stage = Stage::Running;
                    return Next::Work(Work::call(calling));
                }
                Stage::Running => {
                    self.stage = Stage::Running;
                    return Next::Waiting;
                }
                Stage::Parked(calling) => {
                    if calling.can_go_on(&self.effects) {
                        self.stage = Stage::Ready(calling);
                    } else {
                        self.stage = Stage::Parked(calling);
                        return Next::Waiting;
                    }
                }
                Stage::Answered(answer) => {
                    self.effects.withdraw_all();
                    return Next::Answer(answer.hand_out());
                }
                Stage::Over => return Next::Over,
            }
        }
    }

    /// What is to be done with effects. Call it after [`poll`](Self::poll) until it returns `None`.
    pub fn poll_effect(&mut self) -> Option<EffectEvent> {
        self.effects.poll()
    }
}
