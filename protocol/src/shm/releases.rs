//! Regions to be freed in the next turn.

use super::header::Region;
use super::layout::MAX_REGIONS;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The released regions of one segment, with the lengths of their pointers.
#[derive(Clone, Debug, Default)]
pub(super) struct Releases(Arc<Mutex<BTreeSet<Region>>>);

impl Releases {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<Region>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a region to be freed. The queue is limited to the number of regions in a segment: more can only come from a peer
    /// that sends pointers to unused regions.
    pub(super) fn queue(&self, region: Region) {
        let mut regions = self.lock();
        if regions.len() < MAX_REGIONS as usize {
            regions.insert(region);
        }
    }

    /// Takes the regions to be freed.
    pub(super) fn take(&self) -> Vec<Region> {
        std::mem::take(&mut *self.lock()).into_iter().collect()
    }

    /// Queues the region to be freed when the last reference to its bytes is dropped.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_a_segment_has_regions() {
        let releases = Releases::default();
        for _ in 0..2 {
            for offset in 0..3 * u64::from(MAX_REGIONS) {
                releases.queue(Region { offset, len: 1 });
            }
        }
        assert_eq!(releases.take().len(), MAX_REGIONS as usize);
        assert_eq!(releases.take(), []);
    }
}
