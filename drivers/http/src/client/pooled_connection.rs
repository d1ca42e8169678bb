//! Carries out an exchange on a connection.

use super::deadline::Deadline;
use super::error::FetchError;
use super::socket::Socket;
use crate::http1::client::{ClientCodec as Machine, Error as ExchangeError, Event, Received};
use crate::http1::{Limits, Next};
use bytes::Bytes;
use http::{Request, Response};
use std::io::{self, ErrorKind};
use vgi_rpc_transfer::{retry, send};

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct PooledConnection {
    socket: Socket,
    machine: Machine,
}

/// An exchange that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: FetchError,
    /// The server closed the connection before the first byte of the response.
    pub(crate) closed_early: bool,
    /// Some of the request was passed to the socket.
    pub(crate) sent: bool,
}

impl PooledConnection {
    pub(crate) fn new(socket: Socket) -> Self {
        Self { socket, machine: Machine::new(Limits::default()) }
    }

    /// Returns whether another request can be sent, as far as is known.
    pub(crate) fn can_reuse(&mut self) -> bool {
        self.machine.can_reuse() && self.socket.is_quiet()
    }

    /// Frees memory while there is no exchange.
    pub(crate) fn release_memory(&mut self) {
        self.machine.release_memory();
    }

    /// Sends a request and reads its response, whose body has a maximum size.
    pub(crate) fn exchange(
        &mut self,
        request: Request<Vec<Bytes>>,
        max_body_bytes: u64,
        deadline: &Deadline,
    ) -> Result<Response<Bytes>, Failure> {
        let mut sent = false;
        self.converse(request, max_body_bytes, deadline, &mut sent).map_err(|error| {
            let is_closed = match &error {
                FetchError::Io { error, .. } => is_gone(error),
                FetchError::Response(error) => matches!(error, ExchangeError::Truncated(_)),
                _ => false,
            };
            let closed_early = is_closed && self.machine.received() == Received::Nothing;
            Failure { error, closed_early, sent }
        })
    }

    fn converse(
        &mut self,
        request: Request<Vec<Bytes>>,
        max_body_bytes: u64,
        deadline: &Deadline,
        sent: &mut bool,
    ) -> Result<Response<Bytes>, FetchError> {
        self.machine.send(request, max_body_bytes)?;
        // A server may refuse a request without reading all of it: its response is still read.
        let refused = match self.write(deadline, sent) {
            Err(error) if is_gone(&error) => Some(error),
            Err(error) => return Err(FetchError::Io { error, sent: *sent }),
            Ok(()) => None,
        };
        let mut head = None;
        loop {
            match self.machine.poll_event() {
                Ok(Next::Event(Event::Head(parts, _))) => head = Some(parts),
                Ok(Next::Event(Event::Body(body))) => {
                    let mut response = Response::new(body);
                    if let Some(parts) = head {
                        *response.status_mut() = parts.status;
                        *response.headers_mut() = parts.headers;
                    }
                    return Ok(response);
                }
                Ok(Next::NeedInput) => {
                    self.read(deadline).map_err(|error| FetchError::Io { error, sent: *sent })?
                }
                Ok(Next::NeedCommand | Next::Waiting | Next::NeedDrain | Next::Closed) => {
                    let error =
                        io::Error::new(ErrorKind::UnexpectedEof, "the connection ended without a response");
                    return Err(FetchError::Io { error, sent: *sent });
                }
                Err(error) => {
                    return Err(match refused {
                        Some(refused) if matches!(error, ExchangeError::Truncated(_)) => {
                            FetchError::Io { error: refused, sent: *sent }
                        }
                        _ => FetchError::Response(error),
                    });
                }
            }
        }
    }

    fn write(&mut self, deadline: &Deadline, sent: &mut bool) -> io::Result<()> {
        while let Some(outbox) = self.machine.poll_transmit() {
            send(outbox, |slices| {
                let written = self.socket.write(slices, deadline)?;
                *sent |= written > 0;
                Ok(written)
            })?;
        }
        self.socket.flush(deadline)
    }

    fn read(&mut self, deadline: &Deadline) -> io::Result<()> {
        let buffer = self.machine.read_buf();
        if buffer.is_empty() {
            return Err(io::Error::new(ErrorKind::InvalidData, "the response exceeds the buffer"));
        }
        match retry(|| self.socket.read(buffer, deadline))? {
            0 => self.machine.receive_eof(),
            count => self.machine.advance(count),
        }
        Ok(())
    }
}

/// Returns true for the errors of a peer that is gone. With TLS this includes a socket that was just closed.
fn is_gone(error: &io::Error) -> bool {
    vgi_rpc_transfer::is_gone(error) || error.kind() == ErrorKind::UnexpectedEof
}
