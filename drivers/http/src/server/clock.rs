//! The clock that timestamps requests.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Returns the time since the Unix epoch.
#[derive(Clone, Default)]
pub(super) enum Clock {
    /// The system clock.
    #[default]
    System,
    /// A clock set by the user.
    Other(Arc<dyn Fn() -> Duration + Send + Sync>),
}

impl Clock {
    pub(super) fn now(&self) -> Duration {
        match self {
            Self::System => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Self::Other(clock) => clock(),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
