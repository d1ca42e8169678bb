//! Which connection the running thread works for, so that what it draws and reads is recorded with it.

use crate::tape::Tape;
use std::cell::RefCell;

thread_local! {
    static CURRENT: RefCell<Option<Tape>> = const { RefCell::new(None) };
}

/// Runs `act` for a connection.
pub(crate) fn within<T>(tape: Option<&Tape>, act: impl FnOnce() -> T) -> T {
    /// Puts back the one before, also when `act` panics.
    struct Before(Option<Tape>);
    impl Drop for Before {
        fn drop(&mut self) {
            let before = self.0.take();
            // At the end of a thread there is nothing to put back.
            let _ = CURRENT.try_with(|current| current.replace(before));
        }
    }
    let Some(tape) = tape else { return act() };
    let _before = Before(CURRENT.with(|current| current.replace(Some(tape.clone()))));
    act()
}

/// Notes something about the connection that the thread works for, if it does.
pub(crate) fn note(note: impl FnOnce(&Tape)) {
    let current = CURRENT.try_with(|current| current.borrow().clone());
    if let Ok(Some(tape)) = current {
        note(&tape);
    }
}
