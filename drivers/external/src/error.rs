//! Why a transfer failed, and whether another attempt may succeed. No text and no `Debug` contains the secret parts of a URL.

use std::fmt;
use thiserror::Error;
use vgi_rpc_protocol::effect::{Failure, FailureReason};
use vgi_rpc_protocol::external::{Location, ResolveError, ResolveErrorKind, UrlRejected, scrub};

/// Why an object could not be fetched or stored.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{kind}{} ({location})", After(*.attempts))]
pub struct TransferError {
    /// Why the last attempt failed.
    pub kind: TransferErrorKind,
    /// The object's URL, without its secret parts.
    pub location: String,
    /// The number of attempts, at least one.
    pub attempts: u32,
}

/// Why an attempt failed. Texts are from libraries and the system, without the secret parts of the URL.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum TransferErrorKind {
    /// The URL cannot be requested over HTTP.
    #[error("the URL cannot be requested over HTTP")]
    Url,
    /// The URL, the target of a redirect, or every address of its host may not be requested.
    #[error("{0}")]
    UrlRejected(UrlRejected),
    /// The server redirects more often than is followed.
    #[error("redirect limit exceeded: {max} redirects were followed")]
    RedirectLimit {
        /// The limit.
        max: usize,
    },
    /// A redirect has no valid target.
    #[error("the server redirects without a valid Location header")]
    RedirectTarget,
    /// The name of the host cannot be resolved.
    #[error("the name of the host cannot be resolved: {0}")]
    Lookup(String),
    /// The server does not accept connections.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The server's certificate is not accepted, or the server does not support TLS.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// The connection broke before the response was complete.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The response is not HTTP/1.1, or its head is too long.
    #[error("the response is malformed: {0}")]
    Malformed(String),
    /// The response has a status other than success.
    #[error("the server answered with status {0}")]
    Status(u16),
    /// The object was replaced while its ranges were read.
    #[error("the object changed while it was read")]
    Changed,
    /// The body of the response is longer than allowed.
    #[error("the response has more than {max} bytes")]
    LongResponse {
        /// The limit.
        max: u64,
    },
    /// A time limit was exceeded.
    #[error("timed out {0}")]
    TimedOut(Waiting),
    /// The object does not match its pointer, or exceeds a limit.
    #[error("{0}")]
    Resolve(Box<ResolveErrorKind>),
    /// The transfer could not be run.
    #[error("the transfer could not be run: {0}")]
    Internal(String),
}

/// Which time limit was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Waiting {
    /// Resolving the name, TCP and TLS.
    Connect,
    /// The server neither sent nor accepted bytes.
    Server,
    /// The whole transfer, with all attempts.
    Overall,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Server => "waiting for the server",
            Self::Overall => "before the transfer was complete",
        })
    }
}

struct After(u32);

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > 1 { write!(f, " after {} attempts", self.0) } else { Ok(()) }
    }
}

impl TransferError {
    pub(crate) fn new(location: &Location, kind: TransferErrorKind, attempts: u32) -> Self {
        Self { kind, location: location.to_string(), attempts }
    }
}

impl TransferErrorKind {
    /// Whether another attempt may succeed.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Lookup(_) | Self::Connect(_) | Self::Broken(_) | Self::Changed => true,
            Self::TimedOut(waiting) => *waiting != Waiting::Overall,
            Self::Status(status) => is_temporary(*status),
            Self::Resolve(kind) => is_damage(kind),
            Self::Url
            | Self::UrlRejected(_)
            | Self::RedirectLimit { .. }
            | Self::RedirectTarget
            | Self::Tls(_)
            | Self::Malformed(_)
            | Self::LongResponse { .. }
            | Self::Internal(_) => false,
        }
    }

    /// Returns the reason of the failed effect.
    pub const fn reason(&self) -> FailureReason {
        match self {
            Self::TimedOut(_) => FailureReason::TimedOut,
            Self::Lookup(_) | Self::Connect(_) | Self::Broken(_) | Self::Changed => {
                FailureReason::Unavailable
            }
            Self::Status(status) if is_temporary(*status) => FailureReason::Unavailable,
            Self::UrlRejected(_) | Self::RedirectLimit { .. } => FailureReason::Refused,
            _ => FailureReason::Failed,
        }
    }
}

const fn is_temporary(status: u16) -> bool {
    matches!(status, 429 | 500..=599)
}

/// See [`ResolveError::is_retryable`].
fn is_damage(kind: &ResolveErrorKind) -> bool {
    ResolveError { kind: kind.clone(), location: String::new() }.is_retryable()
}

/// Formats an error of a library or the system, without the secret parts of this URL.
pub(crate) fn text(error: impl fmt::Display, location: &Location) -> String {
    scrub(&error.to_string(), location)
}

impl From<ResolveError> for TransferErrorKind {
    fn from(error: ResolveError) -> Self {
        Self::Resolve(Box::new(error.kind))
    }
}

impl From<UrlRejected> for TransferErrorKind {
    fn from(error: UrlRejected) -> Self {
        Self::UrlRejected(error)
    }
}

impl From<TransferError> for Failure {
    fn from(error: TransferError) -> Self {
        Self::new(error.kind.reason(), error.to_string())
    }
}
