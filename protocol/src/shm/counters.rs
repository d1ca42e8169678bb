//! What was done with segments.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what is done with the segments that share it. Clones are the same counters.
#[derive(Clone, Debug, Default)]
pub struct Counters(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    attached: AtomicU64,
    written: AtomicU64,
    read: AtomicU64,
    no_room: AtomicU64,
}

/// What [`Counters`] have counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Segments that were created or attached.
    pub attached: u64,
    /// Batches that were written to a segment.
    pub written: u64,
    /// Batches that were read from a segment.
    pub read: u64,
    /// Batches that were large enough for a segment, and found no room in it.
    pub no_room: u64,
}

impl Counters {
    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        let Shared { attached, written, read, no_room } = &*self.0;
        Counts {
            attached: attached.load(Ordering::Relaxed),
            written: written.load(Ordering::Relaxed),
            read: read.load(Ordering::Relaxed),
            no_room: no_room.load(Ordering::Relaxed),
        }
    }

    pub(super) fn attached(&self) {
        self.0.attached.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn written(&self) {
        self.0.written.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) {
        self.0.read.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn no_room(&self) {
        self.0.no_room.fetch_add(1, Ordering::Relaxed);
    }
}
