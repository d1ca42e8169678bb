//! What a handler knows of its call and its connection, and how it speaks to the client beside the answer.

use super::attachment::SharedAccess;
use super::caller_headers::CallerHeaders;
use super::declaration::Declaration;
use super::logs::LogRoom;
use super::proxy_peer::ProxyPeer;
use super::session::SessionAccess;
use super::tls_peer::TlsPeer;
use crate::Limits;
use crate::auth_context::AuthContext;
use crate::description::MethodKind;
use crate::ipc::Metadata;
use crate::memory::Account;
use crate::panics;
use crate::peer_identity::{Credentials, PeerEvidence};
use crate::shm::Stored;
use crate::wire::error::RpcError;
use crate::wire::keys;
use crate::wire::log::LogMessage;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Which kind of transport a call came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportKind {
    /// Two pipes, such as a child process's stdin and stdout.
    Pipe,
    /// An AF_UNIX socket.
    Unix,
    /// A TCP socket.
    Tcp,
    /// HTTP.
    Http,
}

impl TransportKind {
    /// The name that every implementation uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pipe => "pipe",
            Self::Unix => "unix",
            Self::Tcp => "tcp",
            Self::Http => "http",
        }
    }
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is the same for every call of one connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Peer {
    /// The transport that carries the connection.
    pub transport: TransportKind,
    /// The server instance that answers.
    pub server_id: Arc<str>,
    /// Where the client is, as `IP:PORT`; `None` on transports that have no addresses. Behind a [`proxy`](Self::proxy) this is
    /// what the proxy says.
    pub remote_address: Option<String>,
    /// The client process, on transports that know it.
    pub credentials: Option<Credentials>,
    /// What the TLS handshake says of the client; `None` on connections without TLS.
    pub tls: Option<Arc<TlsPeer>>,
    /// What a proxy says that forwards the connection; `None` where there is none, or it says nothing.
    pub proxy: Option<Arc<ProxyPeer>>,
    /// What the headers of the request say of the caller's program and trace, over HTTP; `None` if they say nothing.
    pub headers: Option<Box<CallerHeaders>>,
    /// Who the client is, on transports that authenticate it; nobody elsewhere.
    pub auth: AuthContext,
    /// The evidence of who the client is that
    /// [`peer_authentication`](super::ServiceBuilder::peer_authentication) has found; empty without it. It is there before the
    /// first handler runs.
    pub evidence: PeerEvidence,
}

impl Peer {
    /// A connection over this transport to this server.
    pub fn new(transport: TransportKind, server_id: impl Into<Arc<str>>) -> Self {
        Self {
            transport,
            server_id: server_id.into(),
            remote_address: None,
            credentials: None,
            tls: None,
            proxy: None,
            headers: None,
            auth: AuthContext::anonymous(),
            evidence: PeerEvidence::empty(),
        }
    }

    /// Says where the client is.
    pub fn with_remote_address(mut self, address: impl Into<String>) -> Self {
        self.remote_address = Some(address.into());
        self
    }

    /// Says which process the client is.
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Says what the TLS handshake of the connection says of the client.
    pub fn with_tls(mut self, tls: impl Into<Arc<TlsPeer>>) -> Self {
        self.tls = Some(tls.into());
        self
    }

    /// Says what a proxy says that forwards the connection.
    pub fn with_proxy(mut self, proxy: impl Into<Arc<ProxyPeer>>) -> Self {
        self.proxy = Some(proxy.into());
        self
    }

    /// Says who the client is.
    pub fn with_auth(mut self, auth: AuthContext) -> Self {
        self.auth = auth;
        self
    }
}

/// One call as its handler sees it.
pub struct CallContext {
    pub(crate) method: Arc<Declaration>,
    pub(crate) peer: Arc<Peer>,
    /// The id that the server made, when the request came without one.
    pub(crate) made_id: Option<RequestId>,
    pub(crate) metadata: Metadata,
    /// The time since the Unix epoch, on transports that tell it: HTTP does.
    pub(crate) now: Option<Duration>,
    pub(crate) logs: Vec<LogMessage>,
    /// Room that is taken for them.
    pub(crate) logs_held: usize,
    /// Logs that found no room.
    pub(crate) left_out: u64,
    /// Takes logs at once, while a handler runs that may send them so.
    pub(crate) live_logs: Option<Arc<dyn LogSink>>,
    pub(crate) budget: ResponseBudget,
    pub(crate) session: Option<Box<dyn SessionAccess>>,
    /// What the call may do with shared memory.
    pub(crate) shared: SharedAccess,
    /// The batch of the request or input, if it was read from shared memory.
    pub(crate) resolved: Option<RecordBatch>,
    /// The output, if it was written to shared memory.
    pub(crate) stored: Option<Stored>,
    pub(crate) bounds: Arc<Bounds>,
}

/// Takes the logs of a handler while it runs. See [`Work::run_with_logs`](super::Work::run_with_logs).
pub trait LogSink: Send + Sync {
    /// Takes a log, on the handler's thread. It counts among those that wait until it is given to
    /// [`Responder::log`](super::Responder::log), or the call has ended.
    ///
    /// # Errors
    /// The log, when it cannot be taken now: it and all that follow are kept until the handler returns.
    fn log(&self, message: LogMessage) -> Result<(), LogMessage>;
}

/// The id of a request, whose clones share its bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestId(Bytes);

impl RequestId {
    pub(crate) fn new(id: impl Into<String>) -> Self {
        Self(id.into().into())
    }

    pub(crate) fn as_str(&self) -> &str {
        // It was made of a text.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    #[cfg(feature = "http")]
    pub(crate) fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

/// What a call may make the process hold, and whether anybody waits for it.
#[derive(Debug, Default)]
pub(crate) struct Bounds {
    /// Those of what its records decode to.
    pub(crate) limits: Arc<Limits>,
    /// What it holds is reserved in it.
    pub(crate) account: Account,
    /// Room for its logs.
    pub(crate) log_room: LogRoom,
    /// The client has gone, or its connection is given up.
    is_client_gone: AtomicBool,
}

impl Bounds {
    pub(crate) fn new(limits: Arc<Limits>, account: Account) -> Self {
        let log_room = LogRoom::new(&account, limits.max_waiting_logs);
        Self { limits, account, log_room, is_client_gone: AtomicBool::new(false) }
    }

    pub(crate) fn client_gone(&self) {
        self.is_client_gone.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_client_gone(&self) -> bool {
        self.is_client_gone.load(Ordering::Relaxed)
    }
}

/// Bytes that one response of a call may have and should have, where the transport bounds them: HTTP does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResponseBudget {
    /// The most that a response may have; one that has more is replaced by an error.
    pub limit: Option<u64>,
    /// The size to aim at when batching, never above the limit.
    pub preferred: Option<u64>,
}

impl fmt::Debug for CallContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallContext")
            .field("method", &self.method)
            .field("peer", &self.peer)
            .field("request_id", &self.request_id())
            .finish_non_exhaustive()
    }
}

impl CallContext {
    pub(crate) fn new(
        method: Arc<Declaration>,
        peer: Arc<Peer>,
        made_id: Option<RequestId>,
        metadata: Metadata,
        bounds: Arc<Bounds>,
    ) -> Self {
        Self {
            method,
            peer,
            made_id,
            metadata,
            now: None,
            logs: Vec::new(),
            logs_held: 0,
            left_out: 0,
            live_logs: None,
            budget: ResponseBudget::default(),
            session: None,
            shared: SharedAccess::Off,
            resolved: None,
            stored: None,
            bounds,
        }
    }

    /// Forgets all that is of one call, but keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.made_id = None;
        self.metadata = Metadata::new();
        self.now = None;
        self.logs.clear();
        (self.logs_held, self.left_out) = (0, 0);
        self.live_logs = None;
        self.budget = ResponseBudget::default();
        self.session = None;
        self.shared = SharedAccess::Off;
        (self.resolved, self.stored) = (None, None);
    }

    /// Becomes the context of another call of the same connection, after [`clear`](Self::clear).
    pub(crate) fn begin_anew(
        &mut self,
        method: &Arc<Declaration>,
        made_id: Option<RequestId>,
        metadata: Metadata,
    ) {
        if !Arc::ptr_eq(&self.method, method) {
            self.method = method.clone();
        }
        self.made_id = made_id;
        self.metadata = metadata;
    }

    /// Name of the protocol that owns the method.
    pub fn protocol(&self) -> &str {
        &self.method.protocol
    }

    /// Name of the method.
    pub fn method(&self) -> &str {
        &self.method.info.name
    }

    /// Unary, or which kind of stream.
    pub fn kind(&self) -> MethodKind {
        self.method.info.kind
    }

    /// The parameters that the method declares: one field each, in their order. What the request has is not yet compared with
    /// them where [hooks](super::CallHook) learn of a call.
    pub fn declared_parameters(&self) -> &SchemaRef {
        &self.method.info.params
    }

    /// Kind of the transport that carries the call.
    pub fn transport(&self) -> TransportKind {
        self.peer.transport
    }

    /// The connection that carries the call.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The time since the Unix epoch when the handler began, on transports that tell it.
    pub(crate) fn now(&self) -> Option<Duration> {
        self.now
    }

    /// The server instance that answers.
    pub fn server_id(&self) -> &str {
        &self.peer.server_id
    }

    /// Correlates the call with its logs and errors.
    pub fn request_id(&self) -> &str {
        let own = self.metadata.get_str(keys::REQUEST_ID);
        self.made_id.as_ref().map(RequestId::as_str).or(own).unwrap_or_default()
    }

    /// Metadata of the request, whole.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// W3C trace context of the caller, if it sent one: in the metadata of the request or, over HTTP, in its headers. If both
    /// have one, the metadata count.
    pub fn traceparent(&self) -> Option<&str> {
        let of_headers = || self.peer.headers.as_ref()?.traceparent.as_deref();
        self.metadata.get_str(keys::TRACEPARENT).or_else(of_headers)
    }

    /// W3C trace state that the caller sent beside [`traceparent`](Self::traceparent), in the same place.
    pub fn tracestate(&self) -> Option<&str> {
        if self.metadata.contains_key(keys::TRACEPARENT) {
            return self.metadata.get_str(keys::TRACESTATE);
        }
        self.peer.headers.as_ref()?.tracestate.as_deref()
    }

    /// The value that the protocol [shares](super::Protocol::share), if it is a `T`.
    pub fn shared<T: Any>(&self) -> Option<&T> {
        self.method.shared.as_deref()?.downcast_ref()
    }

    /// Who the call is from.
    pub fn auth(&self) -> &AuthContext {
        &self.peer.auth
    }

    /// The evidence of who the client is. It says nothing of what the client may do: [`auth`](Self::auth) does, as far as the
    /// [policy](crate::peer_identity::Policy) has let evidence count.
    pub fn peer_evidence(&self) -> &PeerEvidence {
        &self.peer.evidence
    }

    /// Whether it is of a call within these bounds.
    pub(crate) fn is_within(&self, bounds: &Arc<Bounds>) -> bool {
        Arc::ptr_eq(&self.bounds, bounds)
    }

    /// Returns true once the client is known to have disconnected, so that it will not receive the result. A long-running handler
    /// should check this from time to time and return any error. It stays false on transports that detect a disconnect only when
    /// they send, such as pipes.
    pub fn is_client_gone(&self) -> bool {
        self.bounds.is_client_gone()
    }

    /// How large a response may be.
    pub fn response_budget(&self) -> ResponseBudget {
        self.budget
    }

    /// The state of the sticky session that the call belongs to, if it is a `T`. No other call of the session runs
    /// at the same time.
    pub fn session<T: Any + Send>(&mut self) -> Option<&mut T> {
        self.session.as_mut()?.state()?.downcast_mut()
    }

    /// Id of the sticky session that the call belongs to, for logs: 24 hex digits.
    pub fn session_id(&self) -> Option<String> {
        self.session.as_ref()?.id()
    }

    /// Opens a sticky session, which this and the client's further calls belong to. The state is dropped when the
    /// session is closed, expires or the server shuts down. `lifetime` is the server's default when left out.
    ///
    /// # Errors
    /// On a transport or server without sticky sessions, when the client did not ask for one, when the call
    /// belongs to a session already, and while the server drains.
    pub fn open_session(
        &mut self,
        state: impl Any + Send,
        lifetime: Option<Duration>,
    ) -> Result<(), RpcError> {
        let Some(session) = &mut self.session else {
            let transport = self.peer.transport;
            let text =
                format!("sticky sessions are not available on this transport ({transport}) and server");
            panics::discard(state);
            return Err(RpcError::runtime_error(text));
        };
        session.open(Box::new(state), lifetime)
    }

    /// Ends the sticky session that the call belongs to, and drops its state. False when there is none.
    pub fn close_session(&mut self) -> bool {
        self.session.as_mut().is_some_and(|session| session.close())
    }

    /// Sends a log to the client, ahead of what the handler returns or emits next. In a unary call on a byte stream it
    /// is sent at once where the driver does so.
    ///
    /// This never waits. A log is left out if those that wait to be sent take too much memory, which
    /// [`Limits::max_waiting_logs`] and the budget bound; the client is told how many were.
    pub fn log(&mut self, mut message: LogMessage) {
        message.cut_to_size();
        let bytes = message.held_bytes();
        if !self.bounds.log_room.take(bytes) {
            self.left_out += 1;
            return;
        }
        let kept = match &self.live_logs {
            Some(sink) => sink.log(message).err(),
            None => Some(message),
        };
        if let Some(message) = kept {
            self.live_logs = None;
            self.logs_held += bytes;
            self.logs.push(message);
        }
    }

    /// Takes the logs out, which are to be encoded now, and how many were left out.
    pub(crate) fn take_logs(&mut self) -> (Vec<LogMessage>, u64) {
        if self.logs_held > 0 {
            self.bounds.log_room.give_back(std::mem::take(&mut self.logs_held));
        }
        (std::mem::take(&mut self.logs), std::mem::take(&mut self.left_out))
    }
}
