//! The time formats of V4 signatures.

use chrono::{DateTime, Datelike};
use std::time::{SystemTime, UNIX_EPOCH};

/// A time in UTC.
pub(super) struct Timestamp {
    /// In the form `20190201T090000Z`.
    pub(super) whole: String,
    /// In the form `20190201`.
    pub(super) date: String,
}

impl Timestamp {
    /// Returns `None` before 1970 and after the year 9999.
    pub(super) fn new(time: SystemTime) -> Option<Self> {
        let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
        let time = DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0)?;
        (time.year() <= 9999).then(|| Self {
            whole: time.format("%Y%m%dT%H%M%SZ").to_string(),
            date: time.format("%Y%m%d").to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_written_in_full_or_not_at_all() {
        let at = |seconds| Timestamp::new(UNIX_EPOCH + Duration::from_secs(seconds));
        let first = at(0).unwrap();
        assert_eq!((&*first.whole, &*first.date), ("19700101T000000Z", "19700101"));
        assert_eq!(at(253_402_300_799).unwrap().whole, "99991231T235959Z");
        assert!(at(253_402_300_800).is_none());
        assert!(Timestamp::new(UNIX_EPOCH - Duration::from_secs(1)).is_none());
    }
}
