//! The timeouts of a client's socket, and what it says when they pass.

use std::io::{self, ErrorKind};
use std::time::Duration;

/// A socket's timeout cannot be zero, which would stand for none.
pub(crate) fn at_least(timeout: Duration) -> Duration {
    timeout.max(Duration::from_micros(1))
}

/// What a socket says when its timeout passes, put as what it means. Windows says `TimedOut`, without what it was doing.
pub(crate) fn timed_out(error: io::Error, doing: &str) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            io::Error::new(ErrorKind::TimedOut, format!("timed out {doing}"))
        }
        _ => error,
    }
}
