//! Where a panic in a machine, or in what it gave, ends.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs what may panic. `None` if it does. What it panicked with may itself panic when it is dropped.
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
