//! Regions that are to be freed in the next turn.

use bytes::Bytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The offsets of the regions of one segment that were let go of.
#[derive(Clone, Debug, Default)]
pub(super) struct Releases(Arc<Mutex<Vec<u64>>>);

impl Releases {
    fn lock(&self) -> MutexGuard<'_, Vec<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the region that begins here freed.
    pub(super) fn queue(&self, offset: u64) {
        self.lock().push(offset);
    }

    /// Takes what is to be freed.
    pub(super) fn take(&self) -> Vec<u64> {
        std::mem::take(&mut *self.lock())
    }

    /// Has the region that begins here freed when the last holder of its bytes lets go of them.
    pub(super) fn lend(&self, offset: u64, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Lent { bytes, offset, releases: self.clone() })
    }
}

/// Bytes of a region.
struct Lent {
    bytes: Bytes,
    offset: u64,
    releases: Releases,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.releases.queue(self.offset);
    }
}
