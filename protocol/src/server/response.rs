//! Writing the streams of a response: logs, batches and errors, each with what correlates it with its call.

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

/// Errors of so few bytes are written whatever the budget has left.
const SHORT_BYTES: usize = 4 << 10;

/// Writes one response after another. Which streams a response has, and in what order, is its owner's business.
#[derive(Debug)]
pub(crate) struct ResponseWriter {
    server_id: Arc<str>,
    include_tracebacks: bool,
    encoder: BatchEncoder,
    pub(crate) outbox: Outbox,
    /// Correlates the current call's logs and errors.
    pub(crate) request_id: String,
    /// Where the current call went, for its traceback: protocol and method.
    origin: (String, String),
    /// Logs that wait for a stream to open, and their bytes.
    logs: Vec<Metadata>,
    waiting_log_bytes: usize,
    /// Bytes of logs since the output was last all sent.
    unsent_log_bytes: usize,
    /// Logs in the output since it was last taken, and those that it says were left out.
    logs_written: u64,
    told_left_out: u64,
    /// Logs that found no room, which the client is yet to be told.
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

    /// The same with nothing written, whose output is reserved in this account.
    #[cfg(feature = "http")]
    pub(crate) fn with_account(mut self, account: &Account) -> Self {
        self.outbox = Outbox::with_account(account);
        self.unsent_log_bytes = 0;
        self
    }

    /// What follows belongs to no call that was answered before.
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

    /// True while a stream is open.
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

    /// The metadata that a log has as a batch.
    pub(crate) fn log_metadata(&self, message: &LogMessage) -> Metadata {
        message.to_metadata(&self.server_id, self.request_id())
    }

    /// About what the logs take that wait for a stream to open.
    #[cfg(feature = "http")]
    pub(crate) fn waiting_log_bytes(&self) -> usize {
        self.waiting_log_bytes
    }

    /// So many logs were left out before they came here.
    pub(crate) fn leave_out(&mut self, count: u64) {
        self.left_out += count;
    }

    /// Takes back all output if there are logs in it, which count as left out then. False if there are none.
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

    /// Reserves room for a log. If there is none, it is left out: that is no reason to lose the call.
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

    /// Says on the open stream how many logs were left out. That is one short log for each batch at most, and not refused.
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
        // They are counted again as they are written: what an empty batch takes depends on the schema.
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

    /// Writes metadata that is a message of its own on the open stream.
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
        // A long text beyond the budget is left out. What takes its place is counted, and not refused.
        let metadata = match self.outbox.reserve(metadata.bytes_len()) {
            Err(over) if metadata.bytes_len() > SHORT_BYTES => RpcError::from(over).to_metadata(&context),
            _ => metadata,
        };
        self.write_empty(&metadata);
    }

    /// Ends the open stream; does nothing when none is open.
    pub(crate) fn close(&mut self) {
        self.tell_left_out();
        self.encoder.close(&mut self.outbox);
    }

    /// Schema, waiting logs, one batch, end. If a stream of this schema is open already, its batch and end.
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

    /// Ends the response stream that is open with an error; opens one on `schema` if none is.
    pub(crate) fn error_stream(&mut self, schema: &EncodedSchema, error: &RpcError) {
        // A response whose batch turned out not to be encodable has its stream open already.
        if !self.is_open() {
            self.open(schema);
        }
        self.write_error(error);
        self.close();
    }

    /// Takes all that was written, as a gather list with its reservation.
    #[cfg(feature = "http")]
    pub(crate) fn take_segments(&mut self) -> (Vec<Bytes>, Reservation) {
        (self.unsent_log_bytes, self.logs_written, self.told_left_out) = (0, 0, 0);
        self.outbox.take_segments()
    }

    fn request_id(&self) -> Option<&str> {
        (!self.request_id.is_empty()).then_some(self.request_id.as_str())
    }
}
