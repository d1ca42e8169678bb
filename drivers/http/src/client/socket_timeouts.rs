//! The timeouts of a socket, and what it says when they pass.

use super::deadline::Deadline;
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::time::Duration;

/// Brings a socket's timeouts to what the next step may take.
pub(super) fn limit(socket: &TcpStream, deadline: &Deadline) -> io::Result<()> {
    // A socket's timeout cannot be zero, which would stand for none.
    let left = deadline.left()?.map(|left| left.max(Duration::from_micros(1)));
    socket.set_read_timeout(left)?;
    socket.set_write_timeout(left)
}

/// What a socket says when its timeout passes, put as what it means. Windows says `TimedOut`, without what it was doing.
pub(super) fn timed_out(error: io::Error, doing: &str) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            io::Error::new(ErrorKind::TimedOut, format!("timed out {doing}"))
        }
        _ => error,
    }
}
