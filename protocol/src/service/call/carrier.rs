//! The [`Carrier`] trait, which sends a call's output to its client: over a byte stream's connection, or in the body of an HTTP
//! response.

use crate::ipc::{EncodedSchema, Metadata};
use crate::server::InputStream;
use crate::service::invocation::OpenStream;
use crate::wire::error::RpcError;
use crate::wire::log::LogMessage;
use arrow_array::RecordBatch;

/// Who caused a call's error. HTTP chooses the status by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The request. No handler has seen it.
    Request,
    /// The memory budget has no room for the request. No handler has seen it.
    Memory,
    /// The handler or the server.
    Handler,
}

/// Receives a call's output in this order: logs; one result, or a header and a stream of batches; or an error in place of any of
/// these. If an output cannot be sent, the carrier returns the error to send instead.
pub(crate) trait Carrier {
    /// Whether the server keeps a stream's state between turns. Otherwise the client carries the state: each turn is a call of
    /// its own, a producer takes its first turn when it is opened, and a producer that cannot be resumed takes all of its turns
    /// then.
    const KEEPS_STREAMS: bool = true;

    /// Sends a log.
    fn log(&mut self, log: &LogMessage);

    /// Reports that `count` logs were left out. This is sent before the output that follows the remaining logs.
    fn leave_out(&mut self, count: u64);

    /// Returns the metadata of a log's batch.
    fn log_metadata(&self, log: &LogMessage) -> Metadata;

    /// Returns whether sending this batch and these logs next would make the output larger than the client accepts.
    fn overflows<'l>(
        &self,
        _batch: (&EncodedSchema, &RecordBatch, &Metadata),
        _logs: impl Iterator<Item = &'l LogMessage>,
    ) -> bool {
        false
    }

    /// Sends the response to a unary call and ends the call.
    fn result(
        &mut self,
        schema: &EncodedSchema,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<(), RpcError>;

    /// Responds to a call with an error in place of a result, a header or a stream.
    fn refuse(&mut self, blame: Blame, schema: &EncodedSchema, input: InputStream, error: &RpcError);

    /// Prepares to open a stream.
    fn prepare(&mut self, _stream: &OpenStream) -> Result<(), RpcError> {
        Ok(())
    }

    /// Sends the header of a stream.
    fn header(
        &mut self,
        schema: &EncodedSchema,
        header: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<(), RpcError>;

    /// Opens a stream.
    fn open(&mut self, stream: &OpenStream) -> Result<(), RpcError>;

    /// Saves the stream before the response of a turn after which it continues.
    fn save(&mut self, _stream: &OpenStream) -> Result<(), RpcError> {
        Ok(())
    }

    /// Adds to the metadata of the next batch, before the batch is sent or stored externally.
    fn stamp(&mut self, _metadata: &mut Metadata) {}

    /// Returns whether the batches of the open stream are collected and sent as one at its end.
    fn is_gathering(&self) -> bool {
        false
    }

    /// Takes the collected batches of the open stream, which has emitted its last one.
    fn gathered(&mut self) -> Result<Option<(RecordBatch, Metadata)>, RpcError> {
        Ok(None)
    }

    /// Sends one batch of the open stream.
    fn emit(&mut self, batch: &RecordBatch, metadata: &Metadata) -> Result<(), RpcError>;

    /// Called after all output of a turn is sent, if the stream continues.
    fn turn_ended(&mut self) {}

    /// Returns whether a stream is open.
    fn is_open(&self) -> bool;

    /// Ends the open stream with an error.
    fn fail(&mut self, blame: Blame, error: &RpcError);

    /// Ends the open stream.
    fn end(&mut self);
}
