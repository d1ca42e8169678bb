//! The reasons for refusing a segment.

use std::io;
use vgi_rpc_protocol::effect::{Failure, FailureReason};
use vgi_rpc_protocol::shm::HeaderError;

/// Why a segment could not be attached. No text repeats its name, which would allow others to attach it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The name cannot be that of a shared memory object.
    #[error("the name of the segment is invalid")]
    Name,
    /// It cannot be opened.
    #[error("the segment cannot be opened: {0}")]
    Open(io::Error),
    /// It is something else: a directory, a device, a pipe.
    #[error("the segment is not a shared memory object")]
    Kind,
    /// The client has a different user than the server, and has named the segment instead of sending its descriptor.
    #[error(
        "expected a segment with a name to come from user {expected}, as whom the server runs, got one from user {got}"
    )]
    OtherUser {
        /// The user of the server.
        expected: u32,
        /// The user of the client.
        got: u32,
    },
    /// It belongs to another user.
    #[error("expected the segment to belong to user {expected}, got {got}")]
    Owner {
        /// The user of the server.
        expected: u32,
        /// The segment's owner.
        got: u32,
    },
    /// Other users may open it.
    #[error("expected a segment that only its owner may open, got mode {0}")]
    Mode(String),
    /// The client named a segment, but its descriptor was not received.
    #[error("the descriptor of the segment was not received")]
    NoDescriptor,
    /// The descriptor refers to something whose size may change, or whose memory may vanish.
    #[error("expected the descriptor of a sealed file in memory")]
    NotSealed,
    /// It is larger than the server accepts: [`ShmServer::max_segment_bytes`](crate::ShmServer::max_segment_bytes).
    #[error("expected a segment of at most {limit} bytes (`max_segment_bytes` of the server), got {got}")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
        /// The size of the segment in bytes.
        got: u64,
    },
    /// Its header is invalid, or cannot be read.
    #[error("{0}")]
    Header(HeaderError),
    /// This platform has no segments.
    #[error("this platform has no shared memory objects")]
    Unsupported,
}

impl From<AttachError> for Failure {
    fn from(error: AttachError) -> Self {
        let reason = match error {
            AttachError::Open(_) => FailureReason::Failed,
            AttachError::Unsupported => FailureReason::Unsupported,
            _ => FailureReason::Refused,
        };
        Self::new(reason, error.to_string())
    }
}
