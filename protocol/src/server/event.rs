//! The events of a server's connection.

use crate::ipc::Metadata;
use crate::wire::error::RpcError;
use crate::wire::request::Request;
use arrow_array::RecordBatch;

/// Something that the peer did.
#[derive(Debug)]
pub enum Event {
    /// A call. Answer it with `respond`, `refuse`, or `open_stream` and then turns.
    Request(Request),
    /// One batch of the open stream's input, or a producer's tick. Answer it with `emit`, `fail` or `finish`.
    Input(RecordBatch, Metadata),
    /// The client cancelled the open stream. Answer with `finish`, after releasing the stream's resources.
    Cancelled,
    /// The client's input has ended. Answer with `finish`.
    InputEnded,
    /// A message of the peer was not acceptable, and the connection has responded with this error. If a stream was open it is
    /// over.
    Refused(RpcError),
}

/// Whether the client of a refused call may already have begun to send input for it.
///
/// A client that called the method as a stream sends an input stream, if only an empty one, even after it has read the error. The
/// connection skips such a stream, and tells it from a request by its metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputStream {
    /// The method is known to be unary: the next stream is a request.
    None,
    /// The method is a stream, or unknown: the next stream may be abandoned input.
    Possible,
}
