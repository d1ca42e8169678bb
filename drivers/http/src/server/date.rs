//! The `Date` header of every response, formatted once a second.

use chrono::{DateTime, Utc};
use http::HeaderValue;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The date that was formatted last.
#[derive(Debug, Default)]
pub(super) struct Date(Mutex<Option<(u64, HeaderValue)>>);

impl Date {
    /// Formats a time since the Unix epoch as an HTTP date. RFC 9110, section 5.6.7.
    pub(super) fn at(&self, now: Duration) -> Option<HeaderValue> {
        let seconds = now.as_secs();
        // A panic while the lock is held leaves either the old value or the new one.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made_at, value)) = &*last
            && *made_at == seconds
        {
            return Some(value.clone());
        }
        let time: DateTime<Utc> = DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0)?;
        let value = HeaderValue::from_str(&time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()).ok()?;
        *last = Some((seconds, value.clone()));
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_as_http_writes_it() {
        let date = Date::default();
        let at =
            |seconds| date.at(Duration::from_secs(seconds)).map(|value| value.to_str().map(str::to_owned));
        assert!(matches!(at(784_111_777), Some(Ok(text)) if text == "Sun, 06 Nov 1994 08:49:37 GMT"));
        assert!(matches!(at(784_111_778), Some(Ok(text)) if text == "Sun, 06 Nov 1994 08:49:38 GMT"));
    }
}
