//! Panics that a test handler throws on purpose, kept from whoever watches for the others.

use std::any::Any;
use std::cell::Cell;
use std::sync::Once;

/// How the text of a panic on purpose begins.
pub const ON_PURPOSE: &str = "on purpose";

thread_local! {
    static OTHERS: Cell<usize> = const { Cell::new(0) };
}

/// Keeps panics on purpose from the hook that is installed, which under libFuzzer ends the process. The others are
/// counted, because a handler's guard would hide them.
pub fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let installed = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !is_on_purpose(panic.payload()) {
                OTHERS.set(OTHERS.get() + 1);
                installed(panic);
            }
        }));
    });
}

/// How many panics on this thread were not on purpose since this was asked last.
pub fn take_others() -> usize {
    OTHERS.take()
}

fn is_on_purpose(payload: &(dyn Any + Send)) -> bool {
    payload.downcast_ref::<&str>().is_some_and(|text| text.starts_with(ON_PURPOSE))
}
