//! The listeners of a call that are notified while an effect of it is performed.

use std::fmt;
use std::sync::Arc;

/// A listener that is notified of the thread on which code runs for a call.
pub(crate) trait EffectListener: Send + Sync {
    /// Called before code of the call runs on this thread. Returns false if the call has ended and no listener was notified.
    fn enter(&self) -> bool;

    /// Called after that code has returned, on the thread of [`enter`](Self::enter).
    fn exit(&self);
}

/// The listeners around an effect. By default there are none.
#[derive(Clone, Default)]
pub(crate) struct EffectListeners(Option<Arc<dyn EffectListener>>);

impl EffectListeners {
    /// Wraps the listeners of a call, if it has any.
    pub(crate) fn new(listeners: Option<Arc<impl EffectListener + 'static>>) -> Self {
        Self(listeners.map(|listeners| listeners as Arc<dyn EffectListener>))
    }

    /// Runs a function between `enter` and `exit`.
    pub(crate) fn within<T>(&self, run: impl FnOnce() -> T) -> T {
        let _entered = self.0.as_deref().filter(|listeners| listeners.enter()).map(Entered);
        run()
    }
}

/// Calls `exit` on drop, even after a panic.
struct Entered<'a>(&'a dyn EffectListener);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.exit();
    }
}

impl fmt::Debug for EffectListeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EffectListeners").field(&self.0.is_some()).finish()
    }
}
