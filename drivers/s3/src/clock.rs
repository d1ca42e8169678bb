//! The time, corrected once it is known to be wrong.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use vgi_rpc_external::unix_time;

/// S3 refuses times that are 15 minutes away from its own. What is nearer is left as it is.
const TOLERATED: i64 = 4 * 60;

/// The time since the Unix epoch.
#[derive(Clone)]
pub(crate) struct Clock {
    base: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// Seconds that are added.
    offset: Arc<AtomicI64>,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new(unix_time)
    }
}

impl Clock {
    pub(crate) fn new(base: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { base: Arc::new(base), offset: Arc::default() }
    }

    pub(crate) fn now(&self) -> Duration {
        let offset = self.offset.load(Ordering::Relaxed);
        let by = Duration::from_secs(offset.unsigned_abs());
        let base = (self.base)();
        if offset < 0 { base.saturating_sub(by) } else { base.saturating_add(by) }
    }

    /// Sets the clock to the server's time, unless another thread has.
    pub(crate) fn correct(&self, server: Duration) {
        if let Some(skew) = skew(self.now(), server) {
            self.offset.fetch_add(skew, Ordering::Relaxed);
        }
    }
}

/// Seconds by which the server is ahead of a time, if they are too many.
pub(crate) fn skew(now: Duration, server: Duration) -> Option<i64> {
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let skew = seconds(server).saturating_sub(seconds(now));
    (skew.saturating_abs() > TOLERATED).then_some(skew)
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("offset", &self.offset).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_set_to_the_servers_time() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let clock = Clock::new(move || minutes(100));
        let by = |server| skew(clock.now(), minutes(server));
        assert_eq!((by(103), by(97), by(105), by(90)), (None, None, Some(300), Some(-600)));
        for server in [160, 20, 100] {
            clock.clone().correct(minutes(server));
            assert_eq!(clock.now(), minutes(server));
        }
        clock.correct(minutes(103));
        assert_eq!(clock.now(), minutes(100));
    }
}
