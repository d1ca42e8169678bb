//! Which connections are closed when memory is short: the slowest of those that hold some.
//!
//! A machine that is refused memory answers its own peer at once. Memory that peers hold without moving it, by messages
//! that do not come to their end or answers that they do not read, is taken back here.

use crate::machine::Acceptor;
use crate::shared::{Shared, State};
use crate::timeouts::Wait;
use std::time::{Duration, Instant};

/// How often connections are looked at while memory is short.
const LOOK: Duration = Duration::from_millis(100);
/// A connection that holds less than this is left alone, in bytes.
const LEAST_HELD: usize = 64 << 10;
/// A connection that moved something this lately is left alone, in milliseconds, unless it moves little.
const GRACE: u64 = 250;
/// Moving little: less than 64 bytes in a millisecond, since a second or more.
const SLOW_BYTES: u64 = 64;
const SLOW_MILLIS: u64 = 1000;
/// This part of the candidates is closed at one look, and one at least.
const PART: usize = 8;

/// What the supervisor remembers of memory between two looks.
#[derive(Debug, Default)]
pub(crate) struct Shortage {
    /// Refusals that were seen.
    refusals: u64,
    next_look: Option<Instant>,
}

impl<A: Acceptor> Shared<A> {
    /// Takes memory back if a machine was refused some since the last look. Says when to look again.
    pub(crate) fn look_after_memory(
        &self,
        state: &mut State<A::Machine>,
        shortage: &mut Shortage,
        now: Instant,
    ) -> Option<Instant> {
        let refusals = self.acceptor.memory_refusals();
        if refusals == shortage.refusals {
            return None;
        }
        if let Some(next) = shortage.next_look
            && next > now
        {
            return Some(next);
        }
        shortage.refusals = refusals;
        shortage.next_look = now.checked_add(LOOK);
        let millis = self.now();
        let mut candidates = Vec::new();
        for connection in state.connections.values() {
            match connection.waiting() {
                Some((Wait::Idle | Wait::Stream, ..)) => connection.release_memory(),
                Some((Wait::Body | Wait::Output, progress, began)) => {
                    let speed = speed(connection.held_bytes(), millis, progress, began);
                    candidates.extend(speed.map(|speed| (speed, connection.clone())));
                }
                _ => {}
            }
        }
        candidates.sort_unstable_by_key(|(speed, _)| *speed);
        candidates.truncate(candidates.len().div_ceil(PART));
        for (_, connection) in candidates {
            if connection.take_memory_back() {
                self.queue_from_outside(state, connection);
            }
        }
        None
    }
}

/// How many bytes a connection has moved in a millisecond since its wait began; `None` if it is not to be closed.
fn speed(held: usize, now: u64, progress: u64, began: u64) -> Option<u64> {
    if held < LEAST_HELD {
        return None;
    }
    let age = now.saturating_sub(began).max(1);
    let speed = held as u64 / age;
    let is_still = now.saturating_sub(progress) >= GRACE;
    (is_still || (age >= SLOW_MILLIS && speed < SLOW_BYTES)).then_some(speed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_hold_little_or_move_much_are_left_alone() {
        assert_eq!(speed(LEAST_HELD - 1, 10_000, 0, 0), None);
        assert_eq!(speed(1 << 20, 10_000, 9_900, 0), None, "a hundred bytes in a millisecond");
        assert_eq!(speed(1 << 20, 10_000, 9_700, 0), Some(104), "nothing for 300 ms");
        assert_eq!(speed(1 << 19, 10_000, 10_000, 0), Some(52), "always something, but little");
        assert_eq!(speed(1 << 19, 500, 500, 0), None, "it has only begun");
        assert_eq!(speed(usize::MAX, 0, 0, 0), None);
    }
}
