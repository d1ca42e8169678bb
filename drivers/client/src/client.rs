//! A blocking client: one call at a time over any transport.

use crate::byte_channel::ByteChannel;
use crate::channel::Channel;
use crate::error::CallError;
use crate::external::External;
use crate::hooks::{ClientHook, Listening};
use crate::method::Method;
use crate::pointer::refuse_pointer;
use crate::retry_policy::RetryPolicy;
use crate::shape::{CallShape, Described};
use crate::transport::Transport;
use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;
use vgi_rpc_protocol::client::{CallKind, Event};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::keys;
use vgi_rpc_protocol::wire::log::LogMessage;
use vgi_rpc_protocol::{IdSource, Limits};
use vgi_rpc_shm::ShmClient;

/// How many encoded schemas are kept between calls.
const CACHED_SCHEMAS: usize = 32;

type LogCallback = Box<dyn FnMut(LogMessage) + Send>;

/// Calls methods of one server, one call at a time.
pub struct Client {
    pub(crate) channel: Box<dyn Channel>,
    on_log: LogCallback,
    request_ids: IdSource,
    schemas: Vec<EncodedSchema>,
    pub(crate) checks_kinds: bool,
    /// Descriptions of the protocols that were called.
    pub(crate) described: HashMap<String, Described>,
    pub(crate) retries: Option<RetryPolicy>,
    pub(crate) hooks: Vec<Arc<dyn ClientHook>>,
    /// The hooks of the current call.
    pub(crate) listening: Listening,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("channel", &self.channel).finish_non_exhaustive()
    }
}

impl Client {
    /// Creates a client over a connected transport.
    pub fn new(transport: impl Transport + Send + 'static, limits: Limits) -> Self {
        Self::over(ByteChannel::new(transport, limits))
    }

    /// Creates a client over any channel.
    pub fn over(channel: impl Channel + 'static) -> Self {
        Self {
            channel: Box::new(channel),
            on_log: Box::new(drop),
            request_ids: IdSource::seeded(RandomState::new().hash_one(())),
            schemas: Vec::new(),
            checks_kinds: true,
            described: HashMap::new(),
            retries: None,
            hooks: Vec::new(),
            listening: Listening::default(),
        }
    }

    /// Sets whether the client queries the kind of each method. Default true.
    ///
    /// The wire format does not say whether a call is unary, a stream, or a stream with a header, so a call of the wrong kind on
    /// a byte stream would wait forever. Therefore, before the first call of a protocol, the client calls `describe` of the
    /// server's reflection: one round trip for each protocol and client. A call of the wrong kind then fails with
    /// [`CallError::WrongKind`] before anything is sent. If the server has no reflection, the client makes the call as requested,
    /// and only a timeout ends a call of the wrong kind. Over HTTP the server refuses the wrong kind itself, and reflection is
    /// queried only to explain such a refusal.
    pub fn check_kinds(mut self, check: bool) -> Self {
        self.checks_kinds = check;
        self
    }

    /// Retries failed calls according to the policy. Default: calls are not retried.
    pub fn retry(mut self, policy: impl Into<Option<RetryPolicy>>) -> Self {
        self.retries = policy.into();
        self
    }

    /// Fetches external batches: results, headers, and batches of streams. Default: they are not fetched, and a call whose answer
    /// is a pointer to one fails with [`CallError::Pointer`]. WIRE_PROTOCOL 12.
    ///
    /// Over HTTP, a request that exceeds the server's limit is then uploaded, if the server provides URLs for that.
    pub fn external(mut self, external: External) -> Self {
        self.set_external(external);
        self
    }

    /// Like [`Self::external`], for a client that is in use, such as that of a sticky session.
    pub fn set_external(&mut self, external: External) {
        self.channel.set_external(external);
    }

    /// Shares memory with the server, so that large batches in both directions do not pass through the pipe or socket. The value
    /// is the size of the segment in bytes, or a [`ShmClient`]. WIRE_PROTOCOL 11.
    ///
    /// The first call after this offers the segment to the server. The client continues without shared memory if the server does
    /// not support it or refuses the segment, if the segment cannot be created, and on transports that may leave this machine. An
    /// event of the target `vgi_rpc_shm` gives the reason, except on such transports. While memory is shared, a stream sends no
    /// ticks [ahead](crate::Stream::prefetch).
    pub fn shared_memory(mut self, shared_memory: impl Into<ShmClient>) -> Self {
        self.channel.share_memory(shared_memory.into());
        self
    }

    /// Passes the server's logs to `callback`, each during its call.
    pub fn on_log(mut self, callback: impl FnMut(LogMessage) + Send + 'static) -> Self {
        self.set_on_log(callback);
        self
    }

    /// Like [`Self::on_log`], for a client that is in use.
    pub fn set_on_log(&mut self, callback: impl FnMut(LogMessage) + Send + 'static) {
        self.on_log = Box::new(callback);
    }

    /// Makes a unary call with one row of parameters. A void method returns a batch without columns.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn unary(&mut self, method: &Method<'_>, params: &RecordBatch) -> Result<RecordBatch, CallError> {
        self.unary_with_metadata(method, params).map(|(result, _)| result)
    }

    /// Like [`unary`](Self::unary), and also returns the result's metadata.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn unary_with_metadata(
        &mut self,
        method: &Method<'_>,
        params: &RecordBatch,
    ) -> Result<(RecordBatch, Metadata), CallError> {
        self.expect_kind(method, CallShape::UNARY)?;
        let result = self.with_retries(method, |client| client.call_unary(method, params));
        result.map_err(|error| self.explain(method, CallShape::UNARY, error))
    }

    pub(crate) fn call_unary(
        &mut self,
        method: &Method<'_>,
        params: &RecordBatch,
    ) -> Result<(RecordBatch, Metadata), CallError> {
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
        Ok((refuse_pointer(batch, &metadata)?, metadata))
    }

    /// Closes the connection. Waits for a worker process, and kills it if it does not end by itself.
    ///
    /// # Errors
    /// If the transport fails, or a worker process ends with an error.
    pub fn close(mut self) -> io::Result<()> {
        self.channel.close()
    }

    pub(crate) fn begin(
        &mut self,
        method: &Method<'_>,
        kind: CallKind,
        params: &RecordBatch,
    ) -> Result<(), CallError> {
        let schema = self.encoded(&params.schema())?;
        let request_id = self.request_id(method);
        let mut call = method.call(kind, &request_id);
        self.listen(&mut call);
        let called = self.within_call(|channel| channel.call(&call, &schema, params));
        called.inspect_err(|error| self.listening.end(Some(error)))
    }

    /// Returns the id of the next request: the caller's, or a new one.
    pub(crate) fn request_id(&mut self, method: &Method<'_>) -> String {
        method.metadata.get_str(keys::REQUEST_ID).map_or_else(
            || {
                let mut id = String::new();
                self.request_ids.next_into(&mut id);
                id
            },
            ToOwned::to_owned,
        )
    }

    /// Returns the schema's message, encoded once for calls of one shape.
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

    /// Returns the next event that is not a log.
    pub(crate) fn next_event(&mut self) -> Result<Event, CallError> {
        loop {
            let event = self.within_call(|channel| channel.next_event());
            if !self.listening.is_empty() {
                match &event {
                    Ok(Event::Finished) => self.listening.end(None),
                    Ok(Event::Failed(error)) => self.listening.end(Some(&error.clone().into())),
                    Ok(_) => {}
                    Err(error) => self.listening.end(Some(error)),
                }
            }
            match event? {
                Event::Log(message) => (self.on_log)(message),
                event => return Ok(event),
            }
        }
    }

    /// Reads a failed call to its end, so that the next one can be made.
    pub(crate) fn finish_call(&mut self) -> Result<(), CallError> {
        while !matches!(self.next_event()?, Event::Finished) {}
        self.channel.flush()
    }
}
