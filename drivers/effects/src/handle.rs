//! The handle that keeps the threads alive: they end when it is dropped.

use crate::pool::Pool;
use std::sync::Arc;

/// Ends the threads when it is dropped.
pub(crate) struct Handle(Arc<Pool>);

impl Handle {
    pub(crate) fn new(pool: Pool) -> Self {
        Self(Arc::new(pool))
    }

    pub(crate) const fn pool(&self) -> &Arc<Pool> {
        &self.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}
