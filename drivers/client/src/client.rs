//! A blocking client: one call at a time over any transport.

use crate::stream::Stream;
use crate::transfer::{is_gone, retry, send};
use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use bytes::Buf;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, IoSlice};
use std::process::ExitStatus;
use thiserror::Error;
use vgi_rpc_protocol::client::{Call, CallKind, Connection, Event};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::wire::classify::{BatchKind, classify};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::log::LogMessage;
use vgi_rpc_protocol::{CommandError, ConnectionError, IdSource, Limits, Next};

/// Schemas that stay encoded between calls.
const CACHED_SCHEMAS: usize = 32;

/// A call that did not give a result.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CallError {
    /// The server answered with an error, or the answer was not acceptable. The client can go on.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The worker ended in the middle of a call. The client is of no more use.
    #[error("the worker ended during the call{}", status.map_or(String::new(), |s| format!(" ({s})")))]
    WorkerGone {
        /// How it ended, if that is known.
        status: Option<ExitStatus>,
        /// Whether any of the request may have reached it. If not, the call can be made again elsewhere.
        sent: bool,
    },
    /// Reading or writing failed. The client is of no more use.
    #[error("the transport failed: {source}")]
    Transport {
        /// What failed.
        source: io::Error,
        /// Whether any of the request may have reached the server. If not, the call can be made again elsewhere.
        sent: bool,
    },
    /// The server sent what is not the protocol. The client is of no more use.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The caller's batch does not fit, or the call cannot be made now.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The server answered with a pointer to data elsewhere, which this client was not set up to fetch.
    #[error("the answer is a pointer to data that this client was not set up to fetch")]
    Pointer,
}

impl From<ArrowError> for CallError {
    fn from(error: ArrowError) -> Self {
        Self::Command(error.into())
    }
}

/// Moves a connection's bytes.
pub trait Transport {
    /// Reads some bytes; 0 when the peer has closed its side.
    ///
    /// # Errors
    /// When the transport fails.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes some of the slices' bytes.
    ///
    /// # Errors
    /// When the transport fails.
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Closes the transport. For a process, waits for its end and says how it was.
    ///
    /// # Errors
    /// When the transport fails.
    fn close(&mut self) -> io::Result<Option<ExitStatus>>;
}

/// A protocol on the other side: its name, and the version the caller was written for.
#[derive(Clone, Debug)]
pub struct Remote {
    protocol: String,
    version: Option<String>,
}

impl Remote {
    /// A protocol by its wire name.
    pub fn new(protocol: impl Into<String>) -> Self {
        Self { protocol: protocol.into(), version: None }
    }

    /// Names the version, which a protocol that declares one requires.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// One of its methods.
    pub fn method<'a>(&'a self, name: &'a str) -> Method<'a> {
        Method { remote: self, name, header: false, metadata: Metadata::new() }
    }
}

/// A method of a [`Remote`].
#[derive(Clone, Debug)]
pub struct Method<'a> {
    remote: &'a Remote,
    name: &'a str,
    header: bool,
    metadata: Metadata,
}

impl Method<'_> {
    /// Says that the stream begins with a header.
    pub fn with_header(mut self) -> Self {
        self.header = true;
        self
    }

    /// Adds metadata to the request, such as a trace context.
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }
}

type LogCallback = Box<dyn FnMut(LogMessage) + Send>;

/// Calls methods over one connection.
pub struct Client {
    transport: Box<dyn Transport + Send>,
    pub(crate) connection: Connection,
    on_log: LogCallback,
    request_ids: IdSource,
    schemas: Vec<EncodedSchema>,
    /// Some of the current call's request was handed to the transport.
    sent: bool,
    /// How the worker ended, once that was seen.
    gone: Option<Option<ExitStatus>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl Client {
    /// Calls over a transport that is connected.
    pub fn new(transport: impl Transport + Send + 'static, limits: Limits) -> Self {
        Self {
            transport: Box::new(transport),
            connection: Connection::new(limits),
            on_log: Box::new(drop),
            request_ids: IdSource::seeded(RandomState::new().hash_one(())),
            schemas: Vec::new(),
            sent: false,
            gone: None,
        }
    }

    /// Has the server's logs given to `callback`, each during the call that it belongs to.
    pub fn on_log(mut self, callback: impl FnMut(LogMessage) + Send + 'static) -> Self {
        self.on_log = Box::new(callback);
        self
    }

    /// Makes a unary call with one row of parameters. A void method answers with a batch without columns.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn unary(&mut self, method: &Method<'_>, params: &RecordBatch) -> Result<RecordBatch, CallError> {
        self.begin(method, CallKind::Unary, params)?;
        let mut result = None;
        loop {
            match self.next_event()? {
                Event::Output(batch, metadata) => result = Some((batch, metadata)),
                Event::Failed(error) => {
                    self.finish_call()?;
                    return Err(error.into());
                }
                Event::Finished => break,
                Event::Header(..) | Event::Log(_) => {}
            }
        }
        let (batch, metadata) =
            result.ok_or_else(|| RpcError::new("ProtocolError", "the answer is empty"))?;
        refuse_pointer(batch, &metadata)
    }

    /// Opens a stream, and reads its header if the method has one. Iterate over it for a producer; send batches
    /// for an exchange.
    ///
    /// # Errors
    /// See [`CallError`]. An error that the server raises before the first batch may come with that batch only.
    pub fn stream(&mut self, method: &Method<'_>, params: &RecordBatch) -> Result<Stream<'_>, CallError> {
        self.begin(method, CallKind::Stream { header: method.header }, params)?;
        let mut header = None;
        while method.header && header.is_none() {
            match self.next_event()? {
                Event::Header(batch, metadata) => header = Some(refuse_pointer(batch, &metadata)?),
                Event::Failed(error) => {
                    self.finish_call()?;
                    return Err(error.into());
                }
                Event::Finished => {
                    return Err(RpcError::new("ProtocolError", "the stream ended before its header").into());
                }
                Event::Output(..) | Event::Log(_) => {}
            }
        }
        Ok(Stream::new(self, header))
    }

    /// Closes the connection. A worker process is waited for, and killed if it does not end by itself.
    ///
    /// # Errors
    /// When the transport fails.
    pub fn close(mut self) -> io::Result<Option<ExitStatus>> {
        self.transport.close()
    }

    fn begin(&mut self, method: &Method<'_>, kind: CallKind, params: &RecordBatch) -> Result<(), CallError> {
        self.sent = false;
        self.check_gone()?;
        let schema = self.encoded(&params.schema())?;
        let mut request_id = String::new();
        self.request_ids.next_into(&mut request_id);
        let call = Call {
            protocol: &method.remote.protocol,
            method: method.name,
            protocol_version: method.remote.version.as_deref(),
            request_id: Some(&request_id),
            kind,
            metadata: method.metadata.clone(),
        };
        Ok(self.connection.call(&call, &schema, params)?)
    }

    /// The schema's message, encoded once for calls of one shape.
    pub(crate) fn encoded(&mut self, schema: &SchemaRef) -> Result<EncodedSchema, ArrowError> {
        if let Some(known) = self.schemas.iter().find(|known| known.schema() == schema) {
            return Ok(known.clone());
        }
        let encoded = EncodedSchema::new(schema.clone())?;
        if self.schemas.len() >= CACHED_SCHEMAS {
            self.schemas.remove(0);
        }
        self.schemas.push(encoded.clone());
        Ok(encoded)
    }

    /// The next event that is no log, once what waits was sent.
    pub(crate) fn next_event(&mut self) -> Result<Event, CallError> {
        self.check_gone()?;
        self.send()?;
        loop {
            match self.connection.poll_event() {
                Ok(Next::Event(Event::Log(message))) => (self.on_log)(message),
                Ok(Next::Event(event)) => return Ok(event),
                Ok(Next::NeedInput | Next::NeedDrain) => self.receive()?,
                Ok(Next::NeedCommand | Next::Closed) => {
                    let (command, when) = ("next_event", "while an answer is due");
                    return Err(CommandError::Misuse { command, when }.into());
                }
                Err(error) => {
                    self.check_gone()?;
                    return Err(error.into());
                }
            }
        }
    }

    /// Reads a call to its end after it failed, so that the next one can be made.
    pub(crate) fn finish_call(&mut self) -> Result<(), CallError> {
        while !matches!(self.next_event()?, Event::Finished) {}
        self.send()
    }

    pub(crate) fn send(&mut self) -> Result<(), CallError> {
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
            Err(source) => return Err(CallError::Transport { source, sent: self.sent }),
            Ok(()) => {}
        }
        Ok(())
    }

    fn check_gone(&self) -> Result<(), CallError> {
        self.gone.map_or(Ok(()), |status| Err(CallError::WorkerGone { status, sent: self.sent }))
    }

    fn receive(&mut self) -> Result<(), CallError> {
        let Self { connection, transport, .. } = self;
        match retry(|| transport.read(connection.read_buf())) {
            Ok(count) if count > 0 => connection.advance(count),
            Err(source) if !is_gone(&source) => return Err(CallError::Transport { source, sent: self.sent }),
            Ok(_) | Err(_) => {
                connection.receive_eof();
                self.gone = Some(self.transport.close().unwrap_or_default());
            }
        }
        Ok(())
    }
}

/// A batch that is data, not a pointer to it: taken for data, a pointer would be an empty batch.
pub(crate) fn refuse_pointer(batch: RecordBatch, metadata: &Metadata) -> Result<RecordBatch, CallError> {
    match classify(batch.num_rows(), Some(metadata)) {
        BatchKind::ExternalPointer | BatchKind::ShmPointer => Err(CallError::Pointer),
        _ => Ok(batch),
    }
}
