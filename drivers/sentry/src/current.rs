//! The current hub of a thread. The guard that switches hubs cannot be sent to another thread, so each thread stores its own
//! guards.

use sentry_core::{Hub, HubSwitchGuard};
use std::cell::RefCell;
use std::sync::Arc;

thread_local! {
    /// The hubs that were entered on this thread and not exited yet, the last one at the end.
    static ENTERED: RefCell<Vec<(Arc<Hub>, HubSwitchGuard)>> = const { RefCell::new(Vec::new()) };
}

/// Makes a hub the current one on this thread.
pub(crate) fn enter(hub: &Arc<Hub>) {
    let guard = HubSwitchGuard::new(hub.clone());
    // This fails only while the thread exits, when no current hub is needed.
    let _ = ENTERED.try_with(|entered| entered.borrow_mut().push((hub.clone(), guard)));
}

/// Restores the hub that was current before this one was entered.
pub(crate) fn exit(hub: &Arc<Hub>) {
    let guard = ENTERED.try_with(|entered| {
        let mut entered = entered.borrow_mut();
        let index = entered.iter().rposition(|(own, _)| Arc::ptr_eq(own, hub))?;
        Some(entered.remove(index))
    });
    drop(guard);
}
