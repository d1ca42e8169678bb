//! The periods of rotation, each with a file of its own. All are in UTC.

use chrono::DateTime;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;

const DAY: i64 = 24 * 3600;

/// The period of time that one file of a log covers. Periods are aligned to the clock in UTC, not to the opening of the log: a
/// log that is reopened continues the file of the same period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationPeriod(Length);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Second,
    Minute,
    Hour,
    Day,
    /// Ends with this day: 0 is Monday.
    Week(u8),
}

/// The text is not the name of a period.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("expected S, M, H, D, midnight, or W0 (Monday) to W6 (Sunday), got {0:?}")]
pub struct RotationPeriodError(String);

impl RotationPeriod {
    /// A second.
    pub const SECOND: Self = Self(Length::Second);
    /// A minute.
    pub const MINUTE: Self = Self(Length::Minute);
    /// An hour.
    pub const HOUR: Self = Self(Length::Hour);
    /// A day.
    pub const DAY: Self = Self(Length::Day);

    /// Returns the start of the period that contains a time since the Unix epoch, in seconds.
    pub(crate) fn start(self, time: Duration) -> i64 {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let length = match self.0 {
            Length::Second => 1,
            Length::Minute => 60,
            Length::Hour => 3600,
            Length::Day => DAY,
            Length::Week(last) => {
                // The epoch began on a Thursday.
                let weekday = (seconds / DAY + 3) % 7;
                let since_first = (weekday - i64::from(last) - 1).rem_euclid(7);
                return (seconds / DAY - since_first) * DAY;
            }
        };
        seconds - seconds % length
    }

    /// Returns the suffix of a file whose last record is from this time.
    pub(crate) fn name(self, time: Duration) -> String {
        let start = DateTime::from_timestamp(self.start(time), 0).unwrap_or_default();
        start.format(self.pattern()).to_string()
    }

    /// Whether a suffix could be one of [`name`](Self::name).
    pub(crate) fn is_name(self, name: &str) -> bool {
        let example = self.name(Duration::ZERO);
        let is_alike =
            |(one, other): (char, char)| one == other || one.is_ascii_digit() && other.is_ascii_digit();
        name.len() == example.len() && name.chars().zip(example.chars()).all(is_alike)
    }

    const fn pattern(self) -> &'static str {
        match self.0 {
            Length::Second => "%Y-%m-%d_%H-%M-%S",
            Length::Minute => "%Y-%m-%d_%H-%M",
            Length::Hour => "%Y-%m-%d_%H",
            Length::Day | Length::Week(_) => "%Y-%m-%d",
        }
    }
}

/// Parses the names of Python's `TimedRotatingFileHandler`, in any case: `S`, `M`, `H`, `D`, `midnight`, and `W0` to `W6` for a
/// week that ends with Monday to Sunday. `D` is the same as `midnight`.
impl FromStr for RotationPeriod {
    type Err = RotationPeriodError;

    fn from_str(text: &str) -> Result<Self, RotationPeriodError> {
        let length = match text.to_ascii_uppercase().as_bytes() {
            b"S" => Length::Second,
            b"M" => Length::Minute,
            b"H" => Length::Hour,
            b"D" | b"MIDNIGHT" => Length::Day,
            [b'W', last @ b'0'..=b'6'] => Length::Week(last - b'0'),
            _ => return Err(RotationPeriodError(text.chars().take(32).collect())),
        };
        Ok(Self(length))
    }
}

impl fmt::Display for RotationPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Length::Second => f.write_str("S"),
            Length::Minute => f.write_str("M"),
            Length::Hour => f.write_str("H"),
            Length::Day => f.write_str("D"),
            Length::Week(last) => write!(f, "W{last}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_begin_where_the_clock_says_so() {
        // 2026-04-26 15:30:45, a Sunday.
        let now = Duration::from_secs(1_777_217_445);
        for (text, name) in [
            ("S", "2026-04-26_15-30-45"),
            ("m", "2026-04-26_15-30"),
            ("h", "2026-04-26_15"),
            ("D", "2026-04-26"),
            ("Midnight", "2026-04-26"),
            // Ends with this Sunday: it began on Monday the 20th.
            ("W6", "2026-04-20"),
            // Ends with Monday.
            ("w0", "2026-04-21"),
            // Ended with yesterday, Saturday.
            ("W5", "2026-04-26"),
        ] {
            let period: RotationPeriod = text.parse().unwrap();
            assert_eq!(period.name(now), name, "{text}");
            assert!(period.is_name(name) && !period.is_name("1") && !period.is_name("2026-04-2x"), "{text}");
            assert_eq!(period.to_string().parse(), Ok(period));
        }
        for text in ["", "W7", "W", "hour", "H2"] {
            let error = text.parse::<RotationPeriod>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }
}
