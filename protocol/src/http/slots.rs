//! A limit on how many operations run concurrently.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A fixed number of slots. A [`Slot`] is released when it is dropped.
#[derive(Debug)]
pub(crate) struct Slots {
    taken: Arc<AtomicUsize>,
    number: usize,
}

impl Slots {
    pub(crate) fn new(number: usize) -> Self {
        Self { taken: Arc::default(), number }
    }

    /// Takes a slot, if one is free.
    pub(crate) fn take(&self) -> Option<Slot> {
        let more = |taken: usize| (taken < self.number).then_some(taken + 1);
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.is_ok().then(|| Slot(self.taken.clone()))
    }
}

/// A slot of [`Slots`]. Dropping it releases the slot.
#[derive(Debug)]
pub(crate) struct Slot(Arc<AtomicUsize>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
