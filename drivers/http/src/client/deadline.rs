//! The remaining time of an exchange.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

/// The end of an exchange, and the limit of each of its steps.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deadline {
    end: Option<Instant>,
    step: Option<Duration>,
}

impl Deadline {
    /// Starts now, with a limit for the whole exchange and one between two bytes.
    pub(crate) fn new(whole: Option<Duration>, step: Option<Duration>) -> Self {
        Self { end: whole.and_then(|whole| Instant::now().checked_add(whole)), step }
    }

    /// Returns the same end or an earlier one, for other steps.
    pub(crate) fn within(self, whole: Option<Duration>) -> Self {
        let other = Self::new(whole, None);
        Self { end: self.end.into_iter().chain(other.end).min(), step: None }
    }

    /// Returns the limit of each step, and the end of the exchange; `None` for no limit.
    #[cfg(feature = "tls")]
    pub(crate) fn step_and_end(&self) -> (Option<Duration>, Option<Instant>) {
        (self.step, self.end)
    }

    /// Returns the limit of the next step; `None` for no limit.
    pub(crate) fn left(&self) -> io::Result<Option<Duration>> {
        let Some(end) = self.end else { return Ok(self.step) };
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(ErrorKind::TimedOut, "it took too long in total"));
        }
        Ok(Some(self.step.map_or(left, |step| step.min(left))))
    }
}
