//! The current span of a thread. The guard of an attached context cannot be sent to another thread, so each thread stores its own
//! guards.

use opentelemetry::{Context, ContextGuard};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    /// The spans that were entered on this thread and not exited yet, the last one at the end.
    static ENTERED: RefCell<Vec<(u64, ContextGuard)>> = const { RefCell::new(Vec::new()) };
}

/// The span of a call, if it has one. It is entered and exited, possibly on several threads.
#[derive(Debug)]
pub(crate) struct Current {
    id: u64,
    /// The context with the span.
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
        // This fails only while the thread exits, when no current span is needed.
        let _ = ENTERED.try_with(|entered| entered.borrow_mut().push((self.id, guard)));
    }

    /// Restores the span that was current before this one was entered.
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
