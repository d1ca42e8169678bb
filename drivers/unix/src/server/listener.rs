//! Listeners and accepted sockets of both families, as one type each.

use super::ServerError;
use crate::socket_file::{BACKLOG, SocketFile};
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::{self, Shutdown, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vgi_rpc_protocol::service::{Credentials, Peer, TransportKind};

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

/// A bound socket. Dropping a unix one removes its file.
#[derive(Debug)]
pub(super) enum Listener {
    Unix(UnixListener, #[expect(dead_code, reason = "removes the file when dropped")] SocketFile),
    Tcp(TcpListener),
}

impl Listener {
    pub(super) fn unix(path: &Path) -> Result<(Self, Address), ServerError> {
        let (listener, file) = SocketFile::bind(path)?;
        Ok((Self::Unix(UnixListener::from_std(listener), file), Address::Unix(path.into())))
    }

    /// Listens on `[HOST:]PORT`.
    pub(super) fn tcp(address: &str) -> Result<(Self, Address), ServerError> {
        let listener =
            bind_tcp(address).map_err(|source| ServerError::Bind { address: address.to_owned(), source })?;
        let local = listener.local_addr()?;
        Ok((Self::Tcp(TcpListener::from_std(listener)), Address::Tcp(local)))
    }

    pub(super) fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Unix(listener, _) => {
                let (socket, _) = listener.accept()?;
                // Fewer wake-ups for a large answer. The default does as well.
                let _ = rustix::net::sockopt::set_socket_send_buffer_size(&socket, SEND_BYTES);
                Ok(Socket::Unix(socket))
            }
            Self::Tcp(listener) => {
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

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Unix(listener, _) => listener.as_raw_fd(),
            Self::Tcp(listener) => listener.as_raw_fd(),
        }
    }
}

fn bind_tcp(address: &str) -> io::Result<net::TcpListener> {
    let listener = net::TcpListener::bind(&resolve(address)?[..])?;
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The addresses that `[HOST:]PORT` stands for.
pub(crate) fn resolve(address: &str) -> io::Result<Vec<SocketAddr>> {
    match address.parse::<u16>() {
        Ok(port) => Ok((DEFAULT_HOST, port).to_socket_addrs()?.collect()),
        Err(_) => Ok(address.to_socket_addrs()?.collect()),
    }
}

/// An accepted socket, which never blocks.
#[derive(Debug)]
pub(super) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Socket {
    pub(super) fn transport(&self) -> TransportKind {
        match self {
            Self::Unix(_) => TransportKind::Unix,
            Self::Tcp(_) => TransportKind::Tcp,
        }
    }

    /// What calls may know of the client.
    pub(super) fn peer(&self, server_id: Arc<str>) -> Peer {
        let peer = Peer::new(self.transport(), server_id);
        match self {
            Self::Unix(socket) => match credentials(socket) {
                Some(credentials) => peer.with_credentials(credentials),
                None => peer,
            },
            Self::Tcp(socket) => match socket.peer_addr() {
                Ok(address) => peer.with_remote_address(address.to_string()),
                Err(_) => peer,
            },
        }
    }

    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(socket) => (&*socket).read(buffer),
            Self::Tcp(socket) => (&*socket).read(buffer),
        }
    }

    pub(super) fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Unix(socket) => (&*socket).write_vectored(slices),
            Self::Tcp(socket) => (&*socket).write_vectored(slices),
        }
    }

    pub(super) fn shutdown(&self, how: Shutdown) {
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
