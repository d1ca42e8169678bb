//! The calls that a client's connection makes, and the events that it reports.

use crate::ipc::Metadata;
use crate::wire::error::RpcError;
use crate::wire::keys;
use crate::wire::log::LogMessage;
use arrow_array::RecordBatch;

/// A call: its target, its metadata, and the kind of its response.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// Wire name of the protocol.
    pub protocol: &'a str,
    /// Name of the method.
    pub method: &'a str,
    /// The protocol's declared version, if it declares one.
    pub protocol_version: Option<&'a str>,
    /// Correlates the call with the server's logs and errors.
    pub request_id: Option<&'a str>,
    /// Unary, or a stream with or without a header.
    pub kind: CallKind,
    /// Further metadata of the request. The fields above take precedence.
    pub metadata: Metadata,
}

impl Call<'_> {
    /// Returns the metadata of the request.
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

/// The kind of a call's response. It must match the server's declaration of the method: see [`Connection`](super::Connection).
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

/// Something that the server sent.
#[derive(Debug)]
pub enum Event {
    /// A log.
    Log(LogMessage),
    /// The stream's header.
    Header(RecordBatch, Metadata),
    /// The result of a unary call, or one batch of a stream.
    ///
    /// A batch without rows may be a pointer to external data, unless the connection [fetches](super::Connection::fetch_external)
    /// such data: see [`crate::wire::classify`].
    Output(RecordBatch, Metadata),
    /// The call failed, on the server or because its response was not acceptable. The caller gets nothing more of it.
    Failed(RpcError),
    /// The call is over and the connection is free.
    Finished,
}
