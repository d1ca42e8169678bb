//! Blocking clients over unix and TCP sockets.

use crate::socket_timeouts::{at_least, timed_out};
#[cfg(feature = "tls")]
use crate::tls_socket::TlsSocket;
use std::fmt::Display;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
#[cfg(unix)]
use std::os::fd::{AsFd, OwnedFd};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
#[cfg(unix)]
use std::path::Path;
use std::time::Duration;
#[cfg(feature = "tls")]
use std::time::Instant;
use vgi_rpc_client::{Client, DEFAULT_UNREAD_CAPACITY, Direction, Patience, Timeouts, Transport};
use vgi_rpc_protocol::{Limits, OneLine};
use vgi_rpc_socks::SocksProxy;
#[cfg(feature = "tls")]
use vgi_rpc_tls::ClientTls;
use vgi_rpc_transfer::{DEFAULT_HOST, resolve};

/// The send buffer size requested for each unix connection; the kernel may use less.
#[cfg(unix)]
const SEND_BYTES: usize = 1 << 20;

/// The maximum that is sent, in bytes, without the peer reading, even if the socket would accept more.
const MAX_UNREAD: usize = 64 << 10;

/// The default timeout of connecting.
const CONNECT: Duration = Duration::from_secs(10);

/// Connects to an AF_UNIX socket with default options. Only on Unix.
///
/// # Errors
/// See [`SocketOptions::unix`].
#[cfg(unix)]
pub fn connect_unix(path: impl AsRef<Path>) -> io::Result<Client> {
    SocketOptions::default().unix(path)
}

/// Connects to `[HOST:]PORT` with default options.
///
/// # Errors
/// See [`SocketOptions::tcp`].
pub fn connect_tcp(address: &str) -> io::Result<Client> {
    SocketOptions::default().tcp(address)
}

/// Options of a client and its connection. After a timeout the client cannot be used any more: connect again.
#[derive(Clone, Debug)]
pub struct SocketOptions {
    limits: Limits,
    connect_timeout: Option<Duration>,
    timeouts: Timeouts,
    socks_proxy: Option<SocksProxy>,
    #[cfg(feature = "tls")]
    tls: Option<ClientTls>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            connect_timeout: Some(CONNECT),
            timeouts: Timeouts::default(),
            socks_proxy: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl SocketOptions {
    /// Sets the limits of what the client accepts and holds.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how long connecting may take, for each address that a host name resolves to; `None` for the system's limit. Default
    /// 10 s. The time for resolving the name is not limited. With a [proxy](Self::socks_proxy) the timeout covers connecting to
    /// the proxy and the whole exchange with it.
    pub fn connect_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.connect_timeout = timeout.into();
        self
    }

    /// Sets how long the server may send nothing while an answer is due, or read nothing of a request; `None` for no limit.
    /// Default 5 min: see [`Timeouts::read`].
    pub fn read_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeouts = self.timeouts.read(timeout);
        self
    }

    /// Sets how long a unary call may take in total, from the first byte sent to the last byte read; `None` for no limit. On a
    /// stream it applies to each turn. Default `None`: see [`Timeouts::call`].
    pub fn call_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeouts = self.timeouts.call(timeout);
        self
    }

    /// Connects to TCP addresses through a SOCKS5 proxy, which resolves host names; never directly. Default: no proxy.
    pub fn socks_proxy(mut self, proxy: impl Into<Option<SocksProxy>>) -> Self {
        self.socks_proxy = proxy.into();
        self
    }

    /// Uses TLS on TCP connections. The handshake counts towards the connect timeout. Default: no TLS.
    ///
    /// A server that refuses the client's certificate reports this only after the handshake, as the error of the first call.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: impl Into<Option<ClientTls>>) -> Self {
        self.tls = tls.into();
        self
    }

    /// Connects to an AF_UNIX socket. Only on Unix.
    ///
    /// # Errors
    /// If no server listens there, or none accepts within the timeout. The error names the path.
    #[cfg(unix)]
    pub fn unix(&self, path: impl AsRef<Path>) -> io::Result<Client> {
        let path = path.as_ref();
        self.connect_unix(path).map_err(|error| named(path.display(), &error))
    }

    #[cfg(unix)]
    fn connect_unix(&self, path: &Path) -> io::Result<Client> {
        use rustix::net::sockopt::{Timeout, set_socket_send_buffer_size, set_socket_timeout};
        use rustix::net::{SocketAddrUnix, connect};
        let address = SocketAddrUnix::new(path)?;
        let socket = new_unix_socket()?;
        // Connecting waits for room in the backlog, limited by the send timeout.
        set_socket_timeout(&socket, Timeout::Send, self.connect_timeout.map(at_least))?;
        rustix::io::retry_on_intr(|| connect(&socket, &address))
            .map_err(|errno| timed_out(errno.into(), "connecting"))?;
        // Fewer wake-ups for a large request. The default size also works.
        let _ = set_socket_send_buffer_size(&socket, SEND_BYTES);
        self.client(Socket::Unix(socket.into()))
    }

    /// Connects to `[HOST:]PORT`; the default host is 127.0.0.1.
    ///
    /// # Errors
    /// If the name cannot be resolved, none of its addresses accepts within the timeout, or TLS is set and its handshake fails.
    /// The error names the host and the port. If a [proxy](Self::socks_proxy) did not connect, its
    /// [`get_ref`](io::Error::get_ref) is a [`SocksError`](vgi_rpc_socks::SocksError).
    pub fn tcp(&self, address: &str) -> io::Result<Client> {
        if let Some(proxy) = &self.socks_proxy {
            return self.connect_by(proxy, address);
        }
        self.connect_tcp(address).map_err(|error| match address.parse::<u16>() {
            Ok(port) => named(format_args!("{DEFAULT_HOST}:{port}"), &error),
            Err(_) => named(address, &error),
        })
    }

    fn connect_tcp(&self, address: &str) -> io::Result<Client> {
        let mut last = io::Error::new(ErrorKind::AddrNotAvailable, "the name resolves to no address");
        #[cfg(feature = "tls")]
        let host = host(address);
        for address in resolve(address)? {
            #[cfg(feature = "tls")]
            let end = self.connect_timeout.and_then(|timeout| Instant::now().checked_add(timeout));
            let connected = match self.connect_timeout {
                Some(timeout) => TcpStream::connect_timeout(&address, at_least(timeout)),
                None => TcpStream::connect(address),
            };
            match connected {
                Ok(socket) => {
                    // Otherwise requests would wait for acknowledgements.
                    socket.set_nodelay(true)?;
                    #[cfg(feature = "tls")]
                    if let Some(tls) = &self.tls {
                        return self.client(Socket::Tls(TlsSocket::connect(tls, host, socket, end)?));
                    }
                    return self.client(Socket::Tcp(socket));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn connect_by(&self, proxy: &SocksProxy, address: &str) -> io::Result<Client> {
        let (host, port) = host_and_port(address).ok_or_else(|| {
            let text = "expected [HOST:]PORT, with a port from 1 to 65535";
            named(address, &io::Error::new(ErrorKind::InvalidInput, text))
        })?;
        // One time limit for the proxy and TLS.
        #[cfg(feature = "tls")]
        let end = self.connect_timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let connected = proxy.connect(host, port, self.connect_timeout);
        let socket = connected
            .map_err(|error| error.with_target(OneLine(format_args!("{host}:{port}")).to_string()))?;
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let secured = TlsSocket::connect(tls, host, socket, end).map_err(|error| named(address, &error));
            return self.client(Socket::Tls(secured?));
        }
        self.client(Socket::Tcp(socket))
    }

    fn client(&self, socket: Socket) -> io::Result<Client> {
        let transport = SocketTransport {
            socket,
            patience: Patience::new(self.timeouts),
            limited: None,
            #[cfg(unix)]
            descriptor: None,
        };
        Ok(Client::new(transport, self.limits.clone()))
    }
}

#[derive(Debug)]
enum Socket {
    #[cfg(unix)]
    Unix(UnixStream),
    Tcp(TcpStream),
    #[cfg(feature = "tls")]
    Tls(TlsSocket),
}

impl Socket {
    fn set_timeouts(&self, timeout: Option<Duration>) -> io::Result<()> {
        let socket = match self {
            #[cfg(unix)]
            Self::Unix(socket) => {
                socket.set_read_timeout(timeout)?;
                return socket.set_write_timeout(timeout);
            }
            Self::Tcp(socket) => socket,
            #[cfg(feature = "tls")]
            Self::Tls(socket) => socket.tcp(),
        };
        socket.set_read_timeout(timeout)?;
        socket.set_write_timeout(timeout)
    }

    /// Whether a read would find neither bytes nor the end.
    #[cfg(unix)]
    fn is_quiet(&mut self) -> io::Result<bool> {
        use rustix::net::{RecvFlags, recv};
        let mut byte = [0];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let received = rustix::io::retry_on_intr(|| match self {
            Self::Unix(socket) => recv(socket, &mut byte, flags),
            Self::Tcp(socket) => recv(socket, &mut byte, flags),
            #[cfg(feature = "tls")]
            Self::Tls(_) => Err(rustix::io::Errno::AGAIN),
        });
        #[cfg(feature = "tls")]
        if let Self::Tls(socket) = self {
            return socket.is_quiet();
        }
        // The next read reports an end or an error.
        Ok(matches!(received, Err(rustix::io::Errno::AGAIN)))
    }

    /// Returns how many bytes a write accepts while the peer reads none, if known. The system counts its overhead in the
    /// buffer's size, and Linux reports twice the size that was set.
    #[cfg(unix)]
    fn unread_capacity(&self) -> Option<usize> {
        use rustix::net::sockopt::socket_send_buffer_size;
        let size = match self {
            Self::Unix(socket) => socket_send_buffer_size(socket),
            Self::Tcp(socket) => socket_send_buffer_size(socket),
            #[cfg(feature = "tls")]
            Self::Tls(socket) => socket_send_buffer_size(socket.tcp()),
        };
        size.ok().map(|size| size / 4)
    }

    /// Returns how many bytes a write accepts while the peer reads none, which is unknown here.
    #[cfg(windows)]
    fn unread_capacity(&self) -> Option<usize> {
        None
    }

    /// Whether a read would find neither bytes nor the end.
    #[cfg(windows)]
    fn is_quiet(&mut self) -> io::Result<bool> {
        let socket = match self {
            Self::Tcp(socket) => socket,
            #[cfg(feature = "tls")]
            Self::Tls(socket) => return socket.is_quiet(),
        };
        socket.set_nonblocking(true)?;
        let peeked = socket.peek(&mut [0]);
        socket.set_nonblocking(false)?;
        // The next read reports an end or an error.
        Ok(matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock))
    }
}

/// A connected socket with its timeouts.
#[derive(Debug)]
struct SocketTransport {
    socket: Socket,
    patience: Patience,
    /// The socket's current timeout, once one was set.
    limited: Option<Option<Duration>>,
    /// To be sent with the next bytes.
    #[cfg(unix)]
    descriptor: Option<OwnedFd>,
}

impl SocketTransport {
    /// Sets the socket's timeouts to what the next step may take.
    fn limit(&mut self, direction: Direction) -> io::Result<()> {
        let timeout = self.patience.next(direction)?.map(at_least);
        #[cfg(feature = "tls")]
        if let Socket::Tls(socket) = &mut self.socket {
            // It may read and write several times, as TLS requires.
            socket.limit(timeout, self.patience.end());
            return Ok(());
        }
        if self.limited != Some(timeout) {
            self.socket.set_timeouts(timeout)?;
            self.limited = Some(timeout);
        }
        Ok(())
    }
}

impl Transport for SocketTransport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.limit(Direction::Read)?;
        let read = match &mut self.socket {
            #[cfg(unix)]
            Socket::Unix(socket) => socket.read(buffer),
            Socket::Tcp(socket) => socket.read(buffer),
            #[cfg(feature = "tls")]
            Socket::Tls(socket) => socket.read(buffer),
        };
        read.map_err(|error| timed_out(error, "waiting for the answer"))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.limit(Direction::Write)?;
        #[cfg(unix)]
        if let (Socket::Unix(socket), Some(descriptor)) = (&self.socket, &self.descriptor) {
            let written = write_with_descriptor(socket, slices, descriptor);
            if written.as_ref().is_ok_and(|count| *count > 0) {
                self.descriptor = None;
            }
            return written.map_err(|error| timed_out(error, "sending"));
        }
        let written = match &mut self.socket {
            #[cfg(unix)]
            Socket::Unix(socket) => socket.write_vectored(slices),
            Socket::Tcp(socket) => socket.write_vectored(slices),
            #[cfg(feature = "tls")]
            Socket::Tls(socket) => socket.write_vectored(slices),
        };
        written.map_err(|error| timed_out(error, "sending"))
    }

    fn unread_capacity(&self) -> usize {
        let capacity = self.socket.unread_capacity().unwrap_or(DEFAULT_UNREAD_CAPACITY);
        capacity.clamp(DEFAULT_UNREAD_CAPACITY, MAX_UNREAD)
    }

    #[cfg(unix)]
    fn sends_descriptors(&self) -> bool {
        matches!(self.socket, Socket::Unix(_))
    }

    #[cfg(unix)]
    fn send_descriptor(&mut self, descriptor: OwnedFd) -> Result<(), OwnedFd> {
        if !self.sends_descriptors() {
            return Err(descriptor);
        }
        self.descriptor = Some(descriptor);
        Ok(())
    }

    #[cfg(unix)]
    fn is_local(&self) -> bool {
        matches!(self.socket, Socket::Unix(_))
    }

    fn is_quiet(&mut self) -> io::Result<bool> {
        self.socket.is_quiet()
    }

    fn close(&mut self) -> io::Result<()> {
        let closed = match &mut self.socket {
            #[cfg(unix)]
            Socket::Unix(socket) => socket.shutdown(Shutdown::Both),
            Socket::Tcp(socket) => socket.shutdown(Shutdown::Both),
            #[cfg(feature = "tls")]
            Socket::Tls(socket) => socket.close(),
        };
        match closed {
            Err(error) if error.kind() != ErrorKind::NotConnected => Err(error),
            _ => Ok(()),
        }
    }
}

/// Returns a socket that child processes do not inherit.
#[cfg(all(unix, not(target_vendor = "apple")))]
fn new_unix_socket() -> io::Result<OwnedFd> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    Ok(socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

/// Returns a socket that child processes do not inherit. Apple's systems accept no flags when a socket is created.
#[cfg(target_vendor = "apple")]
fn new_unix_socket() -> io::Result<OwnedFd> {
    let socket =
        rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    Ok(socket)
}

/// Writes some of the slices' bytes, with a descriptor.
#[cfg(unix)]
fn write_with_descriptor(
    socket: &UnixStream,
    slices: &[IoSlice<'_>],
    descriptor: &OwnedFd,
) -> io::Result<usize> {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor.as_fd()];
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("the descriptor has no room in the message"));
    }
    Ok(sendmsg(socket, slices, &mut control, SendFlags::empty())?)
}

/// Returns the host of `[HOST:]PORT`.
#[cfg(feature = "tls")]
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(DEFAULT_HOST, |(host, _)| host);
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() { DEFAULT_HOST } else { host }
}

/// Returns the error with the address that could not be connected to.
fn named(address: impl Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", OneLine(address)))
}

/// Returns the host and the port of `[HOST:]PORT`, the host without brackets.
fn host_and_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':').unwrap_or((DEFAULT_HOST, address));
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    Some((inner.unwrap_or(host), port.parse().ok()?))
}
