//! Listeners of both families, as one type.

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

/// Output that the kernel is asked to hold per unix connection; it may give less.
#[cfg(unix)]
const SEND_BYTES: usize = 1 << 20;

/// A bound socket that listens. Dropping a unix one removes its file.
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
    /// Listens on an AF_UNIX path, for connections of this user only. A socket there that no server listens on is
    /// replaced. A lock on the file `PATH.owner`, which is removed when this is dropped, keeps two servers from doing
    /// so at once. Only on Unix.
    ///
    /// # Errors
    /// When something else has the name, another server listens there, or the system refuses.
    #[cfg(unix)]
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

    /// Has the poll announce peers that wait to be accepted.
    pub(crate) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        registry.register(self.source(), LISTENER, Interest::READABLE)
    }

    /// Ends what [`register`](Self::register) began.
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

    /// True when a peer waits to be accepted. If none does, the poll announces the next one.
    pub(crate) fn has_waiting(&mut self, registry: &Registry) -> bool {
        let mut listener = [match &self.family {
            #[cfg(unix)]
            Family::Unix(listener, _) => PollFd::new(listener, PollFlags::IN),
            Family::Tcp(listener) => PollFd::new(listener, PollFlags::IN),
        }];
        // A system that cannot say, such as one that allows no descriptors at all, is taken to mean yes: accepting is
        // tried again then.
        let has_waiting = poll(&mut listener, Some(&Timespec::default())).map_or(true, |ready| ready > 0);
        // On Unix it does so by itself.
        has_waiting
            || cfg!(windows) && registry.reregister(self.source(), LISTENER, Interest::READABLE).is_err()
    }

    pub(crate) fn accept(&self) -> io::Result<Socket> {
        match &self.family {
            #[cfg(unix)]
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
