//! Idle coding contexts. A context takes up to a megabyte, and encoding a small body is faster than allocating one.

use std::fmt;
use std::sync::{Mutex, PoisonError};

/// The maximum number of idle contexts of a kind: about as many as a busy server of a few cores uses at once.
const MAX_IDLE: usize = 8;

/// Contexts that are not in use.
pub(crate) struct Pool<T>(Mutex<Vec<T>>);

impl<T> Pool<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Takes an idle context, in the state in which it was returned.
    pub(crate) fn take(&self) -> Option<T> {
        self.idle().pop()
    }

    /// Returns a context to the pool, or drops it if there are enough.
    pub(crate) fn give_back(&self, context: T) {
        let mut idle = self.idle();
        if idle.len() < MAX_IDLE {
            idle.push(context);
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<T>> {
        // Pushing and popping keep the list consistent even after a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} idle)", self.idle().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_taken_again_and_no_more_than_enough_wait() {
        let pool = Pool::new();
        assert_eq!(pool.take(), None);
        (0..100).for_each(|context| pool.give_back(context));
        let taken: Vec<i32> = std::iter::from_fn(|| pool.take()).collect();
        assert_eq!(taken.len(), MAX_IDLE);
        assert_eq!(taken.first(), Some(&7));
    }
}
