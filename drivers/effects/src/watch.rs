//! Reads the statistics of a performer, without keeping its threads alive.

use crate::pool::Pool;
use crate::statistics::Statistics;
use std::fmt;
use std::sync::Weak;

/// Reads the statistics of a [`Performer`](crate::Performer), without keeping its threads alive. Clones read the same one.
#[derive(Clone)]
pub struct Watch(Option<Weak<Pool>>);

impl Watch {
    /// `pool` is `None` if nothing is performed.
    pub(crate) const fn new(pool: Option<Weak<Pool>>) -> Self {
        Self(pool)
    }

    /// Returns the current statistics; `None` after the threads have ended, and for [`Performer::none`](crate::Performer::none).
    pub fn statistics(&self) -> Option<Statistics> {
        self.0.as_ref()?.upgrade()?.statistics()
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.statistics()).finish()
    }
}
