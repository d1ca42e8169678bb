//! Rate-limits reports of events that strangers can trigger.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The least time between two reports.
const PAUSE: Duration = Duration::from_secs(10);

/// Lets one event through in ten seconds, and counts the others. For what an operator is to know of, but strangers decide how often
/// happens.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    left_out: u64,
}

impl Throttle {
    /// How many events were left out since the last report, if one that happens now is to be reported; `None` if it is left out too.
    pub fn admit(&self) -> Option<u64> {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> Option<u64> {
        // Nothing panics while it is held.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            state.left_out += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_event_comes_through_in_a_while_and_the_others_are_counted() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        assert_eq!(throttle.admit_at(now), Some(0));
        assert_eq!(throttle.admit_at(now), None);
        assert_eq!(throttle.admit_at(now + PAUSE - Duration::from_nanos(1)), None);
        assert_eq!(throttle.admit_at(now + PAUSE), Some(2));
        assert_eq!(throttle.admit_at(now + PAUSE * 3), Some(0));
    }
}
