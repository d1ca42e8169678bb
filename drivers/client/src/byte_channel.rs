//! The [`Channel`] over a byte stream.

use crate::channel::Channel;
use crate::error::{CallError, TransportError};
use crate::external::External;
use crate::transport::Transport;
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::Schema;
use bytes::Buf;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use vgi_rpc_protocol::client::{Call, CallKind, Connection, Event};
use vgi_rpc_protocol::effect::EffectEvent;
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::shm::{AttachSegment, Segment};
use vgi_rpc_protocol::wire::keys;
use vgi_rpc_protocol::{CommandError, Limits, Next};
use vgi_rpc_shm::ShmClient;
use vgi_rpc_transfer::{is_gone, retry, send};

/// The maximum number of characters of a server's reason in an event.
const MAX_REASON_CHARACTERS: usize = 256;

/// The size of a tick without metadata on the wire.
const TICK_BYTES: usize = 72;

/// A byte stream in both directions.
pub(crate) struct ByteChannel<T> {
    transport: T,
    connection: Connection,
    /// Fetches external batches.
    external: Option<External>,
    /// The memory to share, until the server was asked whether it supports that.
    shared_memory: Option<ShmClient>,
    /// Some of the current call's request was passed to the transport.
    sent: bool,
    /// Why the server is gone, once that is known.
    gone: Option<TransportError>,
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
        let connection = Connection::new(limits);
        Self {
            transport,
            connection,
            external: None,
            shared_memory: None,
            sent: false,
            gone: None,
            failure: None,
        }
    }

    fn check_gone(&self) -> Result<(), CallError> {
        self.gone.clone().map_or(Ok(()), |error| Err(error.sent(self.sent).into()))
    }

    fn check_usable(&self) -> Result<(), CallError> {
        self.check_gone()?;
        self.failure.clone().map_or(Ok(()), |reason| Err(CallError::Unusable { reason }))
    }

    /// Makes an error final: if an answer is still due, the next call would take it for its own.
    fn fail(&mut self, error: CallError) -> CallError {
        self.failure = Some(error.to_string());
        error
    }

    /// Returns the failure of the transport, and makes the channel unusable.
    fn failed(&mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> CallError {
        let error = TransportError::new(cause).sent(self.sent);
        self.fail(error.into())
    }

    /// Fails if bytes that no call requested have arrived since the last call.
    fn expect_quiet(&mut self) -> Result<(), CallError> {
        match self.transport.is_quiet() {
            Ok(true) => {}
            Ok(false) => self.receive()?,
            Err(error) => return Err(self.failed(error)),
        }
        self.check_gone()?;
        self.connection.poll_event().map(drop).map_err(|error| self.fail(error.into()))
    }

    fn receive(&mut self) -> Result<(), CallError> {
        let Self { connection, transport, .. } = self;
        match retry(|| transport.read(connection.read_buf())) {
            Ok(count) if count > 0 => connection.advance(count),
            Err(error) if !is_gone(&error) => return Err(self.failed(error)),
            Ok(_) | Err(_) => {
                connection.receive_eof();
                self.gone = Some(TransportError::new(transport.ended()));
            }
        }
        Ok(())
    }
}

/// Shared memory.
impl<T: Transport + Send> ByteChannel<T> {
    /// Offers the server a segment, and shares it if the server has attached it. Otherwise batches are sent normally, and an
    /// event gives the reason. WIRE_PROTOCOL 15, and `EXTENSION.md` of `vgi_rpc_protocol::shm`.
    fn negotiate(&mut self, shared_memory: &ShmClient) -> Result<(), CallError> {
        let offered = match self.create_segment(shared_memory) {
            Ok(segment) => segment,
            Err(error) => {
                shared_memory.report_refused(&format_args!("the segment cannot be created: {error}"));
                return Ok(());
            }
        };
        let answer = self.offer(&offered.advertisement())?;
        match self.agreed(answer, offered, shared_memory) {
            Ok(segment) => self.connection.share_memory(segment),
            Err(reason) => shared_memory.report_refused(&reason),
        }
        Ok(())
    }

    /// Queries the server's transport options, and offers it this segment. Returns the metadata of the answer, empty if the call
    /// fails.
    fn offer(&mut self, offered: &AttachSegment) -> Result<Metadata, CallError> {
        let mut metadata: Metadata = [
            (keys::METHOD, keys::TRANSPORT_OPTIONS_METHOD),
            (keys::REQUEST_VERSION, keys::REQUEST_VERSION_VALUE),
            (keys::TRANSPORT_SHM, "true"),
        ]
        .into_iter()
        .collect();
        #[cfg(unix)]
        if self.transport.sends_descriptors() {
            metadata.push(keys::TRANSPORT_SHM_DESCRIPTOR, "true");
        }
        offered.offer(&mut metadata);
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options)?;
        self.connection.send_request(CallKind::Unary, &EncodedSchema::empty(), &row, &metadata)?;
        let mut answer = Metadata::new();
        loop {
            match self.next_event()? {
                Event::Output(_, metadata) => answer = metadata,
                // For example, a server that does not support the query.
                Event::Failed(_) | Event::Log(_) | Event::Header(..) => {}
                Event::Finished => break,
            }
        }
        self.flush()?;
        self.sent = false;
        Ok(answer)
    }

    /// Returns the segment to share after this answer, or why none is shared.
    fn agreed(
        &mut self,
        answer: Metadata,
        offered: Segment,
        shared_memory: &ShmClient,
    ) -> Result<Segment, String> {
        if answer.get_str(keys::TRANSPORT_SHM) != Some("true") {
            return Err("the server shares no memory".into());
        }
        match answer.get_str(keys::TRANSPORT_SHM_ATTACHED) {
            Some("true") => Ok(offered),
            // The server does not know about offers, and attaches the segments that requests name.
            None if !offered.advertisement().is_by_descriptor() => Ok(offered),
            None => {
                let created = shared_memory.create();
                created.map_err(|error| format!("the segment cannot be created: {error}"))
            }
            Some(_) => {
                let reason = answer.get_str(keys::TRANSPORT_SHM_REFUSED).unwrap_or("no reason given");
                let reason: String = reason.chars().take(MAX_REASON_CHARACTERS).collect();
                Err(format!("the server has refused the segment: {reason}"))
            }
        }
    }

    /// Creates the segment to offer. If the transport can send its descriptor, that is sent with the next request.
    #[cfg(unix)]
    fn create_segment(&mut self, shared_memory: &ShmClient) -> io::Result<Segment> {
        if self.transport.sends_descriptors()
            && let Ok((segment, descriptor)) = shared_memory.create_sealed()
            && self.transport.send_descriptor(descriptor).is_ok()
        {
            return Ok(segment);
        }
        shared_memory.create()
    }

    #[cfg(not(unix))]
    fn create_segment(&mut self, shared_memory: &ShmClient) -> io::Result<Segment> {
        shared_memory.create()
    }
}

impl<T> ByteChannel<T> {
    /// Performs the effects for which the connection waits. Returns false if there are none.
    fn perform(&mut self) -> bool {
        let Self { connection, external: Some(external), .. } = self else { return false };
        let mut performed = false;
        while let Some(event) = connection.poll_effect() {
            if let EffectEvent::Requested(effect) = event {
                connection.complete_effect(effect.id, external.perform(&effect));
                performed = true;
            }
        }
        performed
    }
}

impl<T: Transport + Send> Channel for ByteChannel<T> {
    fn set_external(&mut self, external: External) {
        self.connection.fetch_external(external.options().clone());
        self.external = Some(external);
    }

    fn share_memory(&mut self, shared_memory: ShmClient) {
        self.shared_memory = Some(shared_memory).filter(|_| self.transport.is_local());
    }

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
            if let Some(shared_memory) = self.shared_memory.take() {
                self.negotiate(&shared_memory)?;
            }
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
                Ok(Next::Waiting) if self.perform() => {}
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
            // The worker may have answered before it ended: the answer is read before its end is reported.
            Err(error) if is_gone(&error) => outbox.advance(outbox.remaining()),
            Err(error) => return Err(self.failed(error)),
            Ok(()) => {}
        }
        Ok(())
    }

    fn max_ticks_ahead(&self) -> usize {
        if self.connection.shares_memory() {
            // Both sides write to the segment only in their turns.
            return 0;
        }
        // One more tick is requested, and the end of the stream may follow them all.
        (self.transport.unread_capacity() / TICK_BYTES).saturating_sub(2)
    }

    fn close(&mut self) -> io::Result<()> {
        self.transport.close()
    }
}
