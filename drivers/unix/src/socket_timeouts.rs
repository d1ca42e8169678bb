//! The timeouts of a client's socket, and the error when they pass.

use std::io::{self, ErrorKind};
use std::time::Duration;

/// Returns the timeout, at least 1 µs: a socket's timeout cannot be zero, which would mean none.
pub(crate) fn at_least(timeout: Duration) -> Duration {
    timeout.max(Duration::from_micros(1))
}

/// Converts the error of a socket's timeout into one that names the operation. Windows reports `TimedOut` without it.
pub(crate) fn timed_out(error: io::Error, doing: &str) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            io::Error::new(ErrorKind::TimedOut, format!("timed out {doing}"))
        }
        _ => error,
    }
}
