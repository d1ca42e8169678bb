//! An accepted socket on Windows, where the poll reports more only after a call that would have blocked: mio records that in
//! the socket.

use crate::address::Origin;
use crate::locks::lock;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::sync::Mutex;

/// An accepted, non-blocking socket.
#[derive(Debug)]
pub(crate) struct Socket(Mutex<TcpStream>);

/// Whether a read that does not fill its buffer has emptied the socket, so that the poll reports later input.
pub(crate) const SHORT_READ_DRAINS: bool = false;

impl Socket {
    pub(crate) fn tcp(socket: TcpStream) -> Self {
        Self(Mutex::new(socket))
    }

    /// Whether the peer is a process on this machine.
    pub(crate) fn is_unix(&self) -> bool {
        false
    }

    /// Returns the peer's origin.
    pub(crate) fn origin(&self) -> Origin {
        Origin::Tcp(lock(&self.0).peer_addr().ok())
    }

    /// Registers the socket with the poll.
    pub(crate) fn register(&self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        registry.register(&mut *lock(&self.0), token, interest)
    }

    /// Changes the interest of the poll. Existing readiness is reported again.
    pub(crate) fn reregister(&self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        registry.reregister(&mut *lock(&self.0), token, interest)
    }

    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        lock(&self.0).read(buffer)
    }

    pub(crate) fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        lock(&self.0).write_vectored(slices)
    }

    pub(crate) fn shutdown(&self, how: Shutdown) {
        // A socket that is no longer connected counts as shut down.
        let _ = lock(&self.0).shutdown(how);
    }
}
