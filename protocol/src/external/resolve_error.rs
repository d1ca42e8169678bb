//! The error of a pointer that could not be resolved. Neither its text nor its `Debug` output shows secrets of the URL.

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
    /// What failed.
    pub kind: ResolveErrorKind,
    /// The pointer's URL without its secrets.
    pub location: String,
}

/// What was wrong with an object or its URL.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ResolveErrorKind {
    /// The URL, or the target of a redirect, may not be requested.
    #[error("{0}")]
    UrlRejected(UrlRejected),
    /// Too many redirects.
    #[error("redirect limit exceeded: {max} redirects were followed")]
    RedirectLimit {
        /// The maximum number.
        max: usize,
    },
    /// The digest of the object does not match the pointer's.
    #[error("SHA-256 checksum mismatch: expected {expected}, got {got}")]
    Checksum {
        /// The pointer's digest.
        expected: Digest,
        /// The object's digest.
        got: Digest,
    },
    /// The stored object is larger than [`ObjectLimits::max_fetch_bytes`](super::ObjectLimits::max_fetch_bytes).
    #[error("the object exceeds max_fetch_bytes ({max} bytes)")]
    TooLarge {
        /// The limit.
        max: u64,
    },
    /// The decoded object is larger than [`ObjectLimits::max_decompressed_bytes`](super::ObjectLimits::max_decompressed_bytes).
    #[error("the decoded object exceeds max_decompressed_bytes ({max} bytes)")]
    DecodedTooLarge {
        /// The limit.
        max: u64,
    },
    /// The object has an unknown content coding.
    #[error("the object has the unknown content coding {found:?}")]
    UnknownCoding {
        /// Its name, cut to a few bytes.
        found: String,
    },
    /// The object is not valid in its coding.
    #[error("the object cannot be decoded: {0}")]
    Coding(DecodeError),
    /// The object is not an Arrow IPC stream.
    #[error("the object cannot be read: {0}")]
    Stream(ReadError),
    /// The object cannot be read, although its digest matches the pointer's.
    #[error("{0}")]
    Unreadable(Box<ResolveErrorKind>),
    /// The object's schema is not that of the pointer batch.
    #[error("Schema mismatch: {}", OneLine(.0))]
    Schema(String),
    /// A batch of the object is a pointer itself.
    #[error("Redirect loop detected: a batch of the object contains vgi_rpc.location")]
    RedirectLoop,
    /// A batch of the object points into shared memory, which is not allowed in an object.
    #[error("a batch of the object contains vgi_rpc.shm_offset")]
    ShmPointer,
    /// The object has no data batch.
    #[error("No data batch found in the object")]
    NoBatch,
    /// The object has more than one data batch.
    #[error("Multiple data batches found in the object")]
    SeveralBatches,
    /// Bytes follow the end of the object's stream.
    #[error("the object has bytes behind the end of its stream")]
    Trailing,
    /// The object contains the call's error.
    #[error("{0}")]
    Remote(Box<RpcError>),
    /// The object does not fit into the memory budget.
    #[error("{0}")]
    OverBudget(OverBudget),
    /// Bytes or the end were passed in before [`begin`](super::Resolution::begin).
    #[error("no attempt to fetch the object has begun")]
    NotBegun,
}

impl ResolveError {
    /// Creates an error for the object at this URL.
    pub fn new(location: &Location, kind: impl Into<ResolveErrorKind>) -> Self {
        Self { kind: kind.into(), location: location.to_string() }
    }

    /// Returns whether another attempt may succeed: the bytes were cut or damaged, possibly in transit. Limits, policy, digest
    /// and schema do not change.
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
    /// As in the canonical implementation, a call's error inside the object becomes the error of the call.
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
