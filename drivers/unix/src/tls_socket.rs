//! A client's TCP socket that carries TLS.

use crate::socket_timeouts::timed_out;
use rustls::{ClientConnection, StreamOwned};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};
use vgi_rpc_tls::{ClientTls, explain_handshake_error};
use vgi_rpc_transfer::TimedSocket;

/// The maximum number of reads that check whether a connection is quiet. If the server has sent more, it is not.
const QUIET_READS: u32 = 16;

/// A connection after its handshake.
#[derive(Debug)]
pub(crate) struct TlsSocket(Box<StreamOwned<ClientConnection, TimedSocket>>);

impl TlsSocket {
    /// Performs the TLS handshake with the server that was connected to as `host`, before `end`.
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
        let mut stream = StreamOwned::new(connection, TimedSocket::new(socket));
        stream.sock.limit(None, end);
        while stream.conn.is_handshaking() {
            let result = stream.conn.complete_io(&mut stream.sock);
            result.map_err(|error| timed_out(explain_handshake_error(error), "agreeing on TLS"))?;
        }
        Ok(Self(Box::new(stream)))
    }

    /// Returns the underlying socket.
    pub(crate) fn tcp(&self) -> &TcpStream {
        self.0.sock.tcp()
    }

    /// Sets how long each of the following steps may take, and when all of them must have ended.
    pub(crate) fn limit(&mut self, step: Option<Duration>, end: Option<Instant>) {
        self.0.sock.limit(step, end);
    }

    /// Reads some bytes; returns 0 if the peer has ended its output by a TLS alert. An end without the alert is an error.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }

    /// Encrypts and sends some of the slices' bytes.
    pub(crate) fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = self.0.write_vectored(slices)?;
        // Otherwise the rest of a write would be sent with the next one, and there may be none.
        self.0.flush()?;
        Ok(written)
    }

    /// Whether a read would find neither bytes nor the end. Messages of TLS itself, for example tickets, are processed, up to a
    /// limit.
    pub(crate) fn is_quiet(&mut self) -> io::Result<bool> {
        let stream = &mut *self.0;
        let mut socket = stream.sock.tcp();
        socket.set_nonblocking(true)?;
        let mut is_quiet = false;
        for _ in 0..QUIET_READS {
            match stream.conn.process_new_packets() {
                Ok(state) if state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed() => {}
                _ => break,
            }
            match stream.conn.read_tls(&mut socket) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    is_quiet = error.kind() == ErrorKind::WouldBlock;
                    break;
                }
            }
        }
        socket.set_nonblocking(false)?;
        Ok(is_quiet)
    }

    /// Sends the TLS alert that ends the output, if there is room for it, and closes the socket.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        let stream = &mut *self.0;
        let mut socket = stream.sock.tcp();
        if socket.set_nonblocking(true).is_ok() {
            stream.conn.send_close_notify();
            let _ = stream.conn.write_tls(&mut socket);
        }
        socket.shutdown(Shutdown::Both)
    }
}

impl Drop for TlsSocket {
    fn drop(&mut self) {
        // It may be closed already.
        let _ = self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use rustls::server::ServerSessionMemoryCache;
    use std::net::TcpListener;
    use std::sync::Arc;
    use vgi_rpc_tls::{Pem, ServerTls};

    #[test]
    fn a_server_that_sends_tickets_without_end_is_not_read_without_end() {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (pem, key) = (cert.pem(), signing_key.serialize_pem());
        let server = ServerTls::builder(Pem::bytes(pem.as_bytes()), Pem::bytes(key.as_bytes()));
        let mut config = (*server.build().unwrap().config()).clone();
        config.session_storage = ServerSessionMemoryCache::new(4);
        config.send_tls13_tickets = 5000;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let thread = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
            connection.set_buffer_limit(None);
            while connection.is_handshaking() || connection.wants_write() {
                if connection.complete_io(&mut socket).is_err() {
                    break;
                }
            }
        });
        let tls = ClientTls::with_roots_pem(pem.as_bytes()).unwrap();
        let mut client = TlsSocket::connect(&tls, "localhost", socket, None).unwrap();
        // The first tickets have arrived once one byte has.
        client.tcp().peek(&mut [0]).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        assert!(!client.is_quiet().unwrap());
        client.tcp().set_nonblocking(true).unwrap();
        assert_eq!(client.tcp().peek(&mut [0]).unwrap(), 1, "all was read");
        drop(client);
        thread.join().unwrap();
    }
}
