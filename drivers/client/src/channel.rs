//! The trait [`Channel`]: carries a client's calls, one at a time.

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

/// Carries one call at a time to a server, and returns the events of its answer.
///
/// A call consists of [`call`](Self::call), then events until [`Event::Finished`]. On a stream, one [`tick`](Self::tick) or
/// [`send`](Self::send) requests each output. [`end`](Self::end) or [`cancel`](Self::cancel) ends it early: then only logs
/// precede [`Event::Finished`]. If a method here returns an error other than [`CallError::Command`], the call, and its stream,
/// has ended.
pub trait Channel: fmt::Debug + Send {
    /// Fetches external batches while events are awaited, from the next call on. Otherwise, and by default, their pointers are
    /// returned as outputs.
    fn set_external(&mut self, external: External) {
        let _ = external;
    }

    /// Shares memory with the server from the next call on, if the transport and the server support it. By default memory is not
    /// shared.
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

    /// Requests the next batch from the producer of the open stream.
    ///
    /// # Errors
    /// See [`CallError`].
    fn tick(&mut self, metadata: &Metadata) -> Result<(), CallError>;

    /// Ends the open stream normally.
    ///
    /// # Errors
    /// See [`CallError`].
    fn end(&mut self) -> Result<(), CallError>;

    /// Cancels the open stream: the server stops without another turn.
    ///
    /// # Errors
    /// See [`CallError`].
    fn cancel(&mut self) -> Result<(), CallError>;

    /// Returns whether the server refuses a call of the wrong kind, as over HTTP, where each kind has its own path. On a byte
    /// stream the server would instead wait for more input, or send more than is read; there, and by default, a client checks the
    /// kind before a call.
    fn refuses_wrong_kinds(&self) -> bool {
        false
    }

    /// Returns whether this failure may be the refusal of a call of the wrong kind. Default false.
    fn may_be_wrong_kind(&self, _error: &TransportError) -> bool {
        false
    }

    /// Returns a token that resumes the open stream later, after the outputs returned so far. `None` if a stream ends with its
    /// connection, as on a byte stream, and by default.
    fn resume_token(&self) -> Option<ResumeToken> {
        None
    }

    /// Reopens the stream of an earlier call at the position of the token; its header is not sent again.
    ///
    /// # Errors
    /// See [`CallError`]; by default streams cannot be resumed.
    fn resume(&mut self, call: &Call<'_>, token: &ResumeToken) -> Result<(), CallError> {
        let _ = (call, token);
        Err(CommandError::Misuse { command: "resume", when: "over HTTP" }.into())
    }

    /// Requests URLs for uploads, between calls.
    ///
    /// # Errors
    /// See [`CallError`]. The default never fails.
    fn upload_urls(&mut self, count: u8) -> Result<Vec<UploadUrl>, CallError> {
        let _ = count;
        Err(CommandError::Misuse { command: "upload_urls", when: "over HTTP" }.into())
    }

    /// Waits for the next event and returns it.
    ///
    /// # Errors
    /// See [`CallError`].
    fn next_event(&mut self) -> Result<Event, CallError>;

    /// Sends the output that remains after a call has finished.
    ///
    /// # Errors
    /// See [`CallError`].
    fn flush(&mut self) -> Result<(), CallError>;

    /// Returns how long the server asks to wait before the last call is retried, if the transport and not the error has this.
    /// Default `None`.
    fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// Returns how many ticks may be sent ahead of the one whose batch is read next. Default 0: each tick waits for its answer.
    fn max_ticks_ahead(&self) -> usize {
        0
    }

    /// Closes the channel. Waits for a worker process.
    ///
    /// # Errors
    /// If it cannot be closed properly.
    fn close(&mut self) -> io::Result<()>;
}
