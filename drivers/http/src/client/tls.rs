//! TLS: the handshake, and the default authorities.

use super::deadline::Deadline;
use super::socket_timeouts::timed_out;
use rustls::{ClientConnection, StreamOwned};
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::sync::LazyLock;
use vgi_rpc_tls::{ClientTls, TlsConfigError, explain_handshake_error};
use vgi_rpc_transfer::TimedSocket;

pub(crate) type TlsStream = StreamOwned<ClientConnection, TimedSocket>;

/// Returns [`ClientTls::with_web_roots`], created once.
pub(crate) fn web() -> io::Result<ClientTls> {
    static WEB: LazyLock<Result<ClientTls, TlsConfigError>> = LazyLock::new(ClientTls::with_web_roots);
    WEB.as_ref().cloned().map_err(|error| io::Error::other(error.to_string()))
}

/// Limits the following reads and writes, however many TLS needs for a step.
pub(crate) fn limit(stream: &mut TlsStream, deadline: &Deadline) -> io::Result<()> {
    deadline.left()?;
    let (step, end) = deadline.step_and_end();
    stream.sock.limit(step, end);
    Ok(())
}

/// Performs the TLS handshake with the server that was connected to as `host`.
pub(crate) fn handshake(
    tls: &ClientTls,
    host: &str,
    socket: TcpStream,
    deadline: Deadline,
) -> io::Result<TlsStream> {
    let invalid = |error| io::Error::new(ErrorKind::InvalidInput, error);
    let name = tls.name_of(host).map_err(|error| invalid(error.to_string()))?;
    let connection = ClientConnection::new(tls.config(&[b"http/1.1"]), name)
        .map_err(|error| invalid(error.to_string()))?;
    let mut stream = StreamOwned::new(connection, TimedSocket::new(socket));
    limit(&mut stream, &deadline)?;
    while stream.conn.is_handshaking() {
        let result = stream.conn.complete_io(&mut stream.sock);
        result.map_err(|error| timed_out(explain_handshake_error(error), "agreeing on TLS"))?;
    }
    Ok(stream)
}
