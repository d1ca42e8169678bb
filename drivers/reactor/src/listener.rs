//! Listeners and accepted sockets of both families, as one type each.

use crate::error::BindError;
use crate::socket_file::{BACKLOG, SocketFile};
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::{self, Shutdown, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::{Path, PathBuf};

/// Output that the kernel is asked to hold per unix connection; it may give less.
const SEND_BYTES: usize = 1 << 20;
/// Host of an address that names a port alone.
const DEFAULT_HOST: &str = "127.0.0.1";

/// Where a server listens. Its text is the discovery line that a parent process waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// An AF_UNIX path, as it was given.
    Unix(PathBuf),
    /// A TCP address, with the port that the system chose if it was asked to.
    Tcp(SocketAddr),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "UNIX:{}", path.display()),
            Self::Tcp(address) => write!(f, "TCP:{}:{}", address.ip(), address.port()),
        }
    }
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A process on this machine, where the system tells which.
    Unix(Option<Credentials>),
    /// An address; `None` when the connection broke before it could be asked.
    Tcp(Option<SocketAddr>),
}

/// The process at the other end of a unix socket, as the kernel vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Process id.
    pub pid: i32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// A bound socket that listens. Dropping a unix one removes its file.
#[derive(Debug)]
pub struct Listener {
    family: Family,
    address: Address,
}

#[derive(Debug)]
enum Family {
    Unix(UnixListener, #[expect(dead_code, reason = "removes the file when dropped")] SocketFile),
    Tcp(TcpListener),
}

impl Listener {
    /// Listens on an AF_UNIX path, for connections of this user only. A socket there that no server listens on is
    /// replaced. A lock on the file `PATH.owner`, which is removed when this is dropped, keeps two servers from doing
    /// so at once.
    ///
    /// # Errors
    /// When something else has the name, another server listens there, or the system refuses.
    pub fn unix(path: impl AsRef<Path>) -> Result<Self, BindError> {
        let path = path.as_ref();
        let (listener, file) = SocketFile::bind(path)?;
        let family = Family::Unix(UnixListener::from_std(listener), file);
        Ok(Self { family, address: Address::Unix(path.into()) })
    }

    /// Listens on `[HOST:]PORT`; the host is 127.0.0.1 when left out, and port 0 lets the system choose.
    ///
    /// # Errors
    /// When the address cannot be resolved or bound.
    pub fn tcp(address: &str) -> Result<Self, BindError> {
        let bound = || {
            let listener = bind_tcp(address)?;
            let local = listener.local_addr()?;
            io::Result::Ok((TcpListener::from_std(listener), local))
        };
        let (listener, local) =
            bound().map_err(|error| BindError::Tcp { address: address.to_owned(), error })?;
        Ok(Self { family: Family::Tcp(listener), address: Address::Tcp(local) })
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// True when a peer waits to be accepted.
    pub(crate) fn has_waiting(&self) -> bool {
        let mut listener = [PollFd::new(self, PollFlags::IN)];
        // A system that cannot say, such as one that allows no descriptors at all, is taken to mean yes: accepting is
        // tried again then.
        poll(&mut listener, Some(&Timespec::default())).map_or(true, |ready| ready > 0)
    }

    pub(crate) fn accept(&self) -> io::Result<Socket> {
        match &self.family {
            Family::Unix(listener, _) => {
                let (socket, _) = listener.accept()?;
                // Fewer wake-ups for a large answer. The default does as well.
                let _ = rustix::net::sockopt::set_socket_send_buffer_size(&socket, SEND_BYTES);
                Ok(Socket::Unix(socket))
            }
            Family::Tcp(listener) => {
                let (socket, _) = listener.accept()?;
                // Answers would wait for acknowledgements otherwise; one that is gone already shows when read.
                let _ = socket.set_nodelay(true);
                // A peer whose machine vanished would hold its place for ever.
                let _ = rustix::net::sockopt::set_socket_keepalive(&socket, true);
                Ok(Socket::Tcp(socket))
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.family {
            Family::Unix(listener, _) => listener.as_fd(),
            Family::Tcp(listener) => listener.as_fd(),
        }
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

fn bind_tcp(address: &str) -> io::Result<net::TcpListener> {
    let listener = net::TcpListener::bind(&resolve(address)?[..])?;
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The addresses that `[HOST:]PORT` stands for; the host is 127.0.0.1 when left out.
///
/// # Errors
/// When the text is no address, or the name cannot be resolved.
pub fn resolve(address: &str) -> io::Result<Vec<SocketAddr>> {
    match address.parse::<u16>() {
        Ok(port) => Ok((DEFAULT_HOST, port).to_socket_addrs()?.collect()),
        Err(_) => Ok(address.to_socket_addrs()?.collect()),
    }
}

/// An accepted socket, which never blocks.
#[derive(Debug)]
pub(crate) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Socket {
    /// True when the peer is a process on this machine.
    pub(crate) fn is_unix(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    /// Where the peer is.
    pub(crate) fn origin(&self) -> Origin {
        match self {
            Self::Unix(socket) => Origin::Unix(credentials(socket)),
            Self::Tcp(socket) => Origin::Tcp(socket.peer_addr().ok()),
        }
    }

    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(socket) => (&*socket).read(buffer),
            Self::Tcp(socket) => (&*socket).read(buffer),
        }
    }

    pub(crate) fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Unix(socket) => (&*socket).write_vectored(slices),
            Self::Tcp(socket) => (&*socket).write_vectored(slices),
        }
    }

    pub(crate) fn shutdown(&self, how: Shutdown) {
        // A socket that is not connected any more is as good as shut down.
        let _ = match self {
            Self::Unix(socket) => socket.shutdown(how),
            Self::Tcp(socket) => socket.shutdown(how),
        };
    }
}

/// The client process, where the system tells.
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

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Unix(socket) => socket.as_raw_fd(),
            Self::Tcp(socket) => socket.as_raw_fd(),
        }
    }
}
