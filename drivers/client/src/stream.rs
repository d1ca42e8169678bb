//! An open stream of a blocking client.

use crate::channel::Channel;
use crate::client::{CallError, Client, refuse_pointer};
use crate::kinds::CallShape;
use crate::method::{Method, Remote};
use arrow_array::RecordBatch;
use vgi_rpc_protocol::CommandError;
use vgi_rpc_protocol::client::Event;
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::service::StreamKind;
use vgi_rpc_protocol::wire::error::RpcError;

/// A stream that was opened. A producer's is an iterator; an exchange's answers each batch that is sent.
///
/// Dropping it closes it, so that the client can make the next call.
#[derive(Debug)]
pub struct Stream<'a> {
    client: &'a mut Client,
    /// What was called.
    remote: Remote,
    name: String,
    header: Option<RecordBatch>,
    open: bool,
}

impl<'a> Stream<'a> {
    pub(crate) fn new(client: &'a mut Client, method: &Method<'_>, header: Option<RecordBatch>) -> Self {
        let (remote, name) = (method.remote.clone(), method.name.to_owned());
        Self { client, remote, name, header, open: true }
    }

    /// The header of one row, when the method has one.
    pub fn header(&self) -> Option<&RecordBatch> {
        self.header.as_ref()
    }

    /// Asks a producer for its next batch and that batch's metadata; `None` when it is done.
    ///
    /// # Errors
    /// See [`CallError`]. The stream is over then.
    pub fn tick(&mut self, metadata: &Metadata) -> Result<Option<(RecordBatch, Metadata)>, CallError> {
        if !self.open {
            return Ok(None);
        }
        let producer = self.shape(StreamKind::Producer);
        self.expect_kind(producer)?;
        let asked = self.client.channel.tick(metadata);
        self.answer(asked).map_err(|error| self.explain(producer, error))
    }

    /// Sends one batch to an exchange and reads its answer.
    ///
    /// # Errors
    /// See [`CallError`]. Unless the batch could not be sent the stream is over then.
    pub fn exchange(&mut self, batch: &RecordBatch) -> Result<RecordBatch, CallError> {
        self.exchange_with(batch, &Metadata::new()).map(|(answer, _)| answer)
    }

    /// Sends one batch with metadata to an exchange and reads its answer and that one's metadata.
    ///
    /// # Errors
    /// As for [`exchange`](Self::exchange).
    pub fn exchange_with(
        &mut self,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<(RecordBatch, Metadata), CallError> {
        let exchange = self.shape(StreamKind::Exchange);
        self.expect_kind(exchange)?;
        let schema = self.client.encoded(&batch.schema())?;
        let sent = self.client.channel.send(&schema, batch, metadata);
        let answer = self.answer(sent).map_err(|error| self.explain(exchange, error))?;
        answer.ok_or_else(|| {
            RpcError::new("ProtocolError", "the server ended the exchange without an answer").into()
        })
    }

    /// Ends the stream in good order.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn close(mut self) -> Result<(), CallError> {
        self.end(|channel| channel.end())
    }

    /// Gives the stream up: the server stops without another turn.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn cancel(mut self) -> Result<(), CallError> {
        self.end(|channel| channel.cancel())
    }

    fn shape(&self, kind: StreamKind) -> CallShape {
        CallShape::stream(kind, self.header.is_some())
    }

    /// Ends the stream if it is known to be of the other kind.
    fn expect_kind(&mut self, called: CallShape) -> Result<(), CallError> {
        if !self.open {
            return Ok(());
        }
        let expected = self.client.expect_kind(&self.remote.method(&self.name), called);
        if expected.is_err() {
            self.end(|channel| channel.end())?;
        }
        expected
    }

    /// Looks whether a turn failed because the stream is of the other kind.
    fn explain(&mut self, called: CallShape, error: CallError) -> CallError {
        // A producer over HTTP gives batches unasked, which leave no room for one to be sent.
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
        how(&mut *self.client.channel)?;
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
        // A connection that fails here says so at the next call.
        let _ = self.end(|channel| channel.end());
    }
}
