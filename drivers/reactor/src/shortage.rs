//! Closes connections when memory is short: the slowest of those that hold memory.
//!
//! A machine that is refused memory notifies its own peer at once. This file frees memory that peers hold without transferring
//! data: by incomplete messages or unread answers.

use crate::machine::Acceptor;
use crate::shared::{Shared, State};
use crate::socket_connection::Waiting;
use crate::timeouts::Wait;
use mio::Token;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How often connections are checked while memory is short.
const LOOK: Duration = Duration::from_millis(100);
/// A connection that holds fewer bytes than this is not closed.
const LEAST_HELD: usize = 64 << 10;
/// A connection that transferred something within this time, in milliseconds, is not closed, unless it is slow.
const GRACE: u64 = 250;
/// An open stream may wait for its client for this time, in milliseconds, and may hold this number of bytes.
const STREAM_GRACE: u64 = 10_000;
const STREAM_HELD: usize = 1 << 20;
/// A connection is slow below 64 bytes per millisecond, measured over a second or more.
const SLOW_BYTES: u64 = 64;
const SLOW_MILLIS: u64 = 1000;
/// Samples of a connection are dropped after this time, in milliseconds.
const FORGET: u64 = 10_000;
/// The fraction of the candidates that is closed at one check, but at least one.
const PART: usize = 8;

/// The supervisor's state between two checks.
#[derive(Debug, Default)]
pub(crate) struct Shortage {
    /// The refusals seen so far.
    refusals: u64,
    next_look: Option<Instant>,
    /// What connections had sent at an earlier check, if possible a second ago or more.
    seen: HashMap<Token, Sample>,
}

/// How much a connection had sent at one time.
#[derive(Clone, Copy, Debug)]
struct Sample {
    received: u64,
    /// In the server's milliseconds.
    at: u64,
}

/// A waiting connection, as seen by one check.
#[derive(Clone, Copy, Debug)]
struct Holder {
    wait: Wait,
    held: usize,
    received: u64,
    /// When it last transferred something, and when its wait began.
    progress: u64,
    began: u64,
}

impl<A: Acceptor> Shared<A> {
    /// Closes connections if a machine was refused memory since the last check. Returns when to check again.
    pub(crate) fn look_after_memory(
        &self,
        state: &mut State<A::Machine>,
        shortage: &mut Shortage,
        now: Instant,
    ) -> Option<Instant> {
        self.memory_alarm.lower();
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
        shortage.seen.retain(|_, sample| millis.saturating_sub(sample.at) < FORGET);
        let mut candidates = Vec::new();
        for connection in state.connections.values() {
            let Some(Waiting { wait, progress, began, .. }) = connection.waiting() else { continue };
            if let Wait::Idle | Wait::Stream = wait {
                connection.release_memory();
            }
            let (held, received) = connection.held_and_received();
            let holder = Holder { wait, held, received, progress, began };
            let speed = holder.speed(shortage.seen.get(&connection.token), millis);
            candidates.extend(speed.map(|speed| (speed, connection.clone())));
            if held >= LEAST_HELD {
                let sample = shortage.seen.entry(connection.token).or_insert(Sample { received, at: millis });
                if millis.saturating_sub(sample.at) >= SLOW_MILLIS {
                    *sample = Sample { received, at: millis };
                }
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

impl Holder {
    /// Returns the bytes per millisecond that the connection transfers; `None` if it is not to be closed.
    fn speed(&self, sample: Option<&Sample>, now: u64) -> Option<u64> {
        let still = now.saturating_sub(self.progress);
        match self.wait {
            Wait::Stream => (self.held >= STREAM_HELD && still >= STREAM_GRACE).then_some(0),
            Wait::Body | Wait::Output if self.held >= LEAST_HELD => {
                let age = now.saturating_sub(self.began).max(1);
                let whole = self.held as u64 / age;
                // A fast start does not compensate for a slow end.
                let lately = sample.filter(|_| self.wait == Wait::Body).and_then(|sample| {
                    let time = now.saturating_sub(sample.at);
                    (time >= SLOW_MILLIS).then(|| self.received.saturating_sub(sample.received) / time)
                });
                let speed = lately.map_or(whole, |lately| lately.min(whole));
                let is_slow = (age >= SLOW_MILLIS && whole < SLOW_BYTES)
                    || lately.is_some_and(|lately| lately < SLOW_BYTES);
                (still >= GRACE || is_slow).then_some(speed)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(held: usize, progress: u64, began: u64) -> Holder {
        Holder { wait: Wait::Body, held, received: held as u64, progress, began }
    }

    #[test]
    fn those_that_hold_little_or_move_much_are_left_alone() {
        assert_eq!(body(LEAST_HELD - 1, 0, 0).speed(None, 10_000), None);
        assert_eq!(body(1 << 20, 9_900, 0).speed(None, 10_000), None, "a hundred bytes in a millisecond");
        assert_eq!(body(1 << 20, 9_700, 0).speed(None, 10_000), Some(104), "nothing for 300 ms");
        assert_eq!(body(1 << 19, 10_000, 0).speed(None, 10_000), Some(52), "always something, but little");
        assert_eq!(body(1 << 19, 500, 0).speed(None, 500), None, "it has only begun");
        assert_eq!(body(usize::MAX, 0, 0).speed(None, 0), None);
    }

    #[test]
    fn a_fast_beginning_does_not_make_up_for_a_slow_end() {
        let holder = body(30 << 20, 10_000, 0);
        assert_eq!(holder.speed(None, 10_000), None, "3,000 bytes in a millisecond, as far as is known");
        let sample = Sample { received: holder.received - 100, at: 8_000 };
        assert_eq!(holder.speed(Some(&sample), 10_000), Some(0), "100 bytes in two seconds");
        let sample = Sample { received: holder.received - 1_000_000, at: 8_000 };
        assert_eq!(holder.speed(Some(&sample), 10_000), None);
    }

    #[test]
    fn open_streams_are_closed_for_much_memory_after_a_long_silence_only() {
        let stream = Holder { wait: Wait::Stream, ..body(20 << 20, 1_000, 0) };
        assert_eq!(stream.speed(None, 10_000), None);
        assert_eq!(stream.speed(None, 11_000), Some(0));
        assert_eq!(Holder { held: 1000, ..stream }.speed(None, 100_000), None);
    }
}
