//! The clock that the times of calls are read from.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// Returns the time since a moment that does not change.
pub(crate) type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// The system's monotonic clock, from now on. On wasm32-unknown-unknown, where reading it panics, a clock that stands still.
pub(crate) fn system_clock() -> Clock {
    if cfg!(all(target_family = "wasm", target_os = "unknown")) {
        return Arc::new(|| Duration::ZERO);
    }
    let begun = Instant::now();
    Arc::new(move || begun.elapsed())
}
