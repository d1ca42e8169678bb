//! An open stream of a blocking client.

use crate::channel::Channel;
use crate::client::Client;
use crate::error::CallError;
use crate::method::{Method, Remote};
use crate::pointer::refuse_pointer;
use crate::shape::CallShape;
use arrow_array::RecordBatch;
use vgi_rpc_protocol::CommandError;
use vgi_rpc_protocol::client::{CallKind, Event, ResumeToken};
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::service::StreamKind;
use vgi_rpc_protocol::wire::error::RpcError;

/// Opens streams.
impl Client {
    /// Opens a stream, and reads its header if the method has one. Iterate over it for a producer; send batches for an exchange.
    ///
    /// # Errors
    /// See [`CallError`]. An error that the server raises before the first batch may be returned only with that batch.
    pub fn stream(&mut self, method: &Method<'_>, params: &RecordBatch) -> Result<Stream<'_>, CallError> {
        self.open(method, StreamKind::Unknown, params)
    }

    /// Opens a stream of a known or unknown kind.
    pub(crate) fn open(
        &mut self,
        method: &Method<'_>,
        kind: StreamKind,
        params: &RecordBatch,
    ) -> Result<Stream<'_>, CallError> {
        let shape = CallShape::stream(kind, method.header);
        self.expect_kind(method, shape)?;
        match self.with_retries(method, |client| client.open_stream(method, params)) {
            Ok(header) => Ok(Stream::new(self, method, header)),
            Err(error) => Err(self.explain(method, shape, error)),
        }
    }

    /// Resumes a stream at the position of a [token](Stream::resume_token), which may be from another process. The stream then
    /// has no header, even if the method declares one. Nothing is sent before the first turn.
    ///
    /// # Errors
    /// See [`CallError`]; [`CallError::Command`] if streams cannot be resumed, which is supported only over HTTP.
    pub fn resume_stream(
        &mut self,
        method: &Method<'_>,
        token: &ResumeToken,
    ) -> Result<Stream<'_>, CallError> {
        let request_id = self.request_id(method);
        let mut call = method.call(CallKind::Stream { header: method.header }, &request_id);
        self.listen(&mut call);
        let resumed = self.within_call(|channel| channel.resume(&call, token));
        resumed.inspect_err(|error| self.listening.end(Some(error)))?;
        Ok(Stream::new(self, method, None))
    }

    /// Opens a stream and returns its header.
    fn open_stream(
        &mut self,
        method: &Method<'_>,
        params: &RecordBatch,
    ) -> Result<Option<(RecordBatch, Metadata)>, CallError> {
        self.begin(method, CallKind::Stream { header: method.header }, params)?;
        let mut header = None;
        // A refused stream has no header; the error arrives in its place.
        while (method.header || self.channel.retry_after().is_some()) && header.is_none() {
            match self.next_event()? {
                Event::Header(batch, metadata) => match refuse_pointer(batch, &metadata) {
                    Ok(batch) => header = Some((batch, metadata)),
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
}

/// An open stream. A producer's is an iterator; an exchange's answers each batch that is sent.
///
/// Dropping it closes it, so that the client can make the next call.
#[derive(Debug)]
pub struct Stream<'a> {
    client: &'a mut Client,
    /// The called protocol.
    remote: Remote,
    name: String,
    /// Whether the method declares a header.
    has_header: bool,
    header: Option<(RecordBatch, Metadata)>,
    open: bool,
    /// How the stream is used, after it was checked against the method's declaration.
    checked: Option<CallShape>,
    /// How many ticks may be sent ahead of the one whose batch is read next.
    prefetch: usize,
    /// Ticks that were sent and whose batches have not been read.
    ticks: usize,
}

impl<'a> Stream<'a> {
    pub(crate) fn new(
        client: &'a mut Client,
        method: &Method<'_>,
        header: Option<(RecordBatch, Metadata)>,
    ) -> Self {
        let (remote, name) = (method.remote.clone(), method.name.to_owned());
        Self {
            client,
            remote,
            name,
            has_header: method.header,
            header,
            open: true,
            checked: None,
            prefetch: 0,
            ticks: 0,
        }
    }

    /// Returns the header of one row, if the method has one.
    pub fn header(&self) -> Option<&RecordBatch> {
        self.header.as_ref().map(|(header, _)| header)
    }

    /// Returns the metadata of the header, if the method has one.
    pub fn header_metadata(&self) -> Option<&Metadata> {
        self.header.as_ref().map(|(_, metadata)| metadata)
    }

    /// Returns a token that [resumes](Client::resume_stream) the stream after the last batch, over HTTP. `None` if the stream has
    /// ended, and on a byte stream, whose streams end with it.
    pub fn resume_token(&self) -> Option<ResumeToken> {
        self.client.channel.resume_token().filter(|_| self.open)
    }

    /// Lets the producer work up to `ticks` batches ahead, so that small batches do not wait for a round trip each. Default 0.
    /// The maximum is what the [transport accepts](crate::Transport::unread_capacity) while the server does not read, at 72 bytes
    /// a tick: several hundred on pipes and sockets of Linux, 54 elsewhere. It has no effect over HTTP, where each batch is a
    /// request.
    ///
    /// If the stream is closed or cancelled early, the producer may have run as many additional turns. Ticks with metadata of
    /// their own are never sent ahead.
    pub fn prefetch(mut self, ticks: usize) -> Self {
        self.prefetch = ticks.min(self.client.channel.max_ticks_ahead());
        self
    }

    /// Requests the next batch of a producer and that batch's metadata; returns `None` at the end.
    ///
    /// # Errors
    /// See [`CallError`]. The stream has then ended, except after [`CallError::Command`]: metadata cannot be sent while the
    /// batches of ticks [sent ahead](Self::prefetch) have not been read.
    pub fn tick(&mut self, metadata: &Metadata) -> Result<Option<(RecordBatch, Metadata)>, CallError> {
        if !self.open {
            return Ok(None);
        }
        if self.ticks > 0 && !metadata.is_empty() {
            let when = "when the batches of all ticks that were sent ahead have been read";
            return Err(CommandError::Misuse { command: "tick with metadata", when }.into());
        }
        let producer = self.shape(StreamKind::Producer);
        self.expect_kind(producer)?;
        let asked = self.send_ticks(metadata);
        let answer = self.answer(asked);
        self.ticks = self.ticks.saturating_sub(1);
        answer.map_err(|error| self.explain(producer, error))
    }

    /// Sends the tick whose batch is read next, unless it was sent ahead, and further ticks ahead of it. It sends half of the
    /// allowed number at a time, so that one system call moves several ticks and batches.
    fn send_ticks(&mut self, metadata: &Metadata) -> Result<(), CallError> {
        if !metadata.is_empty() {
            self.send_tick(metadata)?;
            self.ticks = 1;
            return Ok(());
        }
        if self.ticks == 0 || self.ticks <= self.prefetch / 2 {
            while self.ticks <= self.prefetch {
                self.send_tick(metadata)?;
                self.ticks += 1;
            }
        }
        Ok(())
    }

    fn send_tick(&mut self, metadata: &Metadata) -> Result<(), CallError> {
        let asked = self.client.within_call(|channel| channel.tick(metadata));
        self.note_failure(asked)
    }

    /// Reports a turn that could not be requested to the hooks. The stream has then ended.
    fn note_failure(&mut self, asked: Result<(), CallError>) -> Result<(), CallError> {
        asked.inspect_err(|error| {
            if !matches!(error, CallError::Command(_)) {
                self.client.listening.end(Some(error));
            }
        })
    }

    /// Sends one batch to an exchange and reads its answer.
    ///
    /// # Errors
    /// See [`CallError`]. The stream has then ended, unless the batch could not be sent.
    pub fn exchange(&mut self, batch: &RecordBatch) -> Result<RecordBatch, CallError> {
        self.exchange_with(batch, &Metadata::new()).map(|(answer, _)| answer)
    }

    /// Sends one batch with metadata to an exchange, and reads its answer and the answer's metadata.
    ///
    /// # Errors
    /// See [`exchange`](Self::exchange).
    pub fn exchange_with(
        &mut self,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<(RecordBatch, Metadata), CallError> {
        let exchange = self.shape(StreamKind::Exchange);
        self.expect_kind(exchange)?;
        let schema = self.client.encoded(&batch.schema())?;
        let sent = self.client.within_call(|channel| channel.send(&schema, batch, metadata));
        let sent = self.note_failure(sent);
        let answer = self.answer(sent).map_err(|error| self.explain(exchange, error))?;
        answer.ok_or_else(|| {
            RpcError::new("ProtocolError", "the server ended the exchange without an answer").into()
        })
    }

    /// Ends the stream normally.
    ///
    /// # Errors
    /// If the connection fails.
    pub fn close(mut self) -> Result<(), CallError> {
        self.end(|channel| channel.end())
    }

    /// Cancels the stream: the server stops without another turn.
    ///
    /// # Errors
    /// If the connection fails.
    pub fn cancel(mut self) -> Result<(), CallError> {
        self.client.listening.cancelled = true;
        self.end(|channel| channel.cancel())
    }

    fn shape(&self, kind: StreamKind) -> CallShape {
        CallShape::stream(kind, self.has_header)
    }

    /// Ends the stream if it is known to be of the other kind.
    fn expect_kind(&mut self, called: CallShape) -> Result<(), CallError> {
        if !self.open || self.checked == Some(called) {
            return Ok(());
        }
        let expected = self.client.expect_kind(&self.remote.method(&self.name), called);
        match expected {
            Ok(()) => self.checked = Some(called),
            Err(_) => self.end(|channel| channel.end())?,
        }
        expected
    }

    /// If a turn failed because the stream is of the other kind, returns that error instead.
    fn explain(&mut self, called: CallShape, error: CallError) -> CallError {
        // A producer over HTTP sends batches unrequested, so that a batch cannot be sent.
        let has_outputs = matches!(error, CallError::Command(CommandError::Misuse { .. }));
        if self.open && has_outputs && self.end(|channel| channel.end()).is_err() {
            return error;
        }
        self.client.explain(&self.remote.method(&self.name), called, error)
    }

    fn answer(&mut self, asked: Result<(), CallError>) -> Result<Option<(RecordBatch, Metadata)>, CallError> {
        if let Err(error @ CallError::Command(_)) = asked {
            return Err(error);
        }
        let result = asked.and_then(|()| self.read_answer());
        if !matches!(result, Ok(Some(_)) | Err(CallError::Pointer)) {
            self.open = false;
        }
        result
    }

    fn read_answer(&mut self) -> Result<Option<(RecordBatch, Metadata)>, CallError> {
        loop {
            match self.client.next_event()? {
                Event::Output(batch, metadata) => {
                    return Ok(Some((refuse_pointer(batch, &metadata)?, metadata)));
                }
                Event::Failed(error) => {
                    self.client.finish_call()?;
                    return Err(error.into());
                }
                Event::Finished => {
                    self.client.channel.flush()?;
                    return Ok(None);
                }
                Event::Header(..) | Event::Log(_) => {}
            }
        }
    }

    fn end(&mut self, how: impl FnOnce(&mut dyn Channel) -> Result<(), CallError>) -> Result<(), CallError> {
        if !std::mem::take(&mut self.open) {
            return Ok(());
        }
        let left = self.client.within_call(how);
        self.note_failure(left)?;
        self.client.finish_call()
    }
}

/// The batches of a producer.
impl Iterator for Stream<'_> {
    type Item = Result<RecordBatch, CallError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.tick(&Metadata::new()).map(|answer| answer.map(|(batch, _)| batch)).transpose()
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        // If the connection fails here, the next call returns the error.
        let _ = self.end(|channel| channel.end());
    }
}
