//! What carries a call's output to its client: a byte stream's connection, or the body of an HTTP response.

use crate::ipc::{EncodedSchema, Metadata};
use crate::server::InputStream;
use crate::service::work::OpenStream;
use crate::wire::error::RpcError;
use crate::wire::log::LogMessage;
use arrow_array::RecordBatch;

/// Whose doing a call's error is, which a carrier with statuses tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The request's: no handler has seen it.
    Request,
    /// The memory budget has no room for the request. No handler has seen it.
    Memory,
    /// The handler's, or the server's.
    Handler,
}

/// Takes a call's output, in this order: logs; one result, or a header and a stream of batches; an error instead of any
/// of it. An output that cannot be sent gives the error that is to be sent in its place.
pub(crate) trait Carrier {
    /// Whether a stream stays in the machine between its turns. Otherwise its client carries it: a call is over with each
    /// turn, a producer takes its first turn when it is opened, and one that cannot be resumed takes all of its turns
    /// then.
    const KEEPS_STREAMS: bool = true;

    /// Takes a log.
    fn log(&mut self, log: &LogMessage);

    /// So many logs were left out, which is said ahead of whatever follows the logs that were not.
    fn leave_out(&mut self, count: u64);

    /// The metadata that a log has as a batch.
    fn log_metadata(&self, log: &LogMessage) -> Metadata;

    /// Whether a batch and logs, if they were given next, would make the output larger than the client takes.
    fn overflows<'l>(
        &self,
        _batch: (&EncodedSchema, &RecordBatch, &Metadata),
        _logs: impl Iterator<Item = &'l LogMessage>,
    ) -> bool {
        false
    }

    /// Takes the answer to a unary call, which is over.
    fn result(
        &mut self,
        schema: &EncodedSchema,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<(), RpcError>;

    /// Answers a call with an error, in place of a result, a header or a stream.
    fn refuse(&mut self, blame: Blame, schema: &EncodedSchema, input: InputStream, error: &RpcError);

    /// A stream is about to be opened.
    fn prepare(&mut self, _stream: &OpenStream) -> Result<(), RpcError> {
        Ok(())
    }

    /// Takes the header of a stream.
    fn header(
        &mut self,
        schema: &EncodedSchema,
        header: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<(), RpcError>;

    /// Opens a stream.
    fn open(&mut self, stream: &OpenStream) -> Result<(), RpcError>;

    /// A turn is about to be answered after which the stream goes on.
    fn save(&mut self, _stream: &OpenStream) -> Result<(), RpcError> {
        Ok(())
    }

    /// Adds to the metadata of the batch that is about to be given, which may be stored elsewhere before it is.
    fn stamp(&mut self, _metadata: &mut Metadata) {}

    /// Whether the batches of the open stream are gathered, and given as one at its end.
    fn is_gathering(&self) -> bool {
        false
    }

    /// Takes out what was gathered of the open stream, which has given its last batch.
    fn gathered(&mut self) -> Result<Option<(RecordBatch, Metadata)>, RpcError> {
        Ok(None)
    }

    /// Takes one batch of the open stream.
    fn emit(&mut self, batch: &RecordBatch, metadata: &Metadata) -> Result<(), RpcError>;

    /// All output of a turn after which the stream goes on was given.
    fn turn_ended(&mut self) {}

    /// Whether a stream was opened and not ended.
    fn is_open(&self) -> bool;

    /// Ends the open stream with an error.
    fn fail(&mut self, blame: Blame, error: &RpcError);

    /// Ends the open stream.
    fn end(&mut self);
}
