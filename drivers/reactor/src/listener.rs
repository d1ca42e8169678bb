//! One listener type for both socket families.

use crate::address::{Address, BACKLOG};
use crate::error::BindError;
use crate::socket::Socket;
#[cfg(unix)]
use crate::socket_file::SocketFile;
use crate::tokens::LISTENER;
use mio::event::Source;
use mio::net::TcpListener;
#[cfg(unix)]
use mio::net::UnixListener;
use mio::{Interest, Registry};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::net;
#[cfg(unix)]
use std::path::Path;
use vgi_rpc_transfer::resolve;

/// The send buffer size requested for each unix connection; the kernel may use less.
#[cfg(unix)]
const SEND_BYTES: usize = 1 << 20;

/// A bound, listening socket. Dropping a unix listener removes its file.
#[derive(Debug)]
pub struct Listener {
    family: Family,
    address: Address,
}

#[derive(Debug)]
enum Family {
    #[cfg(unix)]
    Unix(UnixListener, #[expect(dead_code, reason = "removes the file when dropped")] SocketFile),
    Tcp(TcpListener),
}

impl Listener {
    /// Listens on an AF_UNIX path, for connections of this user only. An existing socket that no server listens on is replaced.
    /// A lock on the file `PATH.owner`, which is removed when the listener is dropped, keeps two servers from doing this at
    /// once. Only on Unix.
    ///
    /// # Errors
    /// If the path exists and is not a socket, another server listens there, or the system refuses.
    #[cfg(unix)]
    pub fn unix(path: impl AsRef<Path>) -> Result<Self, BindError> {
        let path = path.as_ref();
        let (listener, file) = SocketFile::bind(path)?;
        let family = Family::Unix(UnixListener::from_std(listener), file);
        Ok(Self { family, address: Address::Unix(path.into()) })
    }

    /// Listens on `[HOST:]PORT`; the default host is 127.0.0.1, and for port 0 the system chooses a port.
    ///
    /// # Errors
    /// If the address cannot be resolved or bound.
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

    /// Returns the address that it listens on.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Registers the listener, so that the poll reports peers that wait to be accepted.
    pub(crate) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        registry.register(self.source(), LISTENER, Interest::READABLE)
    }

    /// Undoes [`register`](Self::register).
    pub(crate) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        registry.deregister(self.source())
    }

    fn source(&mut self) -> &mut dyn Source {
        match &mut self.family {
            #[cfg(unix)]
            Family::Unix(listener, _) => listener,
            Family::Tcp(listener) => listener,
        }
    }

    /// Whether a peer waits to be accepted. If not, the poll reports the next one.
    pub(crate) fn has_waiting(&mut self, registry: &Registry) -> bool {
        let mut listener = [match &self.family {
            #[cfg(unix)]
            Family::Unix(listener, _) => PollFd::new(listener, PollFlags::IN),
            Family::Tcp(listener) => PollFd::new(listener, PollFlags::IN),
        }];
        // If the system cannot tell, for example because it allows no descriptors at all, true is assumed: accepting is then
        // tried again.
        let has_waiting = poll(&mut listener, Some(&Timespec::default())).map_or(true, |ready| ready > 0);
        // On Unix the poll reports the next one anyway.
        has_waiting
            || cfg!(windows) && registry.reregister(self.source(), LISTENER, Interest::READABLE).is_err()
    }

    pub(crate) fn accept(&self) -> io::Result<Socket> {
        match &self.family {
            #[cfg(unix)]
            Family::Unix(listener, _) => {
                let (socket, _) = listener.accept()?;
                // Fewer wake-ups for a large answer. The default size also works.
                let _ = rustix::net::sockopt::set_socket_send_buffer_size(&socket, SEND_BYTES);
                Ok(Socket::Unix(socket))
            }
            Family::Tcp(listener) => {
                let (socket, _) = listener.accept()?;
                // Otherwise answers would wait for acknowledgements. If this fails because the peer is gone, the next read
                // fails too.
                let _ = socket.set_nodelay(true);
                // A peer whose machine vanished would otherwise occupy its connection for ever.
                let _ = rustix::net::sockopt::set_socket_keepalive(&socket, true);
                Ok(Socket::tcp(socket))
            }
        }
    }
}

fn bind_tcp(address: &str) -> io::Result<net::TcpListener> {
    let listener = net::TcpListener::bind(&resolve(address)?[..])?;
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
