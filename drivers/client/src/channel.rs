//! The trait [`Channel`]: what carries the calls of a client, one at a time.

use crate::error::{CallError, TransportError};
use crate::external::External;
use arrow_array::RecordBatch;
use std::fmt;
use std::io;
use std::time::Duration;
use vgi_rpc_protocol::CommandError;
use vgi_rpc_protocol::client::{Call, Event, ResumeToken};
use vgi_rpc_protocol::effect::UploadUrl;
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_shm::ShmClient;

/// Carries one call at a time to a server, and the events of its answer back.
///
/// A call is [`call`](Self::call), then events until [`Event::Finished`]. On a stream, each output is asked for by one
/// [`tick`](Self::tick) or [`send`](Self::send), and [`end`](Self::end) or [`cancel`](Self::cancel) leave it early:
/// nothing but logs comes before the [`Event::Finished`] then. A call that a method here failed with anything but
/// [`CallError::Command`] is over, and so is its stream.
pub trait Channel: fmt::Debug + Send {
    /// Has batches that lie elsewhere fetched, from the next call on, while events are waited for. Without it, and by
    /// default, their pointers are outputs.
    fn set_external(&mut self, external: External) {
        let _ = external;
    }

    /// Shares memory with the server from the next call on, if that can. By default memory is not shared.
    fn share_memory(&mut self, shared_memory: ShmClient) {
        let _ = shared_memory;
    }

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

    /// Where the server refuses calls of the wrong kind: whether such a refusal may look like this failure. Default false.
    fn may_be_wrong_kind(&self, _error: &TransportError) -> bool {
        false
    }

    /// What resumes the open stream later, after the outputs that were taken. `None` where a stream ends with its
    /// connection, as on a connection of bytes, and by default.
    fn resume_token(&self) -> Option<ResumeToken> {
        None
    }

    /// Opens the stream of an earlier call where the token says; its header does not come again.
    ///
    /// # Errors
    /// See [`CallError`]; by default streams cannot be resumed.
    fn resume(&mut self, call: &Call<'_>, token: &ResumeToken) -> Result<(), CallError> {
        let _ = (call, token);
        Err(CommandError::Misuse { command: "resume", when: "over HTTP" }.into())
    }

    /// Asks for URLs to upload to, between calls.
    ///
    /// # Errors
    /// See [`CallError`]. The default never fails.
    fn upload_urls(&mut self, count: u8) -> Result<Vec<UploadUrl>, CallError> {
        let _ = count;
        Err(CommandError::Misuse { command: "upload_urls", when: "over HTTP" }.into())
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

    /// Returns how long the server asked to wait before the last call is made again, where the transport says so and not the
    /// error. Default `None`.
    fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// Returns how many ticks may be sent ahead of the one whose batch is read next. Default 0: each waits for its answer.
    fn max_ticks_ahead(&self) -> usize {
        0
    }

    /// Closes the channel. A process is waited for.
    ///
    /// # Errors
    /// When it cannot be closed in good order.
    fn close(&mut self) -> io::Result<()>;
}
