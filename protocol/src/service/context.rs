//! What a handler knows of its call and its connection, and how it speaks to the client beside the answer.

use super::method::Method;
use crate::ipc::Metadata;
use crate::wire::keys;
use crate::wire::log::LogMessage;
use std::any::Any;
use std::fmt;
use std::sync::Arc;

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
    /// Where the client is, as `IP:PORT`; `None` on transports that have no addresses.
    pub remote_address: Option<String>,
    /// The client process, on transports that know it.
    pub credentials: Option<Credentials>,
}

/// The process at the other end of a unix socket, as the kernel vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Process id.
    pub pid: i32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Peer {
    /// A connection over this transport to this server.
    pub fn new(transport: TransportKind, server_id: impl Into<Arc<str>>) -> Self {
        Self { transport, server_id: server_id.into(), remote_address: None, credentials: None }
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
}

/// One call as its handler sees it.
#[derive(Debug)]
pub struct CallContext {
    pub(crate) method: Arc<Method>,
    pub(crate) peer: Arc<Peer>,
    /// The id that the server made, when the request came without one.
    pub(crate) made_id: Option<Box<str>>,
    pub(crate) metadata: Metadata,
    pub(crate) logs: Vec<LogMessage>,
}

impl CallContext {
    /// Name of the protocol that owns the method.
    pub fn protocol(&self) -> &str {
        self.method.protocol()
    }

    /// Name of the method.
    pub fn method(&self) -> &str {
        &self.method.info().name
    }

    /// Kind of the transport that carries the call.
    pub fn transport(&self) -> TransportKind {
        self.peer.transport
    }

    /// The connection that carries the call.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The server instance that answers.
    pub fn server_id(&self) -> &str {
        &self.peer.server_id
    }

    /// Correlates the call with its logs and errors.
    pub fn request_id(&self) -> &str {
        let own = self.metadata.get_str(keys::REQUEST_ID);
        self.made_id.as_deref().or(own).unwrap_or_default()
    }

    /// Metadata of the request, whole.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// W3C trace context of the caller, if it sent one.
    pub fn traceparent(&self) -> Option<&str> {
        self.metadata.get_str(keys::TRACEPARENT)
    }

    /// W3C trace state of the caller, if it sent one.
    pub fn tracestate(&self) -> Option<&str> {
        self.metadata.get_str(keys::TRACESTATE)
    }

    /// The value that the protocol [shares](super::Protocol::share), if it is a `T`.
    pub fn shared<T: Any>(&self) -> Option<&T> {
        self.method.shared.as_deref()?.downcast_ref()
    }

    /// Sends a log to the client, ahead of what the handler returns or emits next.
    pub fn log(&mut self, message: LogMessage) {
        self.logs.push(message);
    }
}
