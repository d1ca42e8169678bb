//! The service: methods with and without sticky sessions, with admission and authentication that use effects; and counts
//! of everything that must end.

use crate::support::limits;
use crate::support::panics::ON_PURPOSE;
use crate::support::service::{SERVER_ID, protocols};
use arrow_schema::DataType;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_protocol::effect::{Answers, Question};
use vgi_rpc_protocol::http::auth::{AuthContext, AuthError, AuthRequest, Reason, bearer};
use vgi_rpc_protocol::http::token::{KeyRing, TokenKey};
use vgi_rpc_protocol::http::{Endpoint, Sticky};
use vgi_rpc_protocol::service::{
    CallContext, CallHook, CallRecord, CallScope, Method, Protocol, Service, Stop,
};
use vgi_rpc_protocol::wire::error::RpcError;

/// Opens, uses and closes sticky sessions.
pub const SESSIONS: &str = "fuzz.Sessions.v1";
/// Metadata key of the questions for a call's admission: one letter for each.
pub const ASKS: &str = "fuzz.asks";
/// The most sessions at a time.
pub const MAX_SESSIONS: usize = 3;

/// A question. Its answer is a copy of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The asker: the id of a request, or a caller's token.
    pub who: String,
    /// The index of the question among those of its asker.
    pub place: usize,
}

impl Asked {
    fn question(who: &str, place: usize) -> Question {
        Question::new(Self { who: who.to_owned(), place })
    }
}

/// Counts what began on this thread, and what has ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub started: usize,
    pub ended: usize,
    /// Live states of sessions.
    pub sessions: usize,
}

thread_local! {
    static TALLY: Cell<Tally> = const { Cell::new(Tally { started: 0, ended: 0, sessions: 0 }) };
    /// How often calls have started and ended, by their request ids.
    static CALLS: RefCell<HashMap<String, (usize, usize)>> = RefCell::default();
}

pub fn reset() {
    TALLY.set(Tally::default());
    CALLS.take();
}

pub fn tally() -> Tally {
    TALLY.get()
}

/// Returns how often the call of a request has started and ended.
pub fn call(id: &str) -> (usize, usize) {
    CALLS.with_borrow(|calls| calls.get(id).copied().unwrap_or_default())
}

fn change(change: impl FnOnce(&mut Tally)) {
    let mut tally = TALLY.get();
    change(&mut tally);
    TALLY.set(tally);
}

struct Listener;

impl CallHook for Listener {
    fn on_start(&self, call: &CallContext) -> Option<Box<dyn CallScope>> {
        change(|tally| tally.started += 1);
        let id = call.request_id().to_owned();
        CALLS.with_borrow_mut(|calls| calls.entry(id.clone()).or_default().0 += 1);
        Some(Box::new(Scope { id, is_inside: false, has_ended: false }))
    }
}

struct Scope {
    id: String,
    is_inside: bool,
    has_ended: bool,
}

impl CallScope for Scope {
    fn enter(&mut self) {
        assert!(!self.is_inside && !self.has_ended, "a handler runs once at a time, and before its call's end");
        self.is_inside = true;
    }

    fn exit(&mut self) {
        assert!(self.is_inside, "only a running handler returns");
        self.is_inside = false;
    }

    fn end(&mut self, _: &CallRecord) {
        assert!(!self.has_ended, "a call ends once");
        self.has_ended = true;
        change(|tally| tally.ended += 1);
        CALLS.with_borrow_mut(|calls| calls.entry(self.id.clone()).or_default().1 += 1);
    }
}

/// The state of a session.
struct Session(i64);

impl Session {
    fn new() -> Self {
        change(|tally| tally.sessions += 1);
        Self(0)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        change(|tally| tally.sessions -= 1);
    }
}

fn sessions() -> Protocol {
    Protocol::new(SESSIONS).methods([
        Method::new("open").returns(DataType::Int64).unary(|_, context| {
            context.open_session(Session::new(), None)?;
            Ok(0_i64)
        }),
        Method::new("open_briefly").unary(|_, context| {
            context.open_session(Session::new(), Some(Duration::from_secs(3)))?;
            Ok(())
        }),
        Method::new("touch").returns(DataType::Int64).unary(|_, context| {
            let state = context.session::<Session>().ok_or_else(|| RpcError::value_error("no session"))?;
            state.0 += 1;
            Ok(state.0)
        }),
        Method::new("close").unary(|_, context| {
            context.close_session();
            Ok(())
        }),
        Method::new("close_and_open").unary(|_, context| {
            context.close_session();
            context.open_session(Session::new(), None)?;
            Ok(())
        }),
        Method::new("panic").unary(|_, context| -> Result<(), RpcError> {
            context.open_session(Session::new(), None)?;
            std::panic::panic_any(ON_PURPOSE)
        }),
    ])
}

/// Letters: `a` asks one question, `e` asks endlessly, `p` panics, `r` refuses.
fn admit(context: &CallContext, answers: &Answers) -> Result<(), Stop> {
    let asks = context.metadata().get(ASKS).unwrap_or_default();
    let who = context.request_id();
    let ask = |place: usize| {
        let asked = Asked { who: who.to_owned(), place };
        let answer = answers.ask(&place.to_string(), || Asked::question(who, place))??;
        if let Some(other) = answer.value::<Asked>() {
            assert_eq!(*other, asked, "an answer to this question");
        }
        Ok::<_, Stop>(())
    };
    for (place, letter) in asks.iter().enumerate().take(8) {
        match letter {
            b'e' => (place..).try_for_each(ask)?,
            b'p' => std::panic::panic_any(ON_PURPOSE),
            b'r' => return Err(RpcError::permission_error("as it was asked").into()),
            _ => ask(place)?,
        }
    }
    Ok(())
}

/// A token is a name and the number of questions needed to resolve it.
fn authenticate(token: &str, request: &AuthRequest<'_>) -> Result<AuthContext, AuthError> {
    let (name, asks) = token.split_once('/').unwrap_or((token, "0"));
    let asks = asks.parse().unwrap_or(usize::MAX);
    for place in 0..asks {
        let answer = request.ask(&place.to_string(), || Asked::question(token, place))?;
        match answer.value::<Asked>() {
            Some(own) => assert_eq!((&*own.who, own.place), (token, place), "an answer to this question"),
            None => return Err(AuthError::refused(Reason::InvalidCredential, "unknown token")),
        }
    }
    Ok(AuthContext::new("test", name))
}

/// Returns the service of both kinds of machine, not yet started.
pub fn new() -> Arc<Service> {
    let service = Service::builder(SERVER_ID).protocol(sessions()).hook(Listener).admit(admit);
    let service = protocols().into_iter().fold(service, |service, protocol| service.protocol(protocol));
    Arc::new(service.build().expect("the service is well-formed"))
}

/// Returns a new endpoint, whose output is the same as that of another one made this way.
pub fn endpoint(service: &Arc<Service>) -> Arc<Endpoint> {
    let drawn = AtomicU64::new(1);
    let entropy = move |memory: &mut [u8]| {
        for chunk in memory.chunks_mut(8) {
            let bits = drawn.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            chunk.copy_from_slice(&bits.to_le_bytes()[..chunk.len()]);
        }
    };
    let mut sticky = Sticky::default();
    sticky.max_sessions = MAX_SESSIONS;
    sticky.max_waiting = 2;
    let endpoint = Endpoint::builder(service.clone(), entropy)
        .limits(limits())
        .record_calls(true)
        .token_keys(KeyRing::new(TokenKey::new([2; 32]), []))
        .cached_calls(2)
        .max_request_bytes(Some(1 << 20))
        .authenticate(bearer(authenticate))
        .sticky(sticky)
        .upload_urls(Some(1 << 20));
    endpoint.build().expect("it is well configured")
}
