//! Application values that pass through machines and drivers: the payloads of questions, and their answers.

use crate::panics;
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// An application's value of any type. Clones share it.
///
/// It is dropped with its last clone, which may happen on any thread of a driver. A panic in its destructor is ignored.
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

    /// Returns the value, if it is a `T`.
    pub fn downcast_ref<T: Any>(&self) -> Option<&T> {
        self.0.as_deref()?.downcast_ref()
    }

    /// Returns whether both share one value.
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
