//! Values of the application's that pass through machines and drivers: what questions ask, and the answers to them.

use crate::panics;
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// A value of the application's, of any type. Clones share it.
///
/// It is dropped wherever its last holder lets go, which may be on any thread of a driver. A panic in its destructor is
/// swallowed there.
#[derive(Clone)]
pub struct Value(
    /// `None` only while it is dropped.
    Option<Arc<dyn Any + Send + Sync>>,
);

impl Value {
    /// Wraps a value.
    pub fn new(value: impl Any + Send + Sync) -> Self {
        Self(Some(Arc::new(value)))
    }

    /// The value, if it is a `T`.
    pub fn downcast_ref<T: Any>(&self) -> Option<&T> {
        self.0.as_deref()?.downcast_ref()
    }

    /// Whether both share one value.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        panics::discard(self.0.take());
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value").finish_non_exhaustive()
    }
}
