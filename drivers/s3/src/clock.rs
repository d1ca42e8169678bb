//! A clock that is corrected once it is known to be wrong.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use vgi_rpc_external::unix_time;

/// S3 refuses times that differ by 15 minutes from its own. Differences up to this one, in seconds, are not corrected.
const TOLERATED: i64 = 4 * 60;

/// A clock that returns the time since the Unix epoch.
#[derive(Clone)]
pub(crate) struct Clock {
    base: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// The seconds that are added to the time.
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
        self.at(self.offset())
    }

    /// Returns the seconds that are currently added.
    pub(crate) fn offset(&self) -> i64 {
        self.offset.load(Ordering::Relaxed)
    }

    /// Returns the current time, with this many seconds added.
    pub(crate) fn at(&self, offset: i64) -> Duration {
        shifted((self.base)(), offset)
    }

    /// Sets the clock to the server's time, unless another thread has already done so.
    pub(crate) fn correct(&self, server: Duration) {
        let base = (self.base)();
        if skew(shifted(base, self.offset()), server).is_some() {
            // This is stored, not added: threads that correct the clock at the same time store the same value.
            self.offset.store(difference(base, server), Ordering::Relaxed);
        }
    }
}

fn shifted(time: Duration, by: i64) -> Duration {
    let seconds = Duration::from_secs(by.unsigned_abs());
    if by < 0 { time.saturating_sub(seconds) } else { time.saturating_add(seconds) }
}

/// Returns the seconds by which the server is ahead of a time.
fn difference(time: Duration, server: Duration) -> i64 {
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    seconds(server).saturating_sub(seconds(time))
}

/// Returns the seconds by which the server is ahead of a time, if they need a correction.
pub(crate) fn skew(now: Duration, server: Duration) -> Option<i64> {
    let skew = difference(now, server);
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

    #[test]
    fn two_corrections_at_a_time_are_one() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        // While the first correction reads the time, another thread completes one.
        let slot = Arc::new(std::sync::Mutex::new(None::<Clock>));
        let other = slot.clone();
        let clock = Clock::new(move || {
            let other = other.lock().unwrap().take();
            if let Some(clock) = other {
                clock.correct(minutes(160));
            }
            minutes(100)
        });
        *slot.lock().unwrap() = Some(clock.clone());
        clock.correct(minutes(160));
        assert_eq!(clock.now(), minutes(160));
    }
}
