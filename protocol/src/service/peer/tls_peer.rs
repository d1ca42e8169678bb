//! The client as the TLS handshake describes it.

use bytes::Bytes;
use std::fmt;

/// A connection's client, as its completed TLS handshake describes it.
///
/// ```
/// use vgi_rpc_protocol::service::TlsPeer;
///
/// let peer = TlsPeer::new(0x0304).with_certificates([&b"DER of the leaf"[..]]);
/// assert!(peer.certificates.first().is_some_and(|leaf| leaf.starts_with(b"DER")));
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsPeer {
    /// The version of TLS as the protocol writes it: `0x0303` for TLS 1.2, `0x0304` for TLS 1.3.
    pub version: u16,
    /// The certificates that the client presented, in DER, its own first. The driver has verified that they lead to an
    /// authority that it trusts for clients, that they are in date, and that the client has the key of the first.
    /// Empty if the client presented none.
    pub certificates: Vec<Bytes>,
    /// The negotiated application protocol, such as `http/1.1`; `None` if none was negotiated.
    pub alpn: Option<Bytes>,
    /// The host name that the client sent; `None` if it sent none.
    pub server_name: Option<String>,
}

impl TlsPeer {
    /// Describes a client that presented no certificate and negotiated nothing, over this version of TLS.
    pub const fn new(version: u16) -> Self {
        Self { version, certificates: Vec::new(), alpn: None, server_name: None }
    }

    /// Sets the verified certificates, in DER, the client's own first.
    pub fn with_certificates<C: Into<Bytes>>(mut self, certificates: impl IntoIterator<Item = C>) -> Self {
        self.certificates = certificates.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the negotiated application protocol.
    pub fn with_alpn(mut self, alpn: impl Into<Bytes>) -> Self {
        self.alpn = Some(alpn.into());
        self
    }

    /// Sets the host name that the client sent.
    pub fn with_server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }
}

impl fmt::Debug for TlsPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsPeer")
            .field("version", &format_args!("{:#06x}", self.version))
            .field("certificates", &self.certificates.len())
            .field("alpn", &self.alpn)
            .field("server_name", &self.server_name)
            .finish()
    }
}
