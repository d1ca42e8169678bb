//! Hides the intended panics of test handlers from the panic hook.

use std::any::Any;
use std::cell::Cell;
use std::sync::Once;

/// The prefix of an intended panic's text.
pub const ON_PURPOSE: &str = "on purpose";

thread_local! {
    static OTHERS: Cell<usize> = const { Cell::new(0) };
}

/// Hides intended panics from the installed hook, which under libFuzzer ends the process. Other panics are counted,
/// because a handler's guard would hide them.
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

/// Returns how many unintended panics this thread had since the last call.
pub fn take_others() -> usize {
    OTHERS.take()
}

fn is_on_purpose(payload: &(dyn Any + Send)) -> bool {
    payload.downcast_ref::<&str>().is_some_and(|text| text.starts_with(ON_PURPOSE))
}
