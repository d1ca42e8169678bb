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

/// Schemas that stay encoded between calls.
const CACHED_SCHEMAS: usize = 32;

type LogCallback = Box<dyn FnMut(LogMessage) + Send>;

/// Calls methods of one server, one call at a time.
pub struct Client {
    pub(crate) channel: Box<dyn Channel>,
    on_log: LogCallback,
    request_ids: IdSource,
    schemas: Vec<EncodedSchema>,
    pub(crate) checks_kinds: bool,
    /// What the server says of the protocols that were called.
    pub(crate) described: HashMap<String, Described>,
    pub(crate) retries: Option<RetryPolicy>,
    pub(crate) hooks: Vec<Arc<dyn ClientHook>>,
    /// The call that is under way, if there are listeners.
    pub(crate) listening: Listening,
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
            retries: None,
            hooks: Vec::new(),
            listening: Listening::default(),
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

    /// Makes calls again that failed, as the policy says. Default: no call is made again.
    pub fn retry(mut self, policy: impl Into<Option<RetryPolicy>>) -> Self {
        self.retries = policy.into();
        self
    }

    /// Fetches batches that lie elsewhere: results, headers, and batches of streams. Default: they are not fetched, and a
    /// call that is answered with a pointer to one fails with [`CallError::Pointer`]. WIRE_PROTOCOL 12.
    ///
    /// Over HTTP, a request that is larger than its server takes is then uploaded where the server says, if it does.
    pub fn external(mut self, external: External) -> Self {
        self.set_external(external);
        self
    }

    /// Does the same as [`Self::external`] to a client that is in use, such as that of a sticky session.
    pub fn set_external(&mut self, external: External) {
        self.channel.set_external(external);
    }

    /// Shares memory with the server, so that large batches of both sides do not pass through the pipe or socket. The value is the
    /// size of the segment in bytes, or a [`ShmClient`]. WIRE_PROTOCOL 11.
    ///
    /// The first call after this offers the segment to the server. The client goes on without shared memory if the server shares none
    /// or refuses the segment, if it cannot be created, and on transports that may leave this machine. An event of the target
    /// `vgi_rpc_shm` says why, except on such transports. While memory is shared, a stream sends no ticks
    /// [ahead](crate::Stream::prefetch).
    pub fn shared_memory(mut self, shared_memory: impl Into<ShmClient>) -> Self {
        self.channel.share_memory(shared_memory.into());
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
        self.unary_with_metadata(method, params).map(|(result, _)| result)
    }

    /// Makes a unary call as [`unary`](Self::unary) does, and returns the result's metadata too.
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

    /// Closes the connection. A worker process is waited for, and killed if it does not end by itself.
    ///
    /// # Errors
    /// When the transport fails, or a worker process has not ended well.
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

    /// The id of the next request: the caller's, or a new one.
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

    /// Reads a call to its end after it failed, so that the next one can be made.
    pub(crate) fn finish_call(&mut self) -> Result<(), CallError> {
        while !matches!(self.next_event()?, Event::Finished) {}
        self.channel.flush()
    }
}
