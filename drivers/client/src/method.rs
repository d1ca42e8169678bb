//! [`Remote`] and [`Method`]: a server's protocol and its methods.

use vgi_rpc_protocol::client::{Call, CallKind};
use vgi_rpc_protocol::ipc::Metadata;

/// A protocol of the server: its name, and the version for which the caller was written.
#[derive(Clone, Debug)]
pub struct Remote {
    pub(crate) protocol: String,
    pub(crate) version: Option<String>,
}

impl Remote {
    /// Creates a protocol by its wire name.
    pub fn new(protocol: impl Into<String>) -> Self {
        Self { protocol: protocol.into(), version: None }
    }

    /// Sets the version, which is required by a protocol that declares one.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Returns one of its methods.
    pub fn method<'a>(&'a self, name: &'a str) -> Method<'a> {
        Method { remote: self, name, header: false, idempotent: None, metadata: Metadata::new() }
    }
}

/// A method of a [`Remote`].
#[derive(Clone, Debug)]
pub struct Method<'a> {
    pub(crate) remote: &'a Remote,
    pub(crate) name: &'a str,
    pub(crate) header: bool,
    /// Whether the caller has declared it idempotent or not.
    pub(crate) idempotent: Option<bool>,
    pub(crate) metadata: Metadata,
}

impl Method<'_> {
    /// Declares that the stream begins with a header.
    pub fn with_header(mut self) -> Self {
        self.header = true;
        self
    }

    /// Declares whether repeating a call has the effect of one call, which matters for [retries](crate::RetryPolicy). If not set,
    /// the server's reflection is queried.
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.idempotent = Some(idempotent);
        self
    }

    /// Adds metadata to the request, such as a trace context, or all metadata of a request that an intermediary forwards.
    ///
    /// Every entry is sent unchanged, with these exceptions: the client sets the protocol, the method, the version of the request
    /// framing, and the version of the protocol if the [`Remote`] has one. It adds a request id if there is none.
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// Returns a call of this method.
    pub(crate) fn call<'a>(&'a self, kind: CallKind, request_id: &'a str) -> Call<'a> {
        Call {
            protocol: &self.remote.protocol,
            method: self.name,
            protocol_version: self.remote.version.as_deref(),
            request_id: Some(request_id),
            kind,
            metadata: self.metadata.clone(),
        }
    }
}
