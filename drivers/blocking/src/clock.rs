//! The clock for the times of calls.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// Returns the time since a fixed moment.
pub(crate) type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Returns the system's monotonic clock, starting now. On wasm32-unknown-unknown, where reading it panics, returns a clock that
/// stands still.
pub(crate) fn system_clock() -> Clock {
    if cfg!(all(target_family = "wasm", target_os = "unknown")) {
        return Arc::new(|| Duration::ZERO);
    }
    let begun = Instant::now();
    Arc::new(move || begun.elapsed())
}
