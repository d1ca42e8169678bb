//! [`Remote`] and [`Method`]: a protocol of the server, and the methods that are called.

use vgi_rpc_protocol::client::{Call, CallKind};
use vgi_rpc_protocol::ipc::Metadata;

/// A protocol on the other side: its name, and the version the caller was written for.
#[derive(Clone, Debug)]
pub struct Remote {
    pub(crate) protocol: String,
    pub(crate) version: Option<String>,
}

impl Remote {
    /// A protocol by its wire name.
    pub fn new(protocol: impl Into<String>) -> Self {
        Self { protocol: protocol.into(), version: None }
    }

    /// Names the version, which a protocol that declares one requires.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// One of its methods.
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
    /// Whether it may be repeated, if the caller says so.
    pub(crate) idempotent: Option<bool>,
    pub(crate) metadata: Metadata,
}

impl Method<'_> {
    /// Says that the stream begins with a header.
    pub fn with_header(mut self) -> Self {
        self.header = true;
        self
    }

    /// Says whether repeating a call has the effect of one call: what [retries](crate::RetryPolicy) ask. Unless this says it,
    /// the server's reflection is asked.
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.idempotent = Some(idempotent);
        self
    }

    /// Adds metadata to the request, such as a trace context, or all of the request that an intermediary passes on.
    ///
    /// Every entry is sent as it is, with these exceptions: the client names the protocol, the method, the version of the
    /// request framing, and the version of the protocol if the [`Remote`] has one. It adds an id for the request if
    /// there is none here.
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// A call of this method.
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
