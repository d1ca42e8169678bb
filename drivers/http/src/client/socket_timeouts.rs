//! Sets the timeouts of a socket, and translates its timeout errors.

use super::deadline::Deadline;
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::time::Duration;

/// Sets a socket's timeouts to the limit of the next step.
pub(super) fn limit(socket: &TcpStream, deadline: &Deadline) -> io::Result<()> {
    // A socket's timeout cannot be zero, which would mean no timeout.
    let left = deadline.left()?.map(|left| left.max(Duration::from_micros(1)));
    socket.set_read_timeout(left)?;
    socket.set_write_timeout(left)
}

/// Replaces the error of a passed timeout by one that says so. Windows reports `TimedOut`, without the operation.
pub(super) fn timed_out(error: io::Error, doing: &str) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            io::Error::new(ErrorKind::TimedOut, format!("timed out {doing}"))
        }
        _ => error,
    }
}
