//! Sockets with one time limit for all operations.

use crate::error::LocalApiError;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
#[cfg(unix)]
use std::path::Path;
use std::time::{Duration, Instant};
use vgi_rpc_transfer::retry;

/// A connection to the daemon.
#[derive(Debug)]
pub(crate) struct Socket {
    family: Family,
    end: Instant,
}

#[derive(Debug)]
enum Family {
    #[cfg(unix)]
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Socket {
    /// Connects to a unix socket.
    #[cfg(unix)]
    pub(crate) fn unix(path: &Path, end: Instant) -> Result<Self, LocalApiError> {
        use rustix::net::sockopt::{Timeout, set_socket_timeout};
        use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
        let left = left(end)?;
        let connect = || {
            let address = SocketAddrUnix::new(path)?;
            let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
            // Connecting waits for room in the backlog, limited by the send timeout.
            set_socket_timeout(&socket, Timeout::Send, Some(left))?;
            rustix::io::retry_on_intr(|| connect(&socket, &address))?;
            io::Result::Ok(socket)
        };
        let socket = connect().map_err(|error| failed(error, LocalApiError::Connect))?;
        Ok(Self { family: Family::Unix(socket.into()), end })
    }

    /// Connects to a port.
    pub(crate) fn tcp(address: &SocketAddr, end: Instant) -> Result<Self, LocalApiError> {
        let connected = TcpStream::connect_timeout(address, left(end)?);
        let socket = connected.map_err(|error| failed(error, LocalApiError::Connect))?;
        Ok(Self { family: Family::Tcp(socket), end })
    }

    /// Reads some bytes. Returns 0 at the end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, LocalApiError> {
        let left = left(self.end)?;
        let read = match &mut self.family {
            #[cfg(unix)]
            Family::Unix(socket) => {
                socket.set_read_timeout(Some(left)).and_then(|()| retry(|| socket.read(buffer)))
            }
            Family::Tcp(socket) => {
                socket.set_read_timeout(Some(left)).and_then(|()| retry(|| socket.read(buffer)))
            }
        };
        read.map_err(|error| failed(error, LocalApiError::Io))
    }

    /// Writes some of the slices' bytes.
    pub(crate) fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let left = left(self.end).map_err(|_| io::Error::from(ErrorKind::TimedOut))?;
        match &mut self.family {
            #[cfg(unix)]
            Family::Unix(socket) => {
                socket.set_write_timeout(Some(left))?;
                socket.write_vectored(slices)
            }
            Family::Tcp(socket) => {
                socket.set_write_timeout(Some(left))?;
                socket.write_vectored(slices)
            }
        }
    }
}

/// Converts the error of a socket operation.
pub(crate) fn failed(error: io::Error, other: impl FnOnce(io::Error) -> LocalApiError) -> LocalApiError {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => LocalApiError::TimedOut,
        _ => other(error),
    }
}

/// Returns the remaining time, at least a microsecond: zero would mean no limit.
fn left(end: Instant) -> Result<Duration, LocalApiError> {
    match end.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(LocalApiError::TimedOut),
        left => Ok(left.max(Duration::from_micros(1))),
    }
}
