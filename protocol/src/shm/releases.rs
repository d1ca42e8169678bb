//! Regions that are to be freed in the next turn.

use super::header::Region;
use bytes::Bytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The regions of one segment that were let go of, as long as their pointers say.
#[derive(Clone, Debug, Default)]
pub(super) struct Releases(Arc<Mutex<Vec<Region>>>);

impl Releases {
    fn lock(&self) -> MutexGuard<'_, Vec<Region>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the region freed.
    pub(super) fn queue(&self, region: Region) {
        self.lock().push(region);
    }

    /// Takes what is to be freed.
    pub(super) fn take(&self) -> Vec<Region> {
        std::mem::take(&mut *self.lock())
    }

    /// Has the region freed when the last holder of its bytes lets go of them.
    pub(super) fn lend(&self, region: Region, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Lent { bytes, region, releases: self.clone() })
    }
}

/// Bytes of a region.
struct Lent {
    bytes: Bytes,
    region: Region,
    releases: Releases,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.releases.queue(self.region);
    }
}
