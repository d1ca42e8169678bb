//! Why a pointer could not be resolved. No text and no `Debug` shows what is secret of the URL.

use super::policy::UrlRejected;
use crate::OneLine;
use crate::content_coding::DecodeError;
use crate::ipc::{FramingError, MessageError, ReadError};
use crate::location::{Digest, Location};
use crate::memory::OverBudget;
use crate::wire::code::Code;
use crate::wire::error::RpcError;
use thiserror::Error;

/// Why a pointer could not be resolved.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{kind} ({location})")]
pub struct ResolveError {
    /// What was wrong.
    pub kind: ResolveErrorKind,
    /// The pointer's URL, without what is secret of it.
    pub location: String,
}

/// What was wrong with an object or with the way to it.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ResolveErrorKind {
    /// The URL, or the target of a redirect, may not be requested.
    #[error("{0}")]
    UrlRejected(UrlRejected),
    /// More redirects than are followed.
    #[error("redirect limit exceeded: {max} redirects were followed")]
    RedirectLimit {
        /// How many are followed.
        max: usize,
    },
    /// The bytes are not those that the pointer was written for.
    #[error("SHA-256 checksum mismatch: expected {expected}, got {got}")]
    Checksum {
        /// What the pointer says.
        expected: Digest,
        /// Of the object.
        got: Digest,
    },
    /// The object, as it is stored, is larger than [`Caps::max_fetch_bytes`](super::Caps::max_fetch_bytes).
    #[error("the object exceeds max_fetch_bytes ({max} bytes)")]
    TooLarge {
        /// The limit.
        max: u64,
    },
    /// The object is larger than [`Caps::max_decompressed_bytes`](super::Caps::max_decompressed_bytes) once its coding is undone.
    #[error("the decoded object exceeds max_decompressed_bytes ({max} bytes)")]
    DecodedTooLarge {
        /// The limit.
        max: u64,
    },
    /// The object is in a coding that is not known here.
    #[error("the object has the unknown content coding {found:?}")]
    UnknownCoding {
        /// Its name, cut to a few bytes.
        found: String,
    },
    /// The object is not what its coding says.
    #[error("the object cannot be decoded: {0}")]
    Coding(DecodeError),
    /// The object is not an Arrow IPC stream.
    #[error("the object cannot be read: {0}")]
    Stream(ReadError),
    /// The object cannot be read, though its digest is the pointer's.
    #[error("{0}")]
    Unreadable(Box<ResolveErrorKind>),
    /// The object's schema is not that of the pointer batch.
    #[error("Schema mismatch: {}", OneLine(.0))]
    Schema(String),
    /// A batch of the object is a pointer itself.
    #[error("Redirect loop detected: a batch of the object contains vgi_rpc.location")]
    RedirectLoop,
    /// A batch of the object points into shared memory, which its writer cannot share.
    #[error("a batch of the object contains vgi_rpc.shm_offset")]
    ShmPointer,
    /// The object has logs at most.
    #[error("No data batch found in the object")]
    NoBatch,
    /// The object has more than one data batch.
    #[error("Multiple data batches found in the object")]
    SeveralBatches,
    /// Bytes follow the end of the object's stream.
    #[error("the object has bytes behind the end of its stream")]
    Trailing,
    /// The object holds the error of the call.
    #[error("{0}")]
    Remote(Box<RpcError>),
    /// The object does not fit into the memory budget.
    #[error("{0}")]
    OverBudget(OverBudget),
    /// Bytes were given, or the end, before [`begin`](super::Resolution::begin).
    #[error("no attempt to fetch the object has begun")]
    NotBegun,
}

impl ResolveError {
    /// What was wrong with the object at this URL.
    pub fn new(location: &Location, kind: impl Into<ResolveErrorKind>) -> Self {
        Self { kind: kind.into(), location: location.to_string() }
    }

    /// Whether another attempt may do better: the bytes were cut or damaged on their way, and nothing says that they are so
    /// where they lie. Limits, policy, digest and schema stay as they are.
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self.kind,
            ResolveErrorKind::Coding(_) | ResolveErrorKind::Stream(_) | ResolveErrorKind::Trailing
        )
    }
}

impl From<DecodeError> for ResolveErrorKind {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::TooLarge { max } => Self::DecodedTooLarge { max },
            DecodeError::OverBudget(error) => Self::OverBudget(error),
            corrupt @ DecodeError::Corrupt { .. } => Self::Coding(corrupt),
        }
    }
}

impl From<ReadError> for ResolveErrorKind {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Framing(FramingError::OverBudget(error))
            | ReadError::Message(MessageError::OverBudget(error)) => Self::OverBudget(error),
            other => Self::Stream(other),
        }
    }
}

impl From<UrlRejected> for ResolveErrorKind {
    fn from(error: UrlRejected) -> Self {
        Self::UrlRejected(error)
    }
}

impl From<OverBudget> for ResolveErrorKind {
    fn from(error: OverBudget) -> Self {
        Self::OverBudget(error)
    }
}

impl From<ResolveError> for RpcError {
    /// As the canonical implementation: an error of the call that is in the object is the error of the call.
    fn from(error: ResolveError) -> Self {
        match error.kind {
            ResolveErrorKind::Unreadable(kind) => {
                Self::from(ResolveError { kind: *kind, location: error.location })
            }
            ResolveErrorKind::Remote(error) => *error,
            ResolveErrorKind::OverBudget(error) => error.into(),
            ResolveErrorKind::UrlRejected(_) | ResolveErrorKind::Schema(_) => {
                Self::value_error(error.to_string())
            }
            ResolveErrorKind::TooLarge { .. } | ResolveErrorKind::DecodedTooLarge { .. } => {
                Self::runtime_error(error.to_string()).with_code(Code::ResourceExhausted)
            }
            _ => Self::runtime_error(error.to_string()),
        }
    }
}
