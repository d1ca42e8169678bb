//! Counters of the use of segments.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the use of the segments that share it. Clones are the same counters.
#[derive(Clone, Debug, Default)]
pub struct Counters(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    attached: AtomicU64,
    in_use: AtomicU64,
    refused: AtomicU64,
    written: AtomicU64,
    read: AtomicU64,
    no_room: AtomicU64,
}

/// The values of [`Counters`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Segments that this side has attached, or shares with a server that may have attached them.
    pub attached: u64,
    /// The number of those that are in use now.
    pub in_use: u64,
    /// Segments that a client could not create or its server did not attach: their batches are sent inline.
    pub refused: u64,
    /// Batches that were written to a segment.
    pub written: u64,
    /// Batches that were read from a segment.
    pub read: u64,
    /// Batches that were large enough for a segment, but for which it had no room.
    pub no_room: u64,
}

impl Counters {
    /// Returns the current values.
    pub fn counts(&self) -> Counts {
        let Shared { attached, in_use, refused, written, read, no_room } = &*self.0;
        Counts {
            attached: attached.load(Ordering::Relaxed),
            in_use: in_use.load(Ordering::Relaxed),
            refused: refused.load(Ordering::Relaxed),
            written: written.load(Ordering::Relaxed),
            read: read.load(Ordering::Relaxed),
            no_room: no_room.load(Ordering::Relaxed),
        }
    }

    /// Counts a segment that could not be created, or was refused. For drivers: a server's state machine counts by itself.
    pub fn count_refused(&self) {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a segment as attached, and as in use until the result is dropped.
    pub(super) fn attached(&self) -> InUse {
        self.0.attached.fetch_add(1, Ordering::Relaxed);
        self.0.in_use.fetch_add(1, Ordering::Relaxed);
        InUse(self.0.clone())
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

/// A segment that counts as in use.
#[derive(Debug)]
pub(super) struct InUse(Arc<Shared>);

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.in_use.fetch_sub(1, Ordering::Relaxed);
    }
}
