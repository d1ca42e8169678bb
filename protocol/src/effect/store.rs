//! The effect that stores an external object. WIRE_PROTOCOL 12, "Externalization (writing)".

use crate::content_coding::Coding;
use crate::location::Digest;
use crate::memory::Reservation;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// Store an object, and complete the effect with the URL under which it can be fetched:
/// [`Completion::Stored`](super::Completion::Stored).
#[derive(Clone)]
pub struct Store {
    /// The object as it is stored, as a gather list.
    pub segments: Arc<[Bytes]>,
    /// Bytes of it.
    pub len: u64,
    /// The content coding that it is in, and that it must be served with.
    pub coding: Option<Coding>,
    /// SHA-256 of the object before it was compressed.
    pub sha256: Digest,
    /// For the segments.
    pub(crate) memory: Arc<Reservation>,
}

impl fmt::Debug for Store {
    /// Leaves the content out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("len", &self.len)
            .field("coding", &self.coding)
            .field("sha256", &self.sha256)
            .field("reserved", &self.memory.bytes())
            .finish_non_exhaustive()
    }
}
