//! How long an exchange may still take.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

/// The end of a whole, and the most that each of its steps may take.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deadline {
    end: Option<Instant>,
    step: Option<Duration>,
}

impl Deadline {
    /// From now on: so long in all, and so long between two bytes.
    pub(crate) fn new(whole: Option<Duration>, step: Option<Duration>) -> Self {
        Self { end: whole.and_then(|whole| Instant::now().checked_add(whole)), step }
    }

    /// The same end, or a sooner one, for steps of another kind.
    pub(crate) fn within(self, whole: Option<Duration>) -> Self {
        let other = Self::new(whole, None);
        Self { end: self.end.into_iter().chain(other.end).min(), step: None }
    }

    /// The most that each step may take, and the end of all; `None` for any time.
    #[cfg(feature = "tls")]
    pub(crate) fn step_and_end(&self) -> (Option<Duration>, Option<Instant>) {
        (self.step, self.end)
    }

    /// What the next step may take; `None` for any time.
    pub(crate) fn left(&self) -> io::Result<Option<Duration>> {
        let Some(end) = self.end else { return Ok(self.step) };
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(ErrorKind::TimedOut, "it took too long in all"));
        }
        Ok(Some(self.step.map_or(left, |step| step.min(left))))
    }
}
