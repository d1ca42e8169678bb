//! Where a server listens, and where its connections come from.

use bytes::Bytes;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// The maximum number of connections that wait to be accepted; the system may allow fewer.
pub(crate) const BACKLOG: i32 = 1024;

/// Where a server listens. Its [`Display`](fmt::Display) is the discovery line that a parent process waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// An AF_UNIX path, as it was given.
    Unix(PathBuf),
    /// A TCP address, with the port that the system chose if port 0 was requested.
    Tcp(SocketAddr),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "UNIX:{}", path.display()),
            Self::Tcp(address) => write!(f, "TCP:{}:{}", address.ip(), address.port()),
        }
    }
}

/// Where a connection comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A process on this machine, if the system identifies it.
    Unix(Option<Credentials>),
    /// An address; `None` if the connection broke before it could be read.
    Tcp(Option<SocketAddr>),
    /// A client of a proxy, as reported by the proxy. The event loop never creates this: a machine that reads proxy headers
    /// passes it to the [`Acceptor`](crate::Acceptor) of the protocol that follows.
    Proxied(Arc<ProxiedOrigin>),
    /// A connection that carries TLS, after the handshake. The event loop never creates this: a machine that speaks TLS passes
    /// it to the [`Acceptor`](crate::Acceptor) of the protocol inside.
    Tls(Arc<TlsOrigin>),
}

impl Origin {
    /// Returns the client's address, if the connection has one. Behind a proxy this is the address that the proxy reports.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Unix(_) => None,
            Self::Tcp(address) => *address,
            Self::Proxied(proxied) => match proxied.client {
                ProxiedClient::Tcp { source, .. } => Some(source),
                ProxiedClient::Iroh { .. } => None,
            },
            Self::Tls(tls) => tls.below.address(),
        }
    }

    /// Returns the peer's process, on unix sockets, if the system identifies it.
    pub fn credentials(&self) -> Option<Credentials> {
        match self {
            Self::Unix(credentials) => *credentials,
            Self::Tcp(_) => None,
            Self::Proxied(proxied) => proxied.below.credentials(),
            Self::Tls(tls) => tls.below.credentials(),
        }
    }

    /// Whether the connection was made over a unix socket.
    pub fn is_unix(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(_) => false,
            Self::Proxied(proxied) => proxied.below.is_unix(),
            Self::Tls(tls) => tls.below.is_unix(),
        }
    }

    /// Returns what the proxy reports about the client, on connections through a proxy that does.
    pub fn proxied(&self) -> Option<&Arc<ProxiedOrigin>> {
        match self {
            Self::Unix(_) | Self::Tcp(_) => None,
            Self::Proxied(proxied) => Some(proxied),
            Self::Tls(tls) => tls.below.proxied(),
        }
    }

    /// Returns the result of the TLS handshake, on connections that carry TLS.
    pub fn tls(&self) -> Option<&Arc<TlsOrigin>> {
        match self {
            Self::Unix(_) | Self::Tcp(_) => None,
            Self::Proxied(proxied) => proxied.below.tls(),
            Self::Tls(tls) => Some(tls),
        }
    }
}

/// What a proxy reports about its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxiedOrigin {
    /// Where the connection itself comes from: the proxy.
    pub below: Origin,
    /// The client.
    pub client: ProxiedClient,
}

impl ProxiedOrigin {
    /// Returns the address that the client has connected to, if it has one.
    pub fn destination(&self) -> Option<SocketAddr> {
        match self.client {
            ProxiedClient::Tcp { destination, .. } => Some(destination),
            ProxiedClient::Iroh { .. } => None,
        }
    }

    /// Returns the endpoint id of a client over Iroh.
    pub fn iroh_endpoint(&self) -> Option<[u8; 32]> {
        match self.client {
            ProxiedClient::Tcp { .. } => None,
            ProxiedClient::Iroh { endpoint } => Some(endpoint),
        }
    }
}

/// The client of a proxy, as reported by the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxiedClient {
    /// A client that has connected to the proxy over TCP.
    Tcp {
        /// The address that the client connects from.
        source: SocketAddr,
        /// The address that the client has connected to.
        destination: SocketAddr,
    },
    /// A client that has connected to a bridge over Iroh, which has no addresses.
    Iroh {
        /// The client's endpoint id: its public key, which the bridge has verified.
        endpoint: [u8; 32],
    },
}

/// The result of a TLS handshake.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsOrigin {
    /// Where the connection that carries TLS comes from.
    pub below: Origin,
    /// The version as the protocol writes it: `0x0303` for TLS 1.2, `0x0304` for TLS 1.3.
    pub version: u16,
    /// The verified certificates that the peer presented, in DER, its own first. Empty if it presented none.
    pub certificates: Vec<Bytes>,
    /// The application protocol that both sides agreed on, if they negotiated one.
    pub alpn: Option<Bytes>,
    /// The host name that the peer requested, if any.
    pub server_name: Option<String>,
}

impl fmt::Debug for TlsOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOrigin")
            .field("below", &self.below)
            .field("version", &format_args!("{:#06x}", self.version))
            .field("certificates", &self.certificates.len())
            .field("alpn", &self.alpn)
            .field("server_name", &self.server_name)
            .finish()
    }
}

/// The process at the other end of a unix socket, as reported by the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Process id.
    pub pid: i32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}
