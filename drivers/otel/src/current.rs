//! The span that is current on a thread. What attaches a context cannot leave its thread, so each thread keeps its own.

use opentelemetry::{Context, ContextGuard};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    /// What was entered on this thread and not left yet, the last one at the end.
    static ENTERED: RefCell<Vec<(u64, ContextGuard)>> = const { RefCell::new(Vec::new()) };
}

/// The span of a call, if it has one, which is entered and left, perhaps on several threads.
#[derive(Debug)]
pub(crate) struct Current {
    id: u64,
    /// With the span.
    pub(crate) context: Option<Context>,
}

impl Current {
    pub(crate) fn new(context: Option<Context>) -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        Self { id: MADE.fetch_add(1, Ordering::Relaxed), context }
    }

    /// Makes the span the current one on this thread.
    pub(crate) fn enter(&self) {
        let Some(context) = &self.context else { return };
        let guard = context.clone().attach();
        // A thread that ends has nothing current any more.
        let _ = ENTERED.try_with(|entered| entered.borrow_mut().push((self.id, guard)));
    }

    /// Makes the span the current one again that was so before.
    pub(crate) fn exit(&self) {
        if self.context.is_none() {
            return;
        }
        let guard = ENTERED.try_with(|entered| {
            let mut entered = entered.borrow_mut();
            let index = entered.iter().rposition(|(id, _)| *id == self.id)?;
            Some(entered.remove(index))
        });
        drop(guard);
    }
}
