//! Why a transfer failed, and whether another attempt may do better. No text and no `Debug` shows what is secret of a URL.

use std::fmt;
use thiserror::Error;
use vgi_rpc_protocol::effect::{Failure, FailureReason};
use vgi_rpc_protocol::external::{Location, ResolveError, ResolveErrorKind, UrlRejected, scrub};

/// Why an object could not be fetched or stored.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{kind}{} ({location})", After(*.attempts))]
pub struct TransferError {
    /// What was wrong with the last attempt.
    pub kind: TransferErrorKind,
    /// The object's URL, without what is secret of it.
    pub location: String,
    /// Attempts that were made, at least one.
    pub attempts: u32,
}

/// What was wrong with an attempt. Texts come from libraries and the system, without what is secret of the URL.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum TransferErrorKind {
    /// The URL cannot be requested over HTTP.
    #[error("the URL cannot be requested over HTTP")]
    Url,
    /// The URL, the target of a redirect, or every address of its host may not be requested.
    #[error("{0}")]
    UrlRejected(UrlRejected),
    /// More redirects than are followed.
    #[error("redirect limit exceeded: {max} redirects were followed")]
    RedirectLimit {
        /// How many are followed.
        max: usize,
    },
    /// A redirect does not say where to.
    #[error("the server redirects without a valid Location header")]
    RedirectTarget,
    /// The name of the host has no address.
    #[error("the name of the host cannot be resolved: {0}")]
    Lookup(String),
    /// The server does not accept connections.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The server cannot prove who it is, or does not speak TLS.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// The connection broke before the response was complete.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The response is not HTTP/1.1, or its head is too long.
    #[error("the response is malformed: {0}")]
    Malformed(String),
    /// The server answers with a status that does not deliver or take the object.
    #[error("the server answered with status {0}")]
    Status(u16),
    /// The object became another one while its ranges were read.
    #[error("the object changed while it was read")]
    Changed,
    /// The body of the response is longer than it may be.
    #[error("the response has more than {max} bytes")]
    LongResponse {
        /// The limit.
        max: u64,
    },
    /// The server did not do that in time.
    #[error("timed out {0}")]
    TimedOut(Waiting),
    /// The object is not what its pointer says, or exceeds a limit.
    #[error("{0}")]
    Resolve(Box<ResolveErrorKind>),
    /// The transfer could not be run.
    #[error("the transfer could not be run: {0}")]
    Internal(String),
}

/// What took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Waiting {
    /// Resolving the name, TCP and TLS.
    Connect,
    /// The server sent nothing, or took nothing.
    Server,
    /// All of the transfer, with all attempts.
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
    /// Whether another attempt may do better.
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

    /// Which class of failures an effect that ends with this belongs to.
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

/// As [`ResolveError::is_retryable`].
fn is_damage(kind: &ResolveErrorKind) -> bool {
    ResolveError { kind: kind.clone(), location: String::new() }.is_retryable()
}

/// What a library or the system says, without what is secret of this URL.
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
