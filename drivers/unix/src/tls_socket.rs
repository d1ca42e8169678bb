//! A client's TCP socket that carries TLS.

use crate::socket_timeouts::{at_least, timed_out};
use rustls::{ClientConnection, StreamOwned};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;
use vgi_rpc_tls::ClientTls;

/// A connection whose handshake is done.
#[derive(Debug)]
pub(crate) struct TlsSocket(Box<StreamOwned<ClientConnection, TcpStream>>);

impl TlsSocket {
    /// Agrees on TLS with the server that was connected to as `host`, before `end`.
    pub(crate) fn connect(
        tls: &ClientTls,
        host: &str,
        socket: TcpStream,
        end: Option<Instant>,
    ) -> io::Result<Self> {
        let invalid = |error| io::Error::new(ErrorKind::InvalidInput, error);
        let name = tls.name_of(host).map_err(|error| invalid(error.to_string()))?;
        let connection =
            ClientConnection::new(tls.config(&[]), name).map_err(|error| invalid(error.to_string()))?;
        let mut stream = StreamOwned::new(connection, socket);
        while stream.conn.is_handshaking() {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(timed_out(ErrorKind::TimedOut.into(), "agreeing on TLS"));
            }
            stream.sock.set_read_timeout(left.map(at_least))?;
            stream.sock.set_write_timeout(left.map(at_least))?;
            stream.conn.complete_io(&mut stream.sock).map_err(|error| timed_out(error, "agreeing on TLS"))?;
        }
        Ok(Self(Box::new(stream)))
    }

    /// The socket below.
    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.0.sock
    }

    /// Reads some bytes; 0 when the peer has said that it sends no more. An end without that is an error.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }

    /// Encrypts and sends some of the slices' bytes.
    pub(crate) fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = self.0.write_vectored(slices)?;
        // What a write leaves behind would otherwise be sent with the next one, and there may be none.
        self.0.flush()?;
        Ok(written)
    }

    /// Whether a read would find nothing now: neither bytes nor the end. What TLS itself has to say, such as tickets, is
    /// taken in.
    pub(crate) fn is_quiet(&mut self) -> io::Result<bool> {
        let stream = &mut *self.0;
        stream.sock.set_nonblocking(true)?;
        let is_quiet = loop {
            match stream.conn.process_new_packets() {
                Ok(state) if state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed() => {}
                _ => break false,
            }
            match stream.conn.read_tls(&mut stream.sock) {
                Ok(0) => break false,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break error.kind() == ErrorKind::WouldBlock,
            }
        };
        stream.sock.set_nonblocking(false)?;
        Ok(is_quiet)
    }

    /// Says that no more is sent, if there is room for that, and closes the socket.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        let stream = &mut *self.0;
        if stream.sock.set_nonblocking(true).is_ok() {
            stream.conn.send_close_notify();
            let _ = stream.conn.write_tls(&mut stream.sock);
        }
        stream.sock.shutdown(Shutdown::Both)
    }
}

impl Drop for TlsSocket {
    fn drop(&mut self) {
        // It may be closed already.
        let _ = self.close();
    }
}
