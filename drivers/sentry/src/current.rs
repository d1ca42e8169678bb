//! The hub that is current on a thread. What switches hubs cannot leave its thread, so each thread keeps its own.

use sentry_core::{Hub, HubSwitchGuard};
use std::cell::RefCell;
use std::sync::Arc;

thread_local! {
    /// What was entered on this thread and not left yet, the last one at the end.
    static ENTERED: RefCell<Vec<(Arc<Hub>, HubSwitchGuard)>> = const { RefCell::new(Vec::new()) };
}

/// Makes a hub the current one on this thread.
pub(crate) fn enter(hub: &Arc<Hub>) {
    let guard = HubSwitchGuard::new(hub.clone());
    // A thread that ends has nothing current any more.
    let _ = ENTERED.try_with(|entered| entered.borrow_mut().push((hub.clone(), guard)));
}

/// Makes the hub the current one again that was so before.
pub(crate) fn exit(hub: &Arc<Hub>) {
    let guard = ENTERED.try_with(|entered| {
        let mut entered = entered.borrow_mut();
        let index = entered.iter().rposition(|(own, _)| Arc::ptr_eq(own, hub))?;
        Some(entered.remove(index))
    });
    drop(guard);
}
