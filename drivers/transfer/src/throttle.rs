//! Rate-limits reports of events that untrusted peers can trigger.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The minimum time between two reports.
const PAUSE: Duration = Duration::from_secs(10);

/// Admits one event in ten seconds, and counts the others. For events that an operator should know about, but whose frequency
/// untrusted peers control.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    left_out: u64,
}

impl Throttle {
    /// Returns how many events were omitted since the last report if an event should be reported now; `None` if it should be
    /// omitted too.
    pub fn admit(&self) -> Option<u64> {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> Option<u64> {
        // No code panics while the lock is held.
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
