//! Writes the streams of a response: logs, batches and errors, each with the ids that correlate it with its call.

use crate::ipc::{BatchEncoder, EncodeError, EncodedSchema, Metadata, Outbox};
use crate::memory::Account;
#[cfg(feature = "http")]
use crate::memory::Reservation;
use crate::wire::error::{ErrorContext, RpcError};
use crate::wire::log::{FEW_LOG_BYTES, LogMessage};
use arrow_array::RecordBatch;
#[cfg(feature = "http")]
use bytes::Bytes;
use std::sync::Arc;

/// Errors up to this size are written even if the budget is used up.
const SHORT_BYTES: usize = 4 << 10;

/// Writes one response after another. The owner decides which streams a response has, and in what order.
#[derive(Debug)]
pub(crate) struct ResponseWriter {
    server_id: Arc<str>,
    include_tracebacks: bool,
    encoder: BatchEncoder,
    pub(crate) outbox: Outbox,
    /// The id that correlates the current call's logs and errors.
    pub(crate) request_id: String,
    /// The current call's protocol and method, for its traceback.
    origin: (String, String),
    /// The logs that wait for a stream to open, and their size.
    logs: Vec<Metadata>,
    waiting_log_bytes: usize,
    /// The size of the logs since the output was last sent completely.
    unsent_log_bytes: usize,
    /// The number of logs in the output since it was last taken, and the number that it reports as left out.
    logs_written: u64,
    told_left_out: u64,
    /// The number of logs that were left out and not reported to the client yet.
    left_out: u64,
}

impl ResponseWriter {
    pub(crate) fn new(server_id: Arc<str>, include_tracebacks: bool, account: &Account) -> Self {
        Self {
            server_id,
            include_tracebacks,
            encoder: BatchEncoder::default(),
            outbox: Outbox::with_account(account),
            request_id: String::new(),
            origin: Default::default(),
            logs: Vec::new(),
            waiting_log_bytes: 0,
            unsent_log_bytes: 0,
            logs_written: 0,
            told_left_out: 0,
            left_out: 0,
        }
    }

    /// Returns the writer with its output reserved in this account. Nothing has been written yet.
    #[cfg(feature = "http")]
    pub(crate) fn with_account(mut self, account: &Account) -> Self {
        self.outbox = Outbox::with_account(account);
        self.unsent_log_bytes = 0;
        self
    }

    /// Clears the state of the previous call.
    pub(crate) fn forget_call(&mut self) {
        self.request_id.clear();
        self.origin.0.clear();
        self.origin.1.clear();
        self.logs.clear();
        self.waiting_log_bytes = 0;
        (self.logs_written, self.told_left_out, self.left_out) = (0, 0, 0);
    }

    pub(crate) fn set_origin(&mut self, protocol: &str, method: &str) {
        let (own_protocol, own_method) = &mut self.origin;
        own_protocol.clear();
        own_protocol.push_str(protocol);
        own_method.clear();
        own_method.push_str(method);
    }

    /// Returns whether a stream is open.
    pub(crate) fn is_open(&self) -> bool {
        self.encoder.schema().is_some()
    }

    /// Writes a log on the open stream, or keeps it for the next one.
    pub(crate) fn log(&mut self, message: &LogMessage) {
        let metadata = self.log_metadata(message);
        if self.is_open() {
            return self.write_log(&metadata);
        }
        let bytes = self.encoder.empty_bytes(&metadata);
        if self.reserve_log(bytes) {
            self.waiting_log_bytes += bytes;
            self.logs.push(metadata);
        }
    }

    /// Returns the metadata of a log's batch.
    pub(crate) fn log_metadata(&self, message: &LogMessage) -> Metadata {
        message.to_metadata(&self.server_id, self.request_id())
    }

    /// Returns about how much memory the logs use that wait for a stream to open.
    #[cfg(feature = "http")]
    pub(crate) fn waiting_log_bytes(&self) -> usize {
        self.waiting_log_bytes
    }

    /// Counts logs that were left out before they were passed to the writer.
    pub(crate) fn leave_out(&mut self, count: u64) {
        self.left_out += count;
    }

    /// Removes all output if it contains logs, which then count as left out. Returns false if it contains none.
    #[cfg(feature = "http")]
    pub(crate) fn take_back_logs(&mut self) -> bool {
        let has_logs = self.logs_written > 0;
        if has_logs {
            self.left_out += self.logs_written + self.told_left_out;
            drop(self.take_segments());
        }
        has_logs
    }

    fn write_log(&mut self, metadata: &Metadata) {
        if self.reserve_log(self.encoder.empty_bytes(metadata)) {
            self.logs_written += 1;
            self.write_empty(metadata);
        }
    }

    /// Reserves room for a log. If there is none, the log is left out: it must not fail the call.
    fn reserve_log(&mut self, bytes: usize) -> bool {
        if self.outbox.is_empty() {
            self.unsent_log_bytes = self.waiting_log_bytes;
        }
        let (sum, needed) = (self.unsent_log_bytes + bytes, self.waiting_log_bytes + bytes);
        let fits = self.outbox.reserve_spare(needed, sum <= FEW_LOG_BYTES);
        if fits {
            self.unsent_log_bytes = sum;
        } else {
            self.left_out += 1;
        }
        fits
    }

    /// Writes to the open stream how many logs were left out. This is at most one short log per batch, and is never refused.
    fn tell_left_out(&mut self) {
        if self.left_out > 0 && self.is_open() {
            let count = std::mem::take(&mut self.left_out);
            self.told_left_out += count;
            let message = LogMessage::of_left_out(count);
            self.write_empty(&message.to_metadata(&self.server_id, self.request_id()));
        }
    }

    /// Opens a stream and writes the logs that waited for it.
    pub(crate) fn open(&mut self, schema: &EncodedSchema) {
        self.encoder.open(schema, &mut self.outbox);
        if self.logs.is_empty() {
            return;
        }
        // They are counted again when they are written: the size of an empty batch depends on the schema.
        self.unsent_log_bytes -= std::mem::take(&mut self.waiting_log_bytes).min(self.unsent_log_bytes);
        for log in std::mem::take(&mut self.logs) {
            self.write_log(&log);
        }
    }

    /// Writes one batch on the open stream.
    pub(crate) fn write(&mut self, batch: &RecordBatch, metadata: &Metadata) -> Result<(), EncodeError> {
        self.tell_left_out();
        self.encoder.write(batch, metadata, &mut self.outbox)
    }

    /// Writes metadata on the open stream as a message without rows.
    pub(crate) fn write_empty(&mut self, metadata: &Metadata) {
        // An empty batch of the open stream's own schema is always encodable.
        let _ = self.encoder.write_empty(metadata, &mut self.outbox);
    }

    /// Writes an error on the open stream.
    pub(crate) fn write_error(&mut self, error: &RpcError) {
        self.tell_left_out();
        let (protocol, method) = (&self.origin.0, &self.origin.1);
        let context = ErrorContext {
            server_id: &self.server_id,
            request_id: (!self.request_id.is_empty()).then_some(self.request_id.as_str()),
            origin: (!method.is_empty()).then_some((protocol, method)),
            include_traceback: self.include_tracebacks,
        };
        let metadata = error.to_metadata(&context);
        // A text that exceeds the budget is left out. Its replacement is counted, and not refused.
        let metadata = match self.outbox.reserve(metadata.bytes_len()) {
            Err(over) if metadata.bytes_len() > SHORT_BYTES => RpcError::from(over).to_metadata(&context),
            _ => metadata,
        };
        self.write_empty(&metadata);
    }

    /// Ends the open stream. Does nothing if none is open.
    pub(crate) fn close(&mut self) {
        self.tell_left_out();
        self.encoder.close(&mut self.outbox);
    }

    /// Writes the schema, waiting logs, one batch and the end. If a stream of this schema is open already, writes the batch and
    /// the end.
    pub(crate) fn whole_stream(
        &mut self,
        schema: &EncodedSchema,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<(), EncodeError> {
        if self.is_open() {
            self.write(batch, metadata)?;
        } else {
            schema.check(batch)?;
            self.open(schema);
            self.tell_left_out();
            self.encoder.write_checked(batch, metadata, &mut self.outbox)?;
        }
        self.close();
        Ok(())
    }

    /// Ends the open response stream with an error. Opens one on `schema` if none is open.
    pub(crate) fn error_stream(&mut self, schema: &EncodedSchema, error: &RpcError) {
        // A response whose batch could not be encoded has already opened its stream.
        if !self.is_open() {
            self.open(schema);
        }
        self.write_error(error);
        self.close();
    }

    /// Takes all output as a gather list with its reservation.
    #[cfg(feature = "http")]
    pub(crate) fn take_segments(&mut self) -> (Vec<Bytes>, Reservation) {
        (self.unsent_log_bytes, self.logs_written, self.told_left_out) = (0, 0, 0);
        self.outbox.take_segments()
    }

    fn request_id(&self) -> Option<&str> {
        (!self.request_id.is_empty()).then_some(self.request_id.as_str())
    }
}
