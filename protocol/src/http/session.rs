//! A call's sticky session: resumed by its token, opened or closed by the handler, and sent to the client.

use super::endpoint::Endpoint;
use super::headers;
use super::request_context::RequestContext;
use super::response_draft::ResponseDraft;
use super::sticky::{OpenError, Quota, SessionGuard, SessionId, TakeError, Taken, Ticket};
use super::token::{Binding, SessionToken};
use crate::panics;
use crate::service::SessionAction;
use crate::service::context::SessionAccess;
use crate::wire::code::Code;
use crate::wire::detail::RetryInfo;
use crate::wire::error::{RpcError, kind};
use http::{HeaderName, HeaderValue, StatusCode};
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// The session of a call.
pub(crate) struct CallSession {
    endpoint: Arc<Endpoint>,
    held: Option<SessionGuard>,
    /// The owner whose sessions the caller may use.
    owner: String,
    /// The quota of sessions that the caller opens.
    quota: Option<Quota>,
    binding: Binding,
    /// Whether the client supports sessions.
    accepted: bool,
    now: Duration,
    action: SessionAction,
    /// The id of the session that was used last.
    id: Option<String>,
    /// The token of an opened session, to be sent to the client.
    token: Option<String>,
    closed: bool,
}

impl fmt::Debug for CallSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallSession").field("action", &self.action).finish_non_exhaustive()
    }
}

fn not_opened(error: OpenError) -> RpcError {
    let text = error.to_string();
    match error {
        OpenError::Draining => RpcError::of_kind(kind::SERVER_DRAINING, "ServerDrainingError", text)
            .with_detail(RetryInfo::after(ELSEWHERE)),
        OpenError::TooMany { .. } | OpenError::QuotaReached { .. } => {
            RpcError::runtime_error(text).with_code(Code::ResourceExhausted)
        }
        _ => RpcError::runtime_error(text),
    }
}

/// How long a client should wait before it retries, as in the reference: another server can be found in this time.
const ELSEWHERE: Duration = Duration::from_secs(1);

/// Returns the error of a call that cannot resume its session.
pub(super) fn not_resumed(error: TakeError) -> RpcError {
    let text = error.to_string();
    match error {
        TakeError::Lost => RpcError::of_kind(kind::SESSION_LOST, "SessionLostError", text),
        TakeError::Busy { .. } => RpcError::runtime_error(text).with_code(Code::ResourceExhausted),
    }
}

/// The result of resuming a request's sticky session.
pub(super) enum Resumed {
    /// The server has no sticky sessions.
    Without,
    /// The session that the request names, or one that can be opened.
    Session(Box<CallSession>),
    /// Another call uses the session.
    Wait(Box<Waiting>),
}

/// A request in the queue for its session.
pub(super) struct Waiting {
    ticket: Ticket,
    session: Box<CallSession>,
}

impl Waiting {
    /// Returns the session when it is this request's turn.
    pub(super) fn poll(&mut self, now: Duration, waker: &Waker) -> Result<Option<SessionGuard>, TakeError> {
        self.session.now = now;
        self.ticket.poll(now, waker)
    }

    pub(super) fn resumed(self, held: SessionGuard) -> Box<CallSession> {
        let mut session = self.session;
        session.resume(held);
        session
    }
}

impl Endpoint {
    /// Takes the session that a request resumes.
    pub(super) fn resume_session(
        self: &Arc<Self>,
        request: &RequestContext,
        waker: &Waker,
    ) -> Result<Resumed, TakeError> {
        let Some(sessions) = self.sessions() else { return Ok(Resumed::Without) };
        let mut session = Box::new(CallSession {
            endpoint: self.clone(),
            held: None,
            owner: request.identity().owner_key(),
            quota: self.session_quota(request),
            binding: Binding::server(&request.identity()),
            accepted: request
                .header(headers::SESSION_ACCEPT)
                .is_some_and(|value| value.trim().eq_ignore_ascii_case("true")),
            now: request.now,
            action: SessionAction::None,
            id: None,
            token: None,
            closed: false,
        });
        sessions.expire(request.now);
        // A proxy may send an empty header to remove it.
        if request.head.headers.get_all(headers::SESSION).iter().any(|token| !token.is_empty()) {
            let id = self.session_named(request)?;
            match sessions.take(id, &session.owner, request.now, waker)? {
                Taken::Now(held) => session.resume(held),
                Taken::Wait(ticket) => return Ok(Resumed::Wait(Box::new(Waiting { ticket, session }))),
            }
        }
        Ok(Resumed::Session(session))
    }

    /// Returns the quota of sessions that this caller opens.
    fn session_quota(&self, request: &RequestContext) -> Option<Quota> {
        let limits = &self.settings.session_quotas;
        Quota::of_principal(&request.identity(), limits.per_principal).or_else(|| {
            let limit = limits.per_anonymous_address?;
            // Callers without an address share one account.
            Some(Quota::of_address(request.peer.remote_address.as_deref().unwrap_or_default(), limit))
        })
    }

    /// Returns the session that a request's token names. The session is lost unless the token was sealed for this caller and
    /// this server.
    fn session_named(&self, request: &RequestContext) -> Result<SessionId, TakeError> {
        let token = request.header(headers::SESSION).ok_or(TakeError::Lost)?.trim();
        let binding = Binding::server(&request.identity());
        let token = SessionToken::open(self.keys(), &binding, token.as_bytes(), request.now);
        let own = token.ok().filter(|token| *token.server_id == **self.service().server_id());
        own.map(|token| token.session_id).ok_or(TakeError::Lost)
    }
}

impl CallSession {
    fn resume(&mut self, held: SessionGuard) {
        self.id = Some(held.id_hex());
        self.held = Some(held);
        self.action = SessionAction::Resume;
    }

    /// Ends the session for a teardown request. The response is the same if there is no session.
    pub(super) fn end(mut self) -> ResponseDraft {
        match self.held.take() {
            Some(held) => {
                held.close();
                ResponseDraft::empty(StatusCode::NO_CONTENT)
                    .with(headers::SESSION_CLOSE, HeaderValue::from_static("true"))
            }
            None => ResponseDraft::empty(StatusCode::OK),
        }
    }
}

impl Drop for CallSession {
    /// Closes a new session whose token was not sent: no client could use it.
    fn drop(&mut self) {
        if self.token.is_some()
            && let Some(held) = self.held.take()
        {
            held.close();
        }
    }
}

impl CallSession {
    /// Adds the session's headers to the response, and returns the session's action and id for the record.
    pub(crate) fn finish(&mut self, draft: &mut ResponseDraft) -> (SessionAction, Option<String>) {
        if let Some(mut token) = self.token.as_deref().and_then(|token| HeaderValue::from_str(token).ok()) {
            token.set_sensitive(true);
            draft.headers.insert(headers::SESSION, token);
            for (name, value) in self.endpoint.echo_headers() {
                draft.headers.insert(name.clone(), value.clone());
            }
        }
        if self.closed {
            draft.headers.insert(headers::SESSION_CLOSE, HeaderValue::from_static("true"));
        }
        (self.action, self.id.take())
    }

    /// Whether the call opened the session, so that it is closed on drop unless its token is [sent](Self::sent).
    pub(crate) fn is_new(&self) -> bool {
        self.token.is_some()
    }

    /// Reports that the response with the token was returned.
    pub(crate) fn sent(mut self) {
        self.token = None;
    }
}

impl SessionAccess for CallSession {
    fn state(&mut self) -> Option<&mut (dyn Any + Send)> {
        self.held.as_mut().map(SessionGuard::state_mut)
    }

    fn id(&self) -> Option<String> {
        self.held.as_ref().map(SessionGuard::id_hex)
    }

    fn tell_time(&mut self, now: Duration) {
        self.now = now;
    }

    fn open(&mut self, state: Box<dyn Any + Send>, lifetime: Option<Duration>) -> Result<(), RpcError> {
        if !self.accepted {
            panics::discard(state);
            let text = "the client did not ask for a session: expected the header VGI-Session-Accept: true";
            return Err(RpcError::runtime_error(text));
        }
        if self.held.is_some() {
            panics::discard(state);
            return Err(RpcError::runtime_error("the call belongs to a session already"));
        }
        let Some(sessions) = self.endpoint.sessions() else {
            panics::discard(state);
            return Err(RpcError::runtime_error("this server has no sticky sessions"));
        };
        let lifetime = lifetime.unwrap_or(self.endpoint.session_lifetime());
        let id = self.endpoint.random();
        let held = sessions
            .open(state, &self.owner, self.quota.clone(), lifetime, self.now, id)
            .map_err(not_opened)?;
        let server_id = self.endpoint.service().server_id().as_ref();
        let token = SessionToken::new(server_id, id, self.now, held.expires_at());
        match token.seal(self.endpoint.keys(), &self.binding, self.endpoint.random()) {
            Ok(token) => self.token = Some(token),
            Err(error) => {
                // No client could ever resume it.
                held.close();
                return Err(RpcError::runtime_error(error.to_string()));
            }
        }
        self.id = Some(held.id_hex());
        self.held = Some(held);
        self.action = SessionAction::Open;
        Ok(())
    }

    fn close(&mut self) -> bool {
        let Some(held) = self.held.take() else { return false };
        held.close();
        self.token = None;
        self.closed = true;
        self.action = SessionAction::Close;
        true
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

/// Returns a header that tells the client to send another one during its session.
pub(crate) fn echo_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), http::Error> {
    let name = HeaderName::from_bytes(format!("{}{name}", headers::ECHO_PREFIX).as_bytes())?;
    Ok((name, HeaderValue::from_str(value)?))
}
