//! Memory that a driver lends.

use crate::one_line::OneLine;
use bytes::Bytes;
use std::fmt;
use thiserror::Error;

/// The memory of a segment, which another process can change at any time.
///
/// It is copied from and to, and never borrowed: Rust's references promise that their target does not change. The length is
/// that of the object itself, as the operating system says it, and never what a peer claims.
pub trait SharedMemory: Send + Sync + 'static {
    /// Bytes of the segment when it was attached.
    fn len(&self) -> u64;

    /// True if it has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies `into.len()` bytes out, from `offset` on.
    ///
    /// # Errors
    /// When they do not lie within the segment, or it has been truncated.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError>;

    /// Copies `bytes` in, from `offset` on.
    ///
    /// # Errors
    /// As for [`read_at`](Self::read_at).
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError>;

    /// Lends `len` bytes from `offset` on without copying them. `None`, the default, has them copied.
    ///
    /// Whoever implements it promises that the bytes neither change nor vanish before the result is dropped. That depends on the
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
    /// The bytes do not lie within the segment, which may have been truncated.
    #[error("expected {len} bytes at offset {offset}, which are not within the shared segment")]
    OutOfBounds {
        /// Where they begin.
        offset: u64,
        /// How many they are.
        len: u64,
    },
    /// The operating system refused.
    #[error("the shared segment cannot be accessed: {}", OneLine(.0))]
    Failed(String),
}
