//! Checks of segments that another process has created.

#[cfg(unix)]
use crate::error::AttachError;

/// How segments are checked, and how their memory is accessed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trust {
    /// The segment is mapped and its batches are lent.
    pub(crate) is_trusted: bool,
    pub(crate) max_segment_bytes: u64,
}

impl Trust {
    /// Fails if the segment is larger than the limit.
    #[cfg(unix)]
    pub(crate) fn check_size(self, got: u64) -> Result<(), AttachError> {
        let limit = self.max_segment_bytes;
        if got > limit { Err(AttachError::TooLarge { limit, got }) } else { Ok(()) }
    }
}
