//! Writing the streams of a response: logs, batches and errors, each with what correlates it with its call.

use crate::ipc::{BatchEncoder, EncodeError, EncodedSchema, Metadata, Outbox};
use crate::memory::{Account, Reservation};
use crate::wire::error::{ErrorContext, RpcError};
use crate::wire::log::LogMessage;
use arrow_array::RecordBatch;
use bytes::Bytes;
use std::sync::Arc;

/// Logs and errors of so few bytes are written whatever the budget has left.
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
    /// Logs that wait for a stream to open.
    logs: Vec<Metadata>,
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
        }
    }

    /// The same with nothing written, whose output is reserved in this account.
    pub(crate) fn with_account(mut self, account: &Account) -> Self {
        self.outbox = Outbox::with_account(account);
        self
    }

    /// What follows belongs to no call that was answered before.
    pub(crate) fn forget_call(&mut self) {
        self.request_id.clear();
        self.origin.0.clear();
        self.origin.1.clear();
        self.logs.clear();
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
        let metadata = message.to_metadata(&self.server_id, self.request_id());
        if metadata.bytes_len() > SHORT_BYTES && self.outbox.reserve(metadata.bytes_len()).is_err() {
            // A long log beyond the budget is no reason to lose the call.
            return;
        }
        if self.is_open() {
            self.write_empty(&metadata);
        } else {
            self.logs.push(metadata);
        }
    }

    /// Opens a stream and writes the logs that waited for it.
    pub(crate) fn open(&mut self, schema: &EncodedSchema) {
        self.encoder.open(schema, &mut self.outbox);
        for log in std::mem::take(&mut self.logs) {
            self.write_empty(&log);
        }
    }

    /// Writes one batch on the open stream.
    pub(crate) fn write(&mut self, batch: &RecordBatch, metadata: &Metadata) -> Result<(), EncodeError> {
        self.encoder.write(batch, metadata, &mut self.outbox)
    }

    /// Writes metadata that is a message of its own on the open stream.
    pub(crate) fn write_empty(&mut self, metadata: &Metadata) {
        // An empty batch of the open stream's own schema is always encodable.
        let _ = self.encoder.write_empty(metadata, &mut self.outbox);
    }

    /// Writes an error on the open stream.
    pub(crate) fn write_error(&mut self, error: &RpcError) {
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
        self.encoder.close(&mut self.outbox);
    }

    /// Schema, waiting logs, one batch, end. If a stream of this schema is open already, its batch and end.
    pub(crate) fn whole_stream(
        &mut self,
        schema: &EncodedSchema,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<(), EncodeError> {
        schema.check(batch)?;
        if !self.is_open() {
            self.open(schema);
        }
        self.write(batch, metadata)?;
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
    pub(crate) fn take_segments(&mut self) -> (Vec<Bytes>, Reservation) {
        let reservation = self.outbox.take_reservation();
        (std::iter::from_fn(|| self.outbox.pop_segment()).collect(), reservation)
    }

    fn request_id(&self) -> Option<&str> {
        (!self.request_id.is_empty()).then_some(self.request_id.as_str())
    }
}
