//! What the server knows of a connection's client.

use super::caller_headers::CallerHeaders;
use super::proxy_peer::ProxyPeer;
use super::tls_peer::TlsPeer;
use crate::auth_context::AuthContext;
use crate::peer_identity::{Credentials, PeerEvidence};
use std::fmt;
use std::sync::Arc;

/// The kind of transport that carries a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportKind {
    /// Two pipes, such as a child process's stdin and stdout.
    Pipe,
    /// An AF_UNIX socket.
    Unix,
    /// A TCP socket.
    Tcp,
    /// HTTP.
    Http,
}

impl TransportKind {
    /// Returns the name that every implementation uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pipe => "pipe",
            Self::Unix => "unix",
            Self::Tcp => "tcp",
            Self::Http => "http",
        }
    }
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the server knows of a connection's client. It is the same for every call of the connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Peer {
    /// The transport that carries the connection.
    pub transport: TransportKind,
    /// The server instance that answers.
    pub server_id: Arc<str>,
    /// The client's address as `IP:PORT`; `None` on transports without addresses. Behind a [`proxy`](Self::proxy) it is the
    /// address that the proxy reports.
    pub remote_address: Option<String>,
    /// The client's process, on transports that report it.
    pub credentials: Option<Credentials>,
    /// The result of the TLS handshake; `None` on connections without TLS.
    pub tls: Option<Arc<TlsPeer>>,
    /// What the proxy in front of the server reports of the client; `None` without a proxy, or if it reports nothing.
    pub proxy: Option<Arc<ProxyPeer>>,
    /// The caller's program and trace, as the HTTP request headers name them; `None` without such headers.
    pub headers: Option<Box<CallerHeaders>>,
    /// The authenticated client; anonymous on transports that do not authenticate.
    pub auth: AuthContext,
    /// The evidence of the client's identity that [`peer_authentication`](crate::service::ServiceBuilder::peer_authentication) found;
    /// empty if that is not configured. It is set before the first handler runs.
    pub evidence: PeerEvidence,
}

impl Peer {
    /// Describes a connection over this transport to this server.
    pub fn new(transport: TransportKind, server_id: impl Into<Arc<str>>) -> Self {
        Self {
            transport,
            server_id: server_id.into(),
            remote_address: None,
            credentials: None,
            tls: None,
            proxy: None,
            headers: None,
            auth: AuthContext::anonymous(),
            evidence: PeerEvidence::empty(),
        }
    }

    /// Sets the client's address.
    pub fn with_remote_address(mut self, address: impl Into<String>) -> Self {
        self.remote_address = Some(address.into());
        self
    }

    /// Sets the client's process.
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Sets the result of the connection's TLS handshake.
    pub fn with_tls(mut self, tls: impl Into<Arc<TlsPeer>>) -> Self {
        self.tls = Some(tls.into());
        self
    }

    /// Sets what the proxy that forwards the connection reports.
    pub fn with_proxy(mut self, proxy: impl Into<Arc<ProxyPeer>>) -> Self {
        self.proxy = Some(proxy.into());
        self
    }

    /// Sets the authenticated client.
    pub fn with_auth(mut self, auth: AuthContext) -> Self {
        self.auth = auth;
        self
    }
}
