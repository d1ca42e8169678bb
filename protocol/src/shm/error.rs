//! Errors of segments and pointers.

use super::access::AccessError;
use super::layout::MAX_REGIONS;
use crate::ipc::{EncodeError, ReadError};
use crate::wire::error::RpcError;
use thiserror::Error;

/// An invalid header. The side that wrote it last is at fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The segment is too short for a header and data.
    #[error("expected a shared segment of more than 65536 bytes, got {len}")]
    TooShort {
        /// Its size.
        len: u64,
    },
    /// It does not begin with the magic bytes.
    #[error("expected the header of a shared segment to begin with \"VGIS\", got {:?}", .0.escape_ascii().to_string())]
    Magic([u8; 4]),
    /// It has another version.
    #[error("expected version 1 of the header of a shared segment, got {0}")]
    Version(u32),
    /// The size in the header does not match the segment.
    #[error("expected the header of a shared segment to give its data {expected} bytes, got {got}")]
    DataSize {
        /// The size of the segment without the header.
        expected: u64,
        /// The size in the header.
        got: u64,
    },
    /// It claims more regions than fit.
    #[error("expected at most {MAX_REGIONS} regions in the header of a shared segment, got {0}")]
    Count(u32),
    /// A region is not within the data, or not after the previous one.
    #[error(
        "expected region {index} of a shared segment to begin at {from} or later and to end at {to} or earlier, got {len} bytes \
         at {offset}"
    )]
    Region {
        /// Its index.
        index: usize,
        /// The end of the region before it.
        from: u64,
        /// The end of the segment.
        to: u64,
        /// Its offset.
        offset: u64,
        /// Its length.
        len: u64,
    },
    /// It cannot be read or written.
    #[error("{0}")]
    Access(AccessError),
}

impl From<AccessError> for HeaderError {
    fn from(error: AccessError) -> Self {
        Self::Access(error)
    }
}

/// An invalid pointer batch. The peer is at fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PointerError {
    /// A number is missing, or is not a decimal number of 64 bits.
    #[error("expected {key:?} of a pointer batch to be a decimal number")]
    Number {
        /// Its key.
        key: &'static str,
    },
    /// A key occurs twice, so two readers could read the pointer differently.
    #[error("a pointer batch has more than one {0:?} key")]
    Duplicate(&'static str),
}

/// Why a batch could not be read from a segment, or written to it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// The pointer is invalid.
    #[error("{0}")]
    Pointer(PointerError),
    /// A pointer was received on a connection without a segment.
    #[error("a batch points into shared memory, but {0}")]
    NoSegment(String),
    /// The target is not within the data of the segment.
    #[error(
        "expected a batch within the bytes from 65536 to {end} of the shared segment, got {len} bytes at {offset}"
    )]
    OutOfBounds {
        /// Its offset.
        offset: u64,
        /// Its length.
        len: u64,
        /// The end of the segment.
        end: u64,
    },
    /// The header is invalid.
    #[error("{0}")]
    Header(HeaderError),
    /// The memory cannot be accessed.
    #[error("{0}")]
    Access(AccessError),
    /// The target cannot be read as a batch.
    #[error("the batch in the shared segment cannot be read: {0}")]
    Read(ReadError),
    /// The target contains no batch.
    #[error("expected a record batch in the shared segment, got {0}")]
    NoBatch(&'static str),
    /// The batch has another schema than its pointer.
    #[error("expected the batch in the shared segment to have the schema of its pointer")]
    Schema,
    /// The batch cannot be encoded.
    #[error("{0}")]
    Encode(String),
}

impl From<PointerError> for SegmentError {
    fn from(error: PointerError) -> Self {
        Self::Pointer(error)
    }
}

impl From<HeaderError> for SegmentError {
    fn from(error: HeaderError) -> Self {
        Self::Header(error)
    }
}

impl From<AccessError> for SegmentError {
    fn from(error: AccessError) -> Self {
        Self::Access(error)
    }
}

impl From<ReadError> for SegmentError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<EncodeError> for SegmentError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error.to_string())
    }
}

impl From<SegmentError> for RpcError {
    fn from(error: SegmentError) -> Self {
        use crate::ipc::MessageError;
        match error {
            SegmentError::Read(ReadError::Message(MessageError::OverBudget(error))) => error.into(),
            error => Self::runtime_error(error.to_string()),
        }
    }
}
