//! Sockets: connects, reads and writes within a deadline.

use super::address::Address;
use super::deadline::Deadline;
use super::socket_timeouts::{limit, timed_out};
#[cfg(feature = "tls")]
use super::tls::{self, TlsStream};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::Duration;
use vgi_rpc_socks::SocksProxy;

/// The wait before the first retry to connect; each later wait is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// How connections are made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dialer {
    /// For each address of a name, including TLS.
    pub(crate) connect_timeout: Option<Duration>,
    /// How often connecting is retried if it is refused.
    pub(crate) retries: u32,
    /// The proxy for connections.
    pub(crate) socks_proxy: Option<SocksProxy>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<vgi_rpc_tls::ClientTls>,
}

impl Dialer {
    /// Connects. If this fails, nothing of a request has been sent.
    pub(crate) fn connect(&self, address: &Address, deadline: Deadline) -> io::Result<Socket> {
        let mut wait = FIRST_WAIT;
        let mut left = self.retries;
        loop {
            match self.connect_once(address, deadline) {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused && left > 0 => {
                    if deadline.left()?.is_some_and(|left| left <= wait) {
                        return Err(error);
                    }
                    std::thread::sleep(wait);
                    (wait, left) = (wait.saturating_mul(2), left - 1);
                }
                result => return result,
            }
        }
    }

    fn connect_once(&self, address: &Address, deadline: Deadline) -> io::Result<Socket> {
        if let Some(proxy) = &self.socks_proxy {
            // One limit for the proxy and TLS together.
            let deadline = deadline.within(self.connect_timeout);
            let socket = proxy.connect(&address.host, address.port, deadline.left()?)?;
            return self.secure(address, socket, deadline);
        }
        let mut last = io::Error::new(ErrorKind::AddrNotAvailable, "the name has no addresses");
        for address_of_host in (address.host.as_str(), address.port).to_socket_addrs()? {
            let deadline = deadline.within(self.connect_timeout);
            let connected = match deadline.left()? {
                Some(left) => TcpStream::connect_timeout(&address_of_host, left),
                None => TcpStream::connect(address_of_host),
            };
            match connected {
                Ok(socket) => return self.secure(address, socket, deadline),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn secure(&self, address: &Address, socket: TcpStream, deadline: Deadline) -> io::Result<Socket> {
        // Otherwise a request would wait for an acknowledgement.
        socket.set_nodelay(true)?;
        if !address.is_https {
            return Ok(Socket::Plain(socket));
        }
        #[cfg(feature = "tls")]
        {
            let tls = self.tls.clone().map_or_else(tls::web, Ok)?;
            Ok(Socket::Tls(tls::handshake(&tls, &address.host, socket, deadline)?.into()))
        }
        #[cfg(not(feature = "tls"))]
        {
            let _ = deadline;
            Err(io::Error::new(ErrorKind::Unsupported, super::address::UrlError::NoTls))
        }
    }
}

/// A connected socket.
#[derive(Debug)]
pub(crate) enum Socket {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream>),
}

impl Socket {
    /// Returns whether the peer has neither sent anything on the idle connection nor closed it.
    pub(crate) fn is_quiet(&mut self) -> bool {
        #[cfg(feature = "tls")]
        if let Self::Tls(stream) = self
            && !stream.conn.process_new_packets().is_ok_and(|state| state.plaintext_bytes_to_read() == 0)
        {
            return false;
        }
        let socket = self.tcp();
        if socket.set_nonblocking(true).is_err() {
            return false;
        }
        let is_quiet = matches!(socket.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
        is_quiet && socket.set_nonblocking(false).is_ok()
    }

    /// Reads some bytes; returns 0 if the peer has ended its side properly.
    pub(crate) fn read(&mut self, buffer: &mut [u8], deadline: &Deadline) -> io::Result<usize> {
        self.limit(deadline)?;
        let read = match self {
            Self::Plain(socket) => socket.read(buffer),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.read(buffer),
        };
        read.map_err(|error| timed_out(error, "waiting for the response"))
    }

    /// Writes some bytes of the slices.
    pub(crate) fn write(&mut self, slices: &[IoSlice<'_>], deadline: &Deadline) -> io::Result<usize> {
        self.limit(deadline)?;
        let written = match self {
            Self::Plain(socket) => socket.write_vectored(slices),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.write_vectored(slices),
        };
        written.map_err(|error| timed_out(error, "sending the request"))
    }

    /// Sends the bytes that TLS has buffered.
    pub(crate) fn flush(&mut self, deadline: &Deadline) -> io::Result<()> {
        match self {
            Self::Plain(_) => deadline.left().map(drop),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => {
                tls::limit(stream, deadline)?;
                stream.flush().map_err(|error| timed_out(error, "sending the request"))
            }
        }
    }

    fn limit(&mut self, deadline: &Deadline) -> io::Result<()> {
        match self {
            Self::Plain(socket) => limit(socket, deadline),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => tls::limit(stream, deadline),
        }
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.sock.tcp(),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        #[cfg(feature = "tls")]
        if let Self::Tls(stream) = self
            && stream.sock.tcp().set_nonblocking(true).is_ok()
        {
            // So that the server does not report a truncation. Without room for it in the buffer, it may.
            stream.conn.send_close_notify();
            let _ = stream.conn.write_tls(&mut stream.sock.tcp());
        }
        // The connection may already be closed.
        let _ = self.tcp().shutdown(Shutdown::Both);
    }
}
