//! The span that is current on a thread. What attaches a context cannot leave its thread, so each thread keeps its own.

use opentelemetry::{Context, ContextGuard};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    /// What was entered on this thread and not left yet, the last one at the end.
    static ENTERED: RefCell<Vec<(u64, ContextGuard)>> = const { RefCell::new(Vec::new()) };
}

/// Something that is entered and left, perhaps on several threads.
#[derive(Debug)]
pub(crate) struct Current(u64);

impl Current {
    pub(crate) fn new() -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        Self(MADE.fetch_add(1, Ordering::Relaxed))
    }

    /// Makes a context the current one on this thread.
    pub(crate) fn enter(&self, context: &Context) {
        let guard = context.clone().attach();
        // A thread that ends has nothing current any more.
        let _ = ENTERED.try_with(|entered| entered.borrow_mut().push((self.0, guard)));
    }

    /// Makes the context the current one again that was so before.
    pub(crate) fn exit(&self) {
        let guard = ENTERED.try_with(|entered| {
            let mut entered = entered.borrow_mut();
            let index = entered.iter().rposition(|(id, _)| *id == self.0)?;
            Some(entered.remove(index))
        });
        drop(guard);
    }
}
