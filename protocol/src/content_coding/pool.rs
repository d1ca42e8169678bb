//! Idle coding contexts. One weighs up to a megabyte, and a small body is coded faster than it is allocated.

use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Most contexts of a kind that wait for work: about as many as code at once in a busy server of a few cores.
const MAX_IDLE: usize = 8;

/// Contexts that nobody uses at the moment.
pub(crate) struct Pool<T>(Mutex<Vec<T>>);

impl<T> Pool<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// An idle context, as its last user left it.
    pub(crate) fn take(&self) -> Option<T> {
        self.idle().pop()
    }

    /// Keeps a context for the next user, or drops it when enough of them wait.
    pub(crate) fn give_back(&self, context: T) {
        let mut idle = self.idle();
        if idle.len() < MAX_IDLE {
            idle.push(context);
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<T>> {
        // Pushing and popping leave a whole list behind, whatever panics.
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
