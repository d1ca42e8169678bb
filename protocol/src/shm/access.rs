//! The memory of a segment, as a driver provides it.

use crate::one_line::OneLine;
use bytes::Bytes;
use std::fmt;
use thiserror::Error;

/// The memory of a segment, which another process can change at any time.
///
/// It is only copied and never borrowed, since Rust's references require that their target does not change. The length is that of
/// the object itself, as the operating system reports it, and never a peer's claim.
pub trait SharedMemory: Send + Sync + 'static {
    /// Returns the size of the segment when it was attached.
    fn len(&self) -> u64;

    /// Returns whether it is empty.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies `into.len()` bytes out of the segment, starting at `offset`.
    ///
    /// # Errors
    /// If they are not within the segment, or it has been truncated.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError>;

    /// Copies `bytes` into the segment, starting at `offset`.
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at).
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError>;

    /// Lends `len` bytes from `offset` without copying them. By default it returns `None`, and the bytes are copied.
    ///
    /// An implementation guarantees that the bytes neither change nor vanish before the result is dropped. That depends on the
    /// peer, so it is only for peers that the user has declared trusted.
    fn view(&self, offset: u64, len: u64) -> Option<Bytes> {
        let _ = (offset, len);
        None
    }
}

impl fmt::Debug for dyn SharedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedMemory").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Why the memory of a segment could not be copied.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AccessError {
    /// The bytes are not within the segment, which may have been truncated.
    #[error("expected {len} bytes at offset {offset}, which are not within the shared segment")]
    OutOfBounds {
        /// Their offset.
        offset: u64,
        /// Their length.
        len: u64,
    },
    /// The operating system refused.
    #[error("the shared segment cannot be accessed: {}", OneLine(.0))]
    Failed(String),
}
