//! An accepted socket on Unix, where the poll registers descriptors.

use crate::address::{Credentials, Origin};
use mio::net::{TcpStream, UnixStream};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd};

/// An accepted, non-blocking socket.
#[derive(Debug)]
pub(crate) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// Whether a read that does not fill its buffer has emptied the socket, so that the poll reports later input.
pub(crate) const SHORT_READ_DRAINS: bool = true;

/// The maximum that the system allows with one message.
const MOST_DESCRIPTORS: usize = 253;

/// Makes child processes not inherit received descriptors, if the system can.
#[cfg(not(target_vendor = "apple"))]
const CLOSE_ON_EXEC: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(target_vendor = "apple")]
const CLOSE_ON_EXEC: RecvFlags = RecvFlags::empty();

impl Socket {
    pub(crate) fn tcp(socket: TcpStream) -> Self {
        Self::Tcp(socket)
    }

    /// Whether the peer is a process on this machine.
    pub(crate) fn is_unix(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    /// Returns the peer's origin.
    pub(crate) fn origin(&self) -> Origin {
        match self {
            Self::Unix(socket) => Origin::Unix(credentials(socket)),
            Self::Tcp(socket) => Origin::Tcp(socket.peer_addr().ok()),
        }
    }

    /// Registers the socket with the poll.
    pub(crate) fn register(&self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        registry.register(&mut SourceFd(&self.raw_fd()), token, interest)
    }

    /// Changes the interest of the poll. Existing readiness is reported again.
    pub(crate) fn reregister(&self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        registry.reregister(&mut SourceFd(&self.raw_fd()), token, interest)
    }

    fn raw_fd(&self) -> i32 {
        match self {
            Self::Unix(socket) => socket.as_raw_fd(),
            Self::Tcp(socket) => socket.as_raw_fd(),
        }
    }

    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(socket) => (&*socket).read(buffer),
            Self::Tcp(socket) => (&*socket).read(buffer),
        }
    }

    /// Reads, and receives all descriptors that were sent with the bytes. If there were no room for them, the system would
    /// close them, and the read would wait for that.
    pub(crate) fn read_with_descriptors(
        &self,
        buffer: &mut [u8],
        descriptors: &mut Vec<OwnedFd>,
    ) -> io::Result<usize> {
        let Self::Unix(socket) = self else { return self.read(buffer) };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, CLOSE_ON_EXEC)?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        Ok(received.bytes)
    }

    pub(crate) fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Unix(socket) => (&*socket).write_vectored(slices),
            Self::Tcp(socket) => (&*socket).write_vectored(slices),
        }
    }

    pub(crate) fn shutdown(&self, how: Shutdown) {
        // A socket that is no longer connected counts as shut down.
        let _ = match self {
            Self::Unix(socket) => socket.shutdown(how),
            Self::Tcp(socket) => socket.shutdown(how),
        };
    }
}

/// Returns the client process, if the system identifies it.
#[cfg(target_os = "linux")]
fn credentials(socket: &UnixStream) -> Option<Credentials> {
    let found = rustix::net::sockopt::socket_peercred(socket).ok()?;
    let (pid, uid, gid) = (found.pid.as_raw_pid(), found.uid.as_raw(), found.gid.as_raw());
    Some(Credentials { pid, uid, gid })
}

#[cfg(not(target_os = "linux"))]
fn credentials(_: &UnixStream) -> Option<Credentials> {
    None
}
