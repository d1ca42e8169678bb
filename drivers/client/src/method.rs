//! What is called: a protocol on the other side, and its methods.

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
        Method { remote: self, name, header: false, metadata: Metadata::new() }
    }
}

/// A method of a [`Remote`].
#[derive(Clone, Debug)]
pub struct Method<'a> {
    pub(crate) remote: &'a Remote,
    pub(crate) name: &'a str,
    pub(crate) header: bool,
    pub(crate) metadata: Metadata,
}

impl Method<'_> {
    /// Says that the stream begins with a header.
    pub fn with_header(mut self) -> Self {
        self.header = true;
        self
    }

    /// Adds metadata to the request, such as a trace context.
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }
}
