//! The listeners of a call that are notified while an effect of it is performed.

use std::fmt;
use std::sync::Arc;

/// Listens to a call, and wants to know on which thread something runs for it.
pub(crate) trait Accompany: Send + Sync {
    /// Something of the call is about to run on this thread. False if the call has ended, and nobody was told.
    fn enter(&self) -> bool;

    /// It has returned, on the thread of [`enter`](Self::enter).
    fn exit(&self);
}

/// What an effect is performed within. The default is nothing.
#[derive(Clone, Default)]
pub(crate) struct Surroundings(Option<Arc<dyn Accompany>>);

impl Surroundings {
    /// The listeners of a call, if it has any.
    pub(crate) fn new(listeners: Option<Arc<impl Accompany + 'static>>) -> Self {
        Self(listeners.map(|listeners| listeners as Arc<dyn Accompany>))
    }

    /// Runs a function within.
    pub(crate) fn within<T>(&self, run: impl FnOnce() -> T) -> T {
        let _entered = self.0.as_deref().filter(|listeners| listeners.enter()).map(Entered);
        run()
    }
}

/// Leaves when it is dropped, even by a panic.
struct Entered<'a>(&'a dyn Accompany);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.exit();
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Surroundings").field(&self.0.is_some()).finish()
    }
}
