//! Errors of calls.

use crate::shape::WrongKind;
use arrow_schema::ArrowError;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_protocol::values::ValueError;
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::{CommandError, ConnectionError, OneLine};

/// A call that did not return a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The server answered with an error, or the answer was not acceptable. The client can continue.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The transport failed: the server is gone, took too long, or did not respond to the call.
    /// [`transport_cause`](Self::transport_cause) returns the transport's own error.
    #[error("{0}")]
    Transport(TransportError),
    /// The server violated the protocol. The client can no longer be used.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The connection failed in an earlier call, or the answer to that call is still outstanding, as after a timeout. Nothing of
    /// this call was sent. Reconnect.
    #[error("the connection cannot be used any more since an earlier call failed: {reason}")]
    Unusable {
        /// The error of the earlier call.
        reason: String,
    },
    /// The method is not of the kind it was called as. The client can continue.
    #[error(transparent)]
    WrongKind(#[from] Box<WrongKind>),
    /// A value does not fit: a parameter or a row, of which nothing was sent, or a result that is not a value of the expected
    /// type. The client can continue.
    #[error("{0}")]
    Value(ValueError),
    /// The caller's batch does not fit, or the call cannot be made now.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The server answered with a pointer to external data, which this client is not configured to fetch: see
    /// [`Client::external`](crate::Client::external).
    #[error("the answer is a pointer to data that this client was not set up to fetch")]
    Pointer,
}

impl CallError {
    /// Returns the transport's own error, if the transport failed and its error is a `T`.
    pub fn transport_cause<T: Error + 'static>(&self) -> Option<&T> {
        match self {
            Self::Transport(error) => error.downcast_ref(),
            _ => None,
        }
    }
}

impl From<ArrowError> for CallError {
    fn from(error: ArrowError) -> Self {
        Self::Command(error.into())
    }
}

impl From<TransportError> for CallError {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}

/// A failure of the transport. Its type depends on the transport: see [`downcast_ref`](Self::downcast_ref).
#[derive(Clone, Debug)]
pub struct TransportError {
    cause: Arc<dyn Error + Send + Sync>,
    io_kind: Option<io::ErrorKind>,
    may_have_reached_server: bool,
    client_is_usable: bool,
    may_be_retried: bool,
    retry_after: Option<Duration>,
}

impl TransportError {
    /// Creates a failure after which the client can no longer be used. The request may have reached the server.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let cause = Arc::<dyn Error + Send + Sync>::from(cause.into());
        Self {
            io_kind: cause.downcast_ref::<io::Error>().map(io::Error::kind),
            cause,
            may_have_reached_server: true,
            client_is_usable: false,
            may_be_retried: true,
            retry_after: None,
        }
    }

    /// Sets whether any of the request may have reached the server. If not, the call can be retried on another connection.
    pub fn sent(mut self, sent: bool) -> Self {
        self.may_have_reached_server = sent;
        self
    }

    /// Sets the class of the failure, for a cause that is not an [`io::Error`] itself.
    pub fn kind(mut self, kind: io::ErrorKind) -> Self {
        self.io_kind = Some(kind);
        self
    }

    /// Marks the client as usable for further calls.
    pub fn usable(mut self) -> Self {
        self.client_is_usable = true;
        self
    }

    /// Sets whether the call may succeed when it is retried. Default true.
    pub fn retriable(mut self, retriable: bool) -> Self {
        self.may_be_retried = retriable;
        self
    }

    /// Sets how long the server asks to wait before a retry.
    pub fn after(mut self, delay: impl Into<Option<Duration>>) -> Self {
        self.retry_after = delay.into();
        self
    }

    /// Adds a text to a system call's error.
    pub(crate) fn with_hint(self, hint: &str) -> Self {
        match self.cause.downcast_ref::<io::Error>() {
            Some(error) => {
                let cause = Arc::new(io::Error::new(error.kind(), format!("{error}; {hint}")));
                Self { cause, ..self }
            }
            None => self,
        }
    }

    /// Whether any of the request may have reached the server. If not, the call can be retried on another connection.
    pub fn may_have_reached_server(&self) -> bool {
        self.may_have_reached_server
    }

    /// Whether the client can make further calls. If not, reconnect.
    pub fn client_is_usable(&self) -> bool {
        self.client_is_usable
    }

    /// Whether the call may succeed when it is retried.
    pub fn may_be_retried(&self) -> bool {
        self.may_be_retried
    }

    /// Returns how long the server asks to wait before a retry.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns the transport's own error, if it is a `T`, or an [`io::Error`] that contains one.
    pub fn downcast_ref<T: Error + 'static>(&self) -> Option<&T> {
        let inner = || self.cause.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref();
        self.cause.downcast_ref().or_else(inner)
    }

    /// Returns the class of the failure, if a system call failed or timed out.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        self.io_kind
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause.downcast_ref::<io::Error>() {
            Some(error) => write!(f, "the transport failed: {}", OneLine(error)),
            None => write!(f, "{}", OneLine(&self.cause)),
        }
    }
}

impl Error for TransportError {}

/// The server closed the connection while an answer was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server closed the connection during the call")]
pub struct ServerGone;
