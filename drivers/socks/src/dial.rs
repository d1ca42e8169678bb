//! Connects through a proxy within one time limit.

use crate::error::{SocksError, SocksErrorKind};
use crate::negotiation::{Negotiation, Step};
use crate::proxy::SocksProxy;
use crate::target::Target;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};
use vgi_rpc_transfer::retry;

impl SocksProxy {
    /// Connects to a target, whose host is a name that the proxy resolves, or an IP address without brackets.
    ///
    /// The time limit applies to connecting to the proxy and the whole negotiation together; `None` for the system's limit. The
    /// system resolves the name of the proxy; this counts towards the limit but cannot be interrupted. The returned socket has no
    /// timeouts.
    ///
    /// # Errors
    /// If connecting fails. It never falls back to a direct connection.
    pub fn connect(&self, host: &str, port: u16, timeout: Option<Duration>) -> Result<TcpStream, SocksError> {
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.dial(host, port, Deadline(end)).map_err(|kind| SocksError::new(kind, self.address()))
    }

    fn dial(&self, host: &str, port: u16, deadline: Deadline) -> Result<TcpStream, SocksErrorKind> {
        let negotiation = Negotiation::new(Target::new(host, port)?, self.credentials.clone());
        let socket = self.open(deadline)?;
        converse(&socket, negotiation, deadline)?;
        let ready = || {
            socket.set_read_timeout(None)?;
            socket.set_write_timeout(None)
        };
        ready().map_err(SocksErrorKind::Io)?;
        Ok(socket)
    }

    /// Connects to the proxy.
    fn open(&self, deadline: Deadline) -> Result<TcpStream, SocksErrorKind> {
        let mut last = io::Error::new(ErrorKind::AddrNotAvailable, "the name has no addresses");
        let addresses = (self.host.as_str(), self.port).to_socket_addrs().map_err(SocksErrorKind::Connect)?;
        for address in addresses {
            let connected = match deadline.left()? {
                Some(left) => TcpStream::connect_timeout(&address, left),
                None => TcpStream::connect(address),
            };
            match connected.and_then(|socket| socket.set_nodelay(true).map(|()| socket)) {
                Ok(socket) => return Ok(socket),
                Err(error) => last = error,
            }
        }
        // If the time limit has passed, that is the error.
        deadline.left()?;
        Err(SocksErrorKind::Connect(last))
    }
}

/// Negotiates with the proxy until the connection to the target is established.
fn converse(
    mut socket: &TcpStream,
    mut negotiation: Negotiation,
    deadline: Deadline,
) -> Result<(), SocksErrorKind> {
    // A reply's address is shorter.
    let mut buffer = [0; 512];
    loop {
        match negotiation.poll() {
            Step::Connected => return Ok(()),
            Step::Send(bytes) => {
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    socket.set_write_timeout(deadline.left()?).map_err(SocksErrorKind::Io)?;
                    let written = retry(|| socket.write(rest)).map_err(failed)?;
                    rest = match rest.get(written..) {
                        Some(rest) if written > 0 => rest,
                        _ => return Err(SocksErrorKind::Io(ErrorKind::WriteZero.into())),
                    };
                }
            }
            Step::Read(missing) => {
                socket.set_read_timeout(deadline.left()?).map_err(SocksErrorKind::Io)?;
                let room = buffer.get_mut(..missing).unwrap_or_default();
                match retry(|| socket.read(room)).map_err(failed)? {
                    0 => return Err(SocksErrorKind::Closed { missing }),
                    count => negotiation.receive(room.get(..count).unwrap_or_default())?,
                }
            }
        }
    }
}

fn failed(error: io::Error) -> SocksErrorKind {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => SocksErrorKind::TimedOut,
        _ => SocksErrorKind::Io(error),
    }
}

/// The end of the time limit.
#[derive(Clone, Copy, Debug)]
struct Deadline(Option<Instant>);

impl Deadline {
    /// Returns the remaining time, at least a microsecond: for a socket, zero means no limit.
    fn left(self) -> Result<Option<Duration>, SocksErrorKind> {
        let Some(end) = self.0 else { return Ok(None) };
        match end.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(SocksErrorKind::TimedOut),
            left => Ok(Some(left.max(Duration::from_micros(1)))),
        }
    }
}
