//! How long to wait before another attempt: exponential backoff with jitter, and `Retry-After`.

use chrono::DateTime;
use http::HeaderMap;
use http::header::{AsHeaderName, DATE, RETRY_AFTER};
use std::time::{Duration, Instant, SystemTime};

/// The number of attempts, and the waits between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// How often an operation is retried. Default 4.
    pub retries: u32,
    /// The approximate wait before the first retry; it doubles with each further one. Default 0.2 s.
    pub first: Duration,
    /// The longest wait, unless the server asks for a longer one. Default 10 s.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { retries: 4, first: Duration::from_millis(200), longest: Duration::from_secs(10) }
    }
}

impl Backoff {
    /// Returns how long to wait after this many failed attempts, starting at 1; `None` if there is no further attempt.
    ///
    /// It is chosen at random between half of the exponentially growing time and all of it, and is at least the time that the
    /// server asked for.
    pub fn delay(&self, made: u32, retry_after: Option<Duration>) -> Option<Duration> {
        if made > self.retries {
            return None;
        }
        let doublings = made.saturating_sub(1).min(20);
        let full = self.first.saturating_mul(1 << doublings).min(self.longest);
        let mut random = [0; 2];
        // Without random bytes, the shortest wait is used.
        let share = getrandom::fill(&mut random).map_or(0, |()| u32::from(u16::from_ne_bytes(random)));
        let delay = full / 2 + (full / 2).saturating_mul(share) / u32::from(u16::MAX);
        Some(delay.max(retry_after.unwrap_or_default()))
    }
}

/// Returns the wait that a response asks for by `Retry-After`, in seconds or as a date.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    // The date is compared with the server's clock, if the response has its time.
    let now = date(headers, DATE).unwrap_or_else(unix_time);
    Some(date(headers, RETRY_AFTER)?.saturating_sub(now))
}

/// Returns the date in a header, as the time since the Unix epoch.
pub fn date(headers: &HeaderMap, name: impl AsHeaderName) -> Option<Duration> {
    let text = headers.get(name)?.to_str().ok()?;
    let date = DateTime::parse_from_rfc2822(text.trim()).ok()?;
    u64::try_from(date.timestamp()).ok().map(Duration::from_secs)
}

/// Returns the end of a time limit that begins now. A limit that the clock cannot express is replaced by a year.
pub fn deadline(time_limit: Duration) -> Instant {
    const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    Instant::now() + time_limit.min(A_YEAR)
}

/// Returns the time since the Unix epoch by this machine's clock.
pub fn unix_time() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_end() {
        let backoff = Backoff { retries: 5, first: Duration::from_secs(1), longest: Duration::from_secs(6) };
        for (made, full) in [(1, 1), (2, 2), (3, 4), (4, 6), (5, 6)] {
            let delay = backoff.delay(made, None).unwrap();
            assert!(delay * 2 >= Duration::from_secs(full), "{made}: {delay:?}");
            assert!(delay <= Duration::from_secs(full), "{made}: {delay:?}");
        }
        assert_eq!(backoff.delay(6, Some(Duration::ZERO)), None);
        assert_eq!(backoff.delay(1, Some(Duration::from_secs(30))), Some(Duration::from_secs(30)));
    }

    #[test]
    fn a_server_asks_for_a_wait_in_seconds_or_by_a_date() {
        let headers = |fields: &[(http::HeaderName, &'static str)]| {
            let fields = fields.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
            HeaderMap::from_iter(fields)
        };
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, "7")])), Some(Duration::from_secs(7)));
        let dates = [(RETRY_AFTER, "Sun, 06 Nov 1994 08:49:37 GMT"), (DATE, "Sun, 06 Nov 1994 08:49:30 GMT")];
        assert_eq!(retry_after(&headers(&dates)), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(&headers(&dates[..1])), Some(Duration::ZERO), "it has passed");
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, "soon")])), None);
        assert_eq!(retry_after(&headers(&[])), None);
        assert_eq!(date(&headers(&dates), DATE), Some(Duration::from_secs(784_111_770)));
    }
}
