//! Checks of segments that another process has created.

#[cfg(unix)]
use crate::error::AttachError;

/// What is accepted of a segment, and how its memory is reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trust {
    /// The segment is mapped and its batches are lent.
    pub(crate) is_trusted: bool,
    pub(crate) max_segment_bytes: u64,
}

impl Trust {
    /// Fails if the segment is larger than is accepted.
    #[cfg(unix)]
    pub(crate) fn check_size(self, got: u64) -> Result<(), AttachError> {
        let limit = self.max_segment_bytes;
        if got > limit { Err(AttachError::TooLarge { limit, got }) } else { Ok(()) }
    }
}
