//! What a client stands on: anything that carries one call at a time.

use crate::client::CallError;
use crate::transfer::{is_gone, retry, send};
use crate::transport::Transport;
use arrow_array::RecordBatch;
use bytes::Buf;
use std::fmt;
use std::io;
use std::process::ExitStatus;
use vgi_rpc_protocol::client::{Call, Connection, Event};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::{CommandError, Limits, Next};

/// Carries one call at a time to a server, and the events of its answer back.
///
/// A call is [`call`](Self::call), then events until [`Event::Finished`]. On a stream, each output is asked for by one
/// [`tick`](Self::tick) or [`send`](Self::send), and [`end`](Self::end) or [`cancel`](Self::cancel) leave it early:
/// nothing but logs comes before the [`Event::Finished`] then. A call that a method here failed with anything but
/// [`CallError::Command`] is over, and so is its stream.
pub trait Channel: fmt::Debug + Send {
    /// Makes a call with one row of parameters.
    ///
    /// # Errors
    /// See [`CallError`].
    fn call(
        &mut self,
        call: &Call<'_>,
        schema: &EncodedSchema,
        params: &RecordBatch,
    ) -> Result<(), CallError>;

    /// Sends one batch on the open stream.
    ///
    /// # Errors
    /// See [`CallError`].
    fn send(
        &mut self,
        schema: &EncodedSchema,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<(), CallError>;

    /// Asks the producer of the open stream for its next batch.
    ///
    /// # Errors
    /// See [`CallError`].
    fn tick(&mut self, metadata: &Metadata) -> Result<(), CallError>;

    /// Ends the open stream in good order.
    ///
    /// # Errors
    /// See [`CallError`].
    fn end(&mut self) -> Result<(), CallError>;

    /// Gives the open stream up: the server stops without another turn.
    ///
    /// # Errors
    /// See [`CallError`].
    fn cancel(&mut self) -> Result<(), CallError>;

    /// Whether the server answers a call of the wrong kind by refusing it, as over HTTP, where each kind has a path of
    /// its own. On a connection of bytes it waits for more instead, or sends more than is read; there, and by
    /// default, a client makes sure of the kind before a call.
    fn refuses_wrong_kinds(&self) -> bool {
        false
    }

    /// The next event; waits for it.
    ///
    /// # Errors
    /// See [`CallError`].
    fn next_event(&mut self) -> Result<Event, CallError>;

    /// Sends what a call that has finished left to be sent.
    ///
    /// # Errors
    /// See [`CallError`].
    fn flush(&mut self) -> Result<(), CallError>;

    /// Closes the channel. For a process, waits for its end and says how it was.
    ///
    /// # Errors
    /// When it cannot be closed in good order.
    fn close(&mut self) -> io::Result<Option<ExitStatus>>;
}

/// A connection of bytes, in both directions.
pub(crate) struct ByteChannel<T> {
    transport: T,
    connection: Connection,
    /// Some of the current call's request was handed to the transport.
    sent: bool,
    /// How the worker ended, once that was seen.
    gone: Option<Option<ExitStatus>>,
    /// Why no further call can be made.
    failure: Option<String>,
}

impl<T> fmt::Debug for ByteChannel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteChannel").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl<T: Transport> ByteChannel<T> {
    pub(crate) fn new(transport: T, limits: Limits) -> Self {
        Self { transport, connection: Connection::new(limits), sent: false, gone: None, failure: None }
    }

    fn check_gone(&self) -> Result<(), CallError> {
        self.gone.map_or(Ok(()), |status| Err(CallError::WorkerGone { status, sent: self.sent }))
    }

    fn check_usable(&self) -> Result<(), CallError> {
        self.check_gone()?;
        self.failure.clone().map_or(Ok(()), |reason| Err(CallError::Unusable { reason }))
    }

    /// Makes an error the last one: where an answer is due still, the next call would take it for its own.
    fn fail(&mut self, error: CallError) -> CallError {
        self.failure = Some(error.to_string());
        error
    }

    /// Fails if something came since the last call, which no call asked for.
    fn expect_quiet(&mut self) -> Result<(), CallError> {
        let sent = self.sent;
        match self.transport.is_quiet() {
            Ok(true) => {}
            Ok(false) => self.receive()?,
            Err(error) => return Err(self.fail(CallError::Transport { error, sent })),
        }
        self.check_gone()?;
        self.connection.poll_event().map(drop).map_err(|error| self.fail(error.into()))
    }

    fn receive(&mut self) -> Result<(), CallError> {
        let Self { connection, transport, .. } = self;
        match retry(|| transport.read(connection.read_buf())) {
            Ok(count) if count > 0 => connection.advance(count),
            Err(error) if !is_gone(&error) => {
                let sent = self.sent;
                return Err(self.fail(CallError::Transport { error, sent }));
            }
            Ok(_) | Err(_) => {
                connection.receive_eof();
                match self.transport.ended() {
                    Ok(status) => self.gone = Some(status),
                    Err(error) => {
                        let sent = self.sent;
                        return Err(self.fail(CallError::Transport { error, sent }));
                    }
                }
            }
        }
        Ok(())
    }
}

impl<T: Transport + Send> Channel for ByteChannel<T> {
    fn call(
        &mut self,
        call: &Call<'_>,
        schema: &EncodedSchema,
        params: &RecordBatch,
    ) -> Result<(), CallError> {
        self.sent = false;
        self.check_usable()?;
        if self.connection.is_idle() {
            self.expect_quiet()?;
        }
        Ok(self.connection.call(call, schema, params)?)
    }

    fn send(
        &mut self,
        schema: &EncodedSchema,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<(), CallError> {
        Ok(self.connection.send(schema, batch, metadata)?)
    }

    fn tick(&mut self, metadata: &Metadata) -> Result<(), CallError> {
        Ok(self.connection.tick(metadata)?)
    }

    fn end(&mut self) -> Result<(), CallError> {
        Ok(self.connection.close()?)
    }

    fn cancel(&mut self) -> Result<(), CallError> {
        Ok(self.connection.cancel()?)
    }

    fn next_event(&mut self) -> Result<Event, CallError> {
        self.check_usable()?;
        self.flush()?;
        loop {
            match self.connection.poll_event() {
                Ok(Next::Event(event)) => return Ok(event),
                Ok(Next::NeedInput | Next::NeedDrain) => self.receive()?,
                Ok(Next::NeedCommand | Next::Waiting | Next::Closed) => {
                    let (command, when) = ("next_event", "while an answer is due");
                    return Err(CommandError::Misuse { command, when }.into());
                }
                Err(error) => {
                    self.check_gone()?;
                    return Err(self.fail(error.into()));
                }
            }
        }
    }

    fn flush(&mut self) -> Result<(), CallError> {
        let Self { connection, transport, sent, .. } = self;
        let Some(outbox) = connection.poll_transmit() else { return Ok(()) };
        let result = send(outbox, |slices| {
            let written = transport.write_vectored(slices)?;
            *sent |= written > 0;
            Ok(written)
        });
        match result {
            // The worker may have answered before it went: what it said is read before its end is reported.
            Err(error) if is_gone(&error) => outbox.advance(outbox.remaining()),
            Err(error) => {
                let sent = self.sent;
                return Err(self.fail(CallError::Transport { error, sent }));
            }
            Ok(()) => {}
        }
        Ok(())
    }

    fn close(&mut self) -> io::Result<Option<ExitStatus>> {
        self.transport.close()
    }
}
