//! The connection of a byte stream as the [`Carrier`] of its calls.

use crate::CommandError;
use crate::ipc::{EncodedSchema, Metadata};
use crate::server::{Connection, InputStream};
use crate::service::call::{Blame, Carrier};
use crate::service::invocation::OpenStream;
use crate::wire::error::RpcError;
use crate::wire::log::LogMessage;
use arrow_array::RecordBatch;

/// A byte stream sends a call's output as it is. The call's output is in an order that the connection accepts, so only a batch
/// that cannot be encoded is refused.
impl Carrier for Connection {
    fn log(&mut self, log: &LogMessage) {
        Self::log(self, log);
    }

    fn leave_out(&mut self, count: u64) {
        self.leave_out_logs(count);
    }

    fn log_metadata(&self, log: &LogMessage) -> Metadata {
        Self::log_metadata(self, log)
    }

    fn result(
        &mut self,
        schema: &EncodedSchema,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<(), RpcError> {
        self.respond(schema, batch, metadata).map_err(|error| unsendable("the result", error))
    }

    fn refuse(&mut self, _: Blame, schema: &EncodedSchema, input: InputStream, error: &RpcError) {
        let refused = Self::refuse(self, schema, error, input);
        debug_assert!(refused.is_ok(), "a request waits for its answer");
    }

    fn header(
        &mut self,
        schema: &EncodedSchema,
        header: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<(), RpcError> {
        self.send_header(schema, header, metadata).map_err(|error| unsendable("the header", error))
    }

    fn open(&mut self, stream: &OpenStream) -> Result<(), RpcError> {
        self.open_stream(&stream.output).map_err(|error| unsendable("the stream's schema", error))
    }

    fn emit(&mut self, batch: &RecordBatch, metadata: &Metadata) -> Result<(), RpcError> {
        Self::emit(self, batch, metadata).map_err(|error| unsendable("the emitted batch", error))
    }

    fn is_open(&self) -> bool {
        self.expect_stream("").is_ok()
    }

    fn fail(&mut self, _: Blame, error: &RpcError) {
        let failed = Self::fail(self, error);
        debug_assert!(failed.is_ok(), "a stream is open");
    }

    fn end(&mut self) {
        let finished = self.finish();
        debug_assert!(finished.is_ok(), "a stream is open");
    }
}

/// Returns the error of a call whose output cannot be sent.
fn unsendable(what: &str, error: CommandError) -> RpcError {
    match error {
        CommandError::Encode(error) => RpcError::unsendable(what, error.into()),
        CommandError::OverBudget(error) => error.into(),
        misuse @ CommandError::Misuse { .. } => {
            debug_assert!(false, "{misuse}");
            RpcError::runtime_error(misuse.to_string())
        }
    }
}
