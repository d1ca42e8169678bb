//! Catches panics of machines and their results.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a function that may panic. Returns `None` if it does, even if dropping the panic payload panics too.
pub(crate) fn catch<T>(run: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(value) => Some(value),
        Err(panic) => {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
                mem::forget(panic);
            }
            None
        }
    }
}
