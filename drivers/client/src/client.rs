//! A blocking client: one call at a time over any transport.

use crate::channel::{ByteChannel, Channel};
use crate::kinds::{CallShape, Described, WrongKind};
use crate::method::{Method, Remote};
use crate::stream::Stream;
use crate::transport::Transport;
use arrow_array::{RecordBatch, StringArray};
use arrow_schema::{ArrowError, SchemaRef};
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use thiserror::Error;
use vgi_rpc_protocol::client::{Call, CallKind, Event};
use vgi_rpc_protocol::http::client::ResponseError;
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::reflection::PROTOCOL_NAME;
use vgi_rpc_protocol::service::StreamKind;
use vgi_rpc_protocol::wire::classify::{BatchKind, classify};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::log::LogMessage;
use vgi_rpc_protocol::{CommandError, ConnectionError, IdSource, Limits, OneLine};

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
    /// Reading or writing failed or took too long. The client is of no more use, unless it calls over HTTP: then it
    /// can go on.
    #[error("the transport failed: {}", OneLine(error))]
    Transport {
        /// What failed.
        error: io::Error,
        /// Whether any of the request may have reached the server. If not, the call can be made again elsewhere.
        sent: bool,
    },
    /// The response to an HTTP request is not the answer to the call; a 401 above all. The client can go on.
    #[error(transparent)]
    Response(#[from] ResponseError),
    /// The server sent what is not the protocol. The client is of no more use.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// An earlier call failed in a way that left its answer outstanding, a timeout above all. Connect anew.
    #[error("the connection cannot be used any more since an earlier call failed: {reason}")]
    Unusable {
        /// What the earlier call failed with.
        reason: String,
    },
    /// The method was called as another kind than it is. The client can go on.
    #[error(transparent)]
    WrongKind(#[from] Box<WrongKind>),
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

type LogCallback = Box<dyn FnMut(LogMessage) + Send>;

/// Calls methods of one server, one call at a time.
pub struct Client {
    pub(crate) channel: Box<dyn Channel>,
    on_log: LogCallback,
    request_ids: IdSource,
    schemas: Vec<EncodedSchema>,
    checks_kinds: bool,
    /// What the server says of the protocols that were called.
    described: HashMap<String, Described>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("channel", &self.channel).finish_non_exhaustive()
    }
}

impl Client {
    /// Calls over a transport that is connected.
    pub fn new(transport: impl Transport + Send + 'static, limits: Limits) -> Self {
        Self::over(ByteChannel::new(transport, limits))
    }

    /// Calls over anything that carries calls.
    pub fn over(channel: impl Channel + 'static) -> Self {
        Self {
            channel: Box::new(channel),
            on_log: Box::new(drop),
            request_ids: IdSource::seeded(RandomState::new().hash_one(())),
            schemas: Vec::new(),
            checks_kinds: true,
            described: HashMap::new(),
        }
    }

    /// Sets whether the server is asked what kind each method is. Default true.
    ///
    /// The wire does not say whether a call is unary, a stream, or a stream with a header, so a call of the wrong kind
    /// on a connection of bytes would wait for an answer that never comes. Before the first call of a protocol the
    /// client therefore calls `describe` of the server's reflection, one round trip for each protocol and client, and
    /// fails a call of the wrong kind with [`CallError::WrongKind`] before anything of it is sent. A server without
    /// reflection is called as the caller says; then only a timeout ends a call of the wrong kind. Over HTTP the
    /// server refuses the wrong kind itself, and is asked only to explain such a refusal.
    pub fn check_kinds(mut self, check: bool) -> Self {
        self.checks_kinds = check;
        self
    }

    /// Has the server's logs given to `callback`, each during the call that it belongs to.
    pub fn on_log(mut self, callback: impl FnMut(LogMessage) + Send + 'static) -> Self {
        self.set_on_log(callback);
        self
    }

    /// Does the same as [`Self::on_log`] to a client that is in use.
    pub fn set_on_log(&mut self, callback: impl FnMut(LogMessage) + Send + 'static) {
        self.on_log = Box::new(callback);
    }

    /// Makes a unary call with one row of parameters. A void method answers with a batch without columns.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn unary(&mut self, method: &Method<'_>, params: &RecordBatch) -> Result<RecordBatch, CallError> {
        self.expect_kind(method, CallShape::UNARY)?;
        let result = self.call_unary(method, params);
        result.map_err(|error| self.explain(method, CallShape::UNARY, error))
    }

    fn call_unary(&mut self, method: &Method<'_>, params: &RecordBatch) -> Result<RecordBatch, CallError> {
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
        let shape = CallShape::stream(StreamKind::Unknown, method.header);
        self.expect_kind(method, shape)?;
        match self.open_stream(method, params) {
            Ok(header) => Ok(Stream::new(self, method, header)),
            Err(error) => Err(self.explain(method, shape, error)),
        }
    }

    /// Opens a stream and returns its header.
    fn open_stream(
        &mut self,
        method: &Method<'_>,
        params: &RecordBatch,
    ) -> Result<Option<RecordBatch>, CallError> {
        self.begin(method, CallKind::Stream { header: method.header }, params)?;
        let mut header = None;
        while method.header && header.is_none() {
            match self.next_event()? {
                Event::Header(batch, metadata) => match refuse_pointer(batch, &metadata) {
                    Ok(batch) => header = Some(batch),
                    Err(error) => {
                        self.channel.end()?;
                        self.finish_call()?;
                        return Err(error);
                    }
                },
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
        Ok(header)
    }

    /// Closes the connection. A worker process is waited for, and killed if it does not end by itself.
    ///
    /// # Errors
    /// When the transport fails.
    pub fn close(mut self) -> io::Result<Option<ExitStatus>> {
        self.channel.close()
    }

    /// Fails if the method is known not to be of this shape, before it is called. On a channel where a call of the
    /// wrong kind has no answer, the server is asked.
    pub(crate) fn expect_kind(&mut self, method: &Method<'_>, called: CallShape) -> Result<(), CallError> {
        let Remote { protocol, .. } = method.remote;
        if !self.checks_kinds || protocol == PROTOCOL_NAME {
            return Ok(());
        }
        if !self.described.contains_key(protocol) && !self.channel.refuses_wrong_kinds() {
            self.describe(protocol)?;
        }
        self.compare_kind(method, called)
    }

    fn compare_kind(&self, method: &Method<'_>, called: CallShape) -> Result<(), CallError> {
        let described = self.described.get(&method.remote.protocol);
        Ok(described.map_or(Ok(()), |known| {
            known.check(&method.remote.protocol, method.name, called).map_err(Box::new)
        })?)
    }

    /// Asks the server's reflection about a protocol, and remembers the answer. A server that does not answer that
    /// describes nothing.
    fn describe(&mut self, protocol: &str) -> Result<(), CallError> {
        let reflection = Remote::new(PROTOCOL_NAME);
        let name = Arc::new(StringArray::from(vec![protocol]));
        let params = RecordBatch::try_from_iter_with_nullable([("protocol", name as _, false)])?;
        let described = match self.call_unary(&reflection.method("describe"), &params) {
            Ok(answer) => Described::read(&answer),
            // What is wrong now may be right later.
            Err(CallError::Rpc(error)) if error.is_retryable() => return Ok(()),
            Err(CallError::Rpc(_) | CallError::Response(_) | CallError::Pointer) => Described::default(),
            Err(error) => return Err(error),
        };
        self.described.insert(protocol.to_owned(), described);
        Ok(())
    }

    /// Looks whether a call failed because it was of the wrong kind, and names that mistake if so.
    pub(crate) fn explain(&mut self, method: &Method<'_>, called: CallShape, error: CallError) -> CallError {
        let protocol = &method.remote.protocol;
        if !self.checks_kinds || protocol == PROTOCOL_NAME {
            return error;
        }
        match error {
            error if self.channel.refuses_wrong_kinds() && may_be_wrong_kind(&error) => {
                let asked = self.described.contains_key(protocol) || self.describe(protocol).is_ok();
                match self.compare_kind(method, called) {
                    Err(wrong) if asked => wrong,
                    _ => error,
                }
            }
            CallError::Transport { error, sent }
                if error.kind() == io::ErrorKind::TimedOut && !self.channel.refuses_wrong_kinds() =>
            {
                let known = self.described.get(protocol).is_some_and(|known| known.describes(method.name));
                let hint = "; the server does not say what kind the method is, and a call of the wrong kind has no \
                            answer";
                let text = format!("{error}{}", if known { "" } else { hint });
                CallError::Transport { error: io::Error::new(io::ErrorKind::TimedOut, text), sent }
            }
            error => error,
        }
    }

    fn begin(&mut self, method: &Method<'_>, kind: CallKind, params: &RecordBatch) -> Result<(), CallError> {
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
        self.channel.call(&call, &schema, params)
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

    /// The next event that is no log.
    pub(crate) fn next_event(&mut self) -> Result<Event, CallError> {
        loop {
            match self.channel.next_event()? {
                Event::Log(message) => (self.on_log)(message),
                event => return Ok(event),
            }
        }
    }

    /// Reads a call to its end after it failed, so that the next one can be made.
    pub(crate) fn finish_call(&mut self) -> Result<(), CallError> {
        while !matches!(self.next_event()?, Event::Finished) {}
        self.channel.flush()
    }
}

/// Whether a call may have failed because it was of the wrong kind, where the server refuses such calls.
fn may_be_wrong_kind(error: &CallError) -> bool {
    match error {
        // What servers answer at the path of another kind.
        CallError::Rpc(error) => error.error_type() == "TypeError",
        // A header too many or too few.
        CallError::Response(error) => matches!(error, ResponseError::Streams(_)),
        // A batch for a producer.
        CallError::Command(error) => matches!(error, CommandError::Misuse { .. }),
        _ => false,
    }
}

/// A batch that is data, not a pointer to it: taken for data, a pointer would be an empty batch.
pub(crate) fn refuse_pointer(batch: RecordBatch, metadata: &Metadata) -> Result<RecordBatch, CallError> {
    match classify(batch.num_rows(), Some(metadata)) {
        BatchKind::ExternalPointer | BatchKind::ShmPointer => Err(CallError::Pointer),
        _ => Ok(batch),
    }
}
