//! The error of building a service from its registered protocols.

use crate::description::InvalidVersion;
use arrow_schema::ArrowError;
use thiserror::Error;

/// A protocol or method that cannot be hosted as declared.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The name does not follow the grammar.
    #[error(
        "expected a protocol name of letters, digits, '_' and '.', beginning with a letter or '_', of at most \
         255 bytes, got {0:?}"
    )]
    InvalidName(String),
    /// The name begins with `vgi_rpc.`, which is for the framework's own protocols.
    #[error("protocol names beginning with \"vgi_rpc.\" are reserved, got {0:?}")]
    ReservedName(String),
    /// Two protocols have one name.
    #[error("two protocols are named {0:?}")]
    DuplicateProtocol(String),
    /// Two methods of a protocol have one name.
    #[error("protocol {protocol:?} has two methods named {method:?}")]
    DuplicateMethod {
        /// The protocol.
        protocol: String,
        /// The method.
        method: String,
    },
    /// The declared version is not canonical.
    #[error("protocol {protocol:?}: {error}")]
    Version {
        /// The protocol.
        protocol: String,
        /// The reason.
        error: InvalidVersion,
    },
    /// A method's signature cannot be encoded.
    #[error("method {protocol}/{method}: {error}")]
    Method {
        /// The protocol.
        protocol: String,
        /// The method.
        method: String,
        /// The reason.
        error: ArrowError,
    },
    /// A type of the protocol has no token, so the protocol has no fingerprint.
    #[error("protocol {protocol:?} cannot be fingerprinted: {error}")]
    Hash {
        /// The protocol.
        protocol: String,
        /// The reason.
        error: String,
    },
    /// No protocol was registered.
    #[error("expected at least one protocol")]
    Empty,
}
