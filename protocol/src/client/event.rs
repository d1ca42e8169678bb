//! Input and output of a client's connection: calls, and the events that answer them.

use crate::ipc::Metadata;
use crate::wire::error::RpcError;
use crate::wire::keys;
use crate::wire::log::LogMessage;
use arrow_array::RecordBatch;

/// Where a call goes and what shape its answer has.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// Wire name of the protocol.
    pub protocol: &'a str,
    /// Name of the method.
    pub method: &'a str,
    /// The protocol's declared version, when it declares one.
    pub protocol_version: Option<&'a str>,
    /// Correlates the call with the server's logs and errors.
    pub request_id: Option<&'a str>,
    /// Unary, or a stream with or without a header.
    pub kind: CallKind,
    /// Further metadata of the request; the keys above win over it.
    pub metadata: Metadata,
}

impl Call<'_> {
    /// The metadata of the request.
    pub(crate) fn to_metadata(&self) -> Metadata {
        let mut metadata = self.metadata.clone();
        metadata.set(keys::METHOD, self.method);
        metadata.set(keys::REQUEST_VERSION, keys::REQUEST_VERSION_VALUE);
        metadata.set(keys::PROTOCOL, self.protocol);
        if let Some(version) = self.protocol_version {
            metadata.set(keys::PROTOCOL_VERSION, version);
        }
        if let Some(id) = self.request_id {
            metadata.set(keys::REQUEST_ID, id);
        }
        metadata
    }
}

/// What answers a call. It must be what the server declares the method to be: see
/// [`Connection`](super::Connection).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// One batch.
    Unary,
    /// A stream, preceded by a header if the method declares one.
    Stream {
        /// Whether the method declares a header.
        header: bool,
    },
}

/// Something that came from the server.
#[derive(Debug)]
pub enum Event {
    /// A log.
    Log(LogMessage),
    /// The stream's header.
    Header(RecordBatch, Metadata),
    /// The result of a unary call, or one batch of a stream.
    ///
    /// A batch without rows may be a pointer to where its data is, unless the connection has such data
    /// [fetched](super::Connection::fetch_external): see [`crate::wire::classify`].
    Output(RecordBatch, Metadata),
    /// The call failed, on the server or because its answer was not acceptable. It is over for the caller.
    Failed(RpcError),
    /// The call is over and the connection is free.
    Finished,
}
