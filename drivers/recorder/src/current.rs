//! The connection that the current thread is working on, so that its random bytes and clock readings are recorded with it.

use crate::tape::Tape;
use std::cell::RefCell;

thread_local! {
    static CURRENT: RefCell<Option<Tape>> = const { RefCell::new(None) };
}

/// Runs `act` with this tape as the thread's current one.
pub(crate) fn within<T>(tape: Option<&Tape>, act: impl FnOnce() -> T) -> T {
    /// Restores the previous tape, even if `act` panics.
    struct Before(Option<Tape>);
    impl Drop for Before {
        fn drop(&mut self) {
            let before = self.0.take();
            // While the thread exits there may be nothing to restore.
            let _ = CURRENT.try_with(|current| current.replace(before));
        }
    }
    let Some(tape) = tape else { return act() };
    let _before = Before(CURRENT.with(|current| current.replace(Some(tape.clone()))));
    act()
}

/// Records something on the thread's current tape, if it has one.
pub(crate) fn note(note: impl FnOnce(&Tape)) {
    let current = CURRENT.try_with(|current| current.borrow().clone());
    if let Ok(Some(tape)) = current {
        note(&tape);
    }
}
