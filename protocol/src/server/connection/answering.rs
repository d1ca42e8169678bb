//! From commands to frames: response streams, errors, and what waits for a stream to open.

use super::{Connection, Incoming, State};
use crate::CommandError;
use crate::ipc::{EncodedSchema, Metadata};
use crate::server::event::InputStream;
use crate::wire::error::{ErrorContext, RpcError};
use arrow_array::RecordBatch;

impl Connection {
    pub(super) fn open(&mut self, schema: &EncodedSchema) {
        self.encoder.open(schema, &mut self.outbox);
        for log in std::mem::take(&mut self.logs) {
            // Writing an empty batch of the schema just opened cannot fail.
            let _ = self.encoder.write_empty(&log, &mut self.outbox);
        }
    }

    /// Schema, waiting logs, one batch, end.
    pub(super) fn whole_stream(
        &mut self,
        schema: &EncodedSchema,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<(), arrow_schema::ArrowError> {
        schema.check(batch)?;
        self.open(schema);
        self.encoder.write(batch, metadata, &mut self.outbox)?;
        self.encoder.close(&mut self.outbox);
        Ok(())
    }

    /// Ends the response stream that is open with an error; opens one on `schema` if none is.
    pub(super) fn write_error_stream(&mut self, schema: &EncodedSchema, error: &RpcError) {
        // A response whose batch turned out not to be encodable has its stream open already.
        if self.encoder.schema().is_none() {
            self.open(schema);
        }
        self.write_error(error);
        self.encoder.close(&mut self.outbox);
    }

    pub(super) fn write_error(&mut self, error: &RpcError) {
        let (protocol, method) = (&self.origin.0, &self.origin.1);
        let metadata = error.to_metadata(&ErrorContext {
            server_id: &self.config.server_id,
            request_id: (!self.request_id.is_empty()).then_some(self.request_id.as_str()),
            origin: (!method.is_empty()).then_some((protocol, method)),
            include_traceback: self.config.include_tracebacks,
        });
        // Writing an empty batch on an open stream cannot fail.
        let _ = self.encoder.write_empty(&metadata, &mut self.outbox);
    }

    pub(super) fn close_output(&mut self) {
        self.encoder.close(&mut self.outbox);
        if matches!(self.state, State::Turn { ended: true, .. }) {
            self.state = Incoming::after(InputStream::None);
        } else {
            self.reader.skip_stream();
            self.state = State::Draining;
        }
    }

    pub(crate) fn expect_answering(&self, command: &'static str) -> Result<(), CommandError> {
        match self.state {
            State::Answering if self.error.is_none() => Ok(()),
            _ => Err(CommandError::Misuse { command, when: "while a request waits for its answer" }),
        }
    }

    pub(crate) fn expect_stream(&self, command: &'static str) -> Result<(), CommandError> {
        match self.state {
            State::Streaming | State::Turn { .. } if self.error.is_none() => Ok(()),
            _ => Err(CommandError::Misuse { command, when: "on an open stream" }),
        }
    }
}
