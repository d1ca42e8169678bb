//! How long a client waits for its server.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

/// The default of how long a server may send nothing while an answer is due.
const READ: Duration = Duration::from_secs(300);

/// How long a client waits. After a timeout a byte stream can no longer be used: reconnect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// How long the server may send nothing while an answer is due, or read nothing of a request. `None` for no limit. Default 5
    /// min. Logs count as activity, so a method that runs for longer can log regularly.
    pub read: Option<Duration>,
    /// How long a unary call may take in total, from the first byte sent to the last byte read. On a stream it limits each turn.
    /// Default `None`, because an answer that keeps arriving should not be interrupted.
    pub call: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { read: Some(READ), call: None }
    }
}

impl Timeouts {
    /// Sets [`read`](Self::read).
    pub fn read(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.read = timeout.into();
        self
    }

    /// Sets [`call`](Self::call).
    pub fn call(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.call = timeout.into();
        self
    }
}

/// The direction in which bytes will move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the server.
    Read,
    /// To the server.
    Write,
}

/// The timeouts of a connection, and the remaining time of the current turn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience {
    timeouts: Timeouts,
    /// The current turn: its end, and whether its answer has begun.
    turn: Option<(Option<Instant>, bool)>,
}

impl Patience {
    /// Creates the timeouts of a connection on which no turn has begun.
    pub fn new(timeouts: Timeouts) -> Self {
        Self { timeouts, turn: None }
    }

    /// Returns how long the next read or write may take; `None` for no limit. A write after a read begins a new turn.
    ///
    /// # Errors
    /// `TimedOut` if the call's time limit has passed.
    pub fn next(&mut self, direction: Direction) -> io::Result<Option<Duration>> {
        let Timeouts { read, call } = self.timeouts;
        let Some(call) = call else { return Ok(read) };
        let reads = direction == Direction::Read;
        let (deadline, answered) = match self.turn {
            Some((deadline, answered)) if reads || !answered => (deadline, answered || reads),
            // A time beyond the range of the clock means no limit.
            _ => (Instant::now().checked_add(call), reads),
        };
        self.turn = Some((deadline, answered));
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(io::Error::new(ErrorKind::TimedOut, "the call took too long"));
        }
        Ok(left.into_iter().chain(read).min())
    }

    /// Returns when the current turn must end; `None` for no limit, or if no turn has begun.
    pub fn end(&self) -> Option<Instant> {
        self.turn.and_then(|(end, _)| end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_after_a_read_begins_a_turn_of_its_own() {
        let mut patience = Patience::new(Timeouts::default().call(Duration::from_millis(40)));
        assert!(patience.next(Direction::Write).unwrap().unwrap() <= Duration::from_millis(40));
        std::thread::sleep(Duration::from_millis(50));
        for direction in [Direction::Write, Direction::Read] {
            assert_eq!(patience.next(direction).unwrap_err().kind(), ErrorKind::TimedOut);
        }
        assert!(patience.next(Direction::Write).unwrap().is_some());
    }

    #[test]
    fn the_shorter_timeout_wins_and_the_longest_is_no_panic() {
        let second = Duration::from_secs(1);
        let mut patience = Patience::new(Timeouts::default().read(second).call(Duration::MAX));
        assert_eq!(patience.next(Direction::Write).unwrap(), Some(second));
        let mut patience = Patience::new(Timeouts::default().read(None).call(Duration::MAX));
        assert_eq!(patience.next(Direction::Read).unwrap(), None);
        assert_eq!(Patience::default().next(Direction::Read).unwrap(), Some(READ));
    }
}
