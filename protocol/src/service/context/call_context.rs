//! The context of a call: what a handler can learn about the call and its connection, and how it sends logs.

use super::declaration::Declaration;
use super::log_room::LogRoom;
use super::session::SessionAccess;
use super::shared_access::SharedAccess;
use crate::Limits;
use crate::auth_context::AuthContext;
use crate::description::MethodKind;
use crate::ipc::Metadata;
use crate::memory::Account;
use crate::panics;
use crate::peer_identity::PeerEvidence;
use crate::service::peer::{Peer, TransportKind};
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

/// One call as its handler sees it.
pub struct CallContext {
    pub(crate) method: Arc<Declaration>,
    pub(crate) peer: Arc<Peer>,
    /// The request id that the server made, if the request had none.
    pub(crate) made_id: Option<RequestId>,
    pub(crate) metadata: Metadata,
    /// The time since the Unix epoch, on transports that report it. HTTP does.
    pub(crate) now: Option<Duration>,
    pub(crate) logs: Vec<LogMessage>,
    /// Memory reserved for the logs.
    pub(crate) logs_held: usize,
    /// The number of logs that were left out for lack of room.
    pub(crate) left_out: u64,
    /// Receives logs at once, while a handler runs whose logs may be sent early.
    pub(crate) live_logs: Option<Arc<dyn LogSink>>,
    pub(crate) budget: ResponseBudget,
    pub(crate) session: Option<Box<dyn SessionAccess>>,
    /// How the call may use shared memory.
    pub(crate) shared: SharedAccess,
    /// The batch of the request or input, if it was read from shared memory.
    pub(crate) resolved: Option<RecordBatch>,
    /// The output, if it was written to shared memory.
    pub(crate) stored: Option<Stored>,
    pub(crate) bounds: Arc<Bounds>,
}

/// Receives the logs of a handler while it runs. See [`Work::run_with_logs`](crate::service::Work::run_with_logs).
pub trait LogSink: Send + Sync {
    /// Receives a log, on the handler's thread. It counts as waiting until it is passed to
    /// [`Responder::log`](crate::service::Responder::log), or the call has ended.
    ///
    /// # Errors
    /// The log, if it cannot be accepted now. This log and all later ones are then kept until the handler returns.
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
        // It was made from text.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    #[cfg(feature = "http")]
    pub(crate) fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

/// The memory limits of a call, and whether its client is still connected.
#[derive(Debug, Default)]
pub(crate) struct Bounds {
    /// Limits for records that are decoded.
    pub(crate) limits: Arc<Limits>,
    /// The account in which memory is reserved.
    pub(crate) account: Account,
    /// Room for its logs.
    pub(crate) log_room: LogRoom,
    /// Whether the client has disconnected, or its connection was abandoned.
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

/// The hard limit and the preferred size of a call's response, on transports that limit it. HTTP does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResponseBudget {
    /// The maximum size. A larger response is replaced by an error.
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

    /// Clears everything that belongs to one call, but keeps the memory.
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

    /// Reuses the context for another call of the same connection, after [`clear`](Self::clear).
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

    /// Returns the name of the protocol that owns the method.
    pub fn protocol(&self) -> &str {
        &self.method.protocol
    }

    /// Returns the name of the method.
    pub fn method(&self) -> &str {
        &self.method.info.name
    }

    /// Returns whether the method is unary, or which kind of stream it opens.
    pub fn kind(&self) -> MethodKind {
        self.method.info.kind
    }

    /// Returns the parameters that the method declares: one field each, in order. When [hooks](crate::service::CallHook) are notified of a
    /// call, the request has not yet been checked against them.
    pub fn declared_parameters(&self) -> &SchemaRef {
        &self.method.info.params
    }

    /// Returns the kind of transport that carries the call.
    pub fn transport(&self) -> TransportKind {
        self.peer.transport
    }

    /// Returns the connection's client.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Returns the time since the Unix epoch when the handler began, on transports that report it.
    pub(crate) fn now(&self) -> Option<Duration> {
        self.now
    }

    /// Returns the id of the server instance.
    pub fn server_id(&self) -> &str {
        &self.peer.server_id
    }

    /// Returns the id that correlates the call with its logs and errors.
    pub fn request_id(&self) -> &str {
        let own = self.metadata.get_str(keys::REQUEST_ID);
        self.made_id.as_ref().map(RequestId::as_str).or(own).unwrap_or_default()
    }

    /// Returns the request's metadata.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Returns the caller's W3C trace context, if it sent one in the request's metadata or, over HTTP, in the headers. The
    /// metadata take precedence.
    pub fn traceparent(&self) -> Option<&str> {
        let of_headers = || self.peer.headers.as_ref()?.traceparent.as_deref();
        self.metadata.get_str(keys::TRACEPARENT).or_else(of_headers)
    }

    /// Returns the W3C trace state that the caller sent with [`traceparent`](Self::traceparent), in the same place.
    pub fn tracestate(&self) -> Option<&str> {
        if self.metadata.contains_key(keys::TRACEPARENT) {
            return self.metadata.get_str(keys::TRACESTATE);
        }
        self.peer.headers.as_ref()?.tracestate.as_deref()
    }

    /// Returns the value that the protocol [shares](crate::service::Protocol::share), if it is a `T`.
    pub fn shared<T: Any>(&self) -> Option<&T> {
        self.method.shared.as_deref()?.downcast_ref()
    }

    /// Returns who made the call.
    pub fn auth(&self) -> &AuthContext {
        &self.peer.auth
    }

    /// Returns the evidence of the client's identity. It does not say what the client may do: [`auth`](Self::auth) does, as far
    /// as the [policy](crate::peer_identity::Policy) accepts evidence.
    pub fn peer_evidence(&self) -> &PeerEvidence {
        &self.peer.evidence
    }

    /// Returns whether the context belongs to a call within these bounds.
    pub(crate) fn is_within(&self, bounds: &Arc<Bounds>) -> bool {
        Arc::ptr_eq(&self.bounds, bounds)
    }

    /// Returns true once the client is known to have disconnected, so that it will not receive the result. A long-running handler
    /// should check this from time to time and return any error. It stays false on transports that detect a disconnect only when
    /// they send, such as pipes.
    pub fn is_client_gone(&self) -> bool {
        self.bounds.is_client_gone()
    }

    /// Returns how large a response may be.
    pub fn response_budget(&self) -> ResponseBudget {
        self.budget
    }

    /// Returns the state of the call's sticky session, if it is a `T`. No other call of the session runs at the same time.
    pub fn session<T: Any + Send>(&mut self) -> Option<&mut T> {
        self.session.as_mut()?.state()?.downcast_mut()
    }

    /// Returns the id of the call's sticky session, for logs: 24 hex digits.
    pub fn session_id(&self) -> Option<String> {
        self.session.as_ref()?.id()
    }

    /// Opens a sticky session, to which this call and the client's later calls belong. The state is dropped when the session is
    /// closed, expires or the server shuts down. If `lifetime` is `None`, the server's default applies.
    ///
    /// # Errors
    /// If the transport or the server has no sticky sessions, the client did not request one, the call already belongs to a
    /// session, or the server is draining.
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

    /// Ends the call's sticky session and drops its state. Returns false if there is none.
    pub fn close_session(&mut self) -> bool {
        self.session.as_mut().is_some_and(|session| session.close())
    }

    /// Sends a log to the client, before the handler's next result or batch. In a unary call on a byte stream it is sent at once
    /// if the driver supports that.
    ///
    /// This never blocks. A log is left out if the waiting logs use too much memory, which [`Limits::max_waiting_logs`] and the
    /// budget limit. The client is sent the number of logs that were left out.
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

    /// Takes the logs, which are about to be encoded, and the number of those that were left out.
    pub(crate) fn take_logs(&mut self) -> (Vec<LogMessage>, u64) {
        if self.logs_held > 0 {
            self.bounds.log_room.give_back(std::mem::take(&mut self.logs_held));
        }
        (std::mem::take(&mut self.logs), std::mem::take(&mut self.left_out))
    }
}
