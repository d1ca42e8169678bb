//! Catches panics in application code that must not affect anything else: destructors of its values, listeners and wakers.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs application code. Returns `None` if it panics.
pub fn catch<T>(run: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(value) => Some(value),
        Err(panic) => {
            // The payload of a panic is also an application's value.
            discard(panic);
            None
        }
    }
}

/// Drops an application's value. A panic in its destructor is ignored.
pub fn discard<T>(value: T) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(value)))
        && let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(panic)))
    {
        // Each payload may panic with another one when it is dropped, so the last one is leaked.
        mem::forget(panic);
    }
}

/// As [`discard`], one by one, so that a panic in one destructor does not coincide with another.
pub fn discard_all<T>(values: impl IntoIterator<Item = T>) {
    values.into_iter().for_each(discard);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::panic_any;

    /// Panics with another one when it is dropped, this many times.
    struct Bomb(u32);

    impl Drop for Bomb {
        fn drop(&mut self) {
            if let Some(rest) = self.0.checked_sub(1) {
                panic_any(Self(rest));
            }
        }
    }

    #[test]
    fn panics_end_here_and_so_do_those_of_their_payloads() {
        for depth in 0..5 {
            discard(Bomb(depth));
            assert_eq!(catch(|| panic_any(Bomb(depth))), None::<()>);
        }
        discard_all([Bomb(1), Bomb(2), Bomb(1)]);
        assert_eq!(catch(|| 7), Some(7));
    }

    #[test]
    fn values_are_discarded_while_a_panic_unwinds() {
        struct Holder;
        impl Drop for Holder {
            fn drop(&mut self) {
                discard_all([Bomb(1), Bomb(1)]);
            }
        }
        let run = || -> u32 {
            let _holder = Holder;
            panic!("on purpose")
        };
        assert_eq!(catch(run), None);
    }
}
