//! Where a server listens, and where its connections come from.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Connections that wait to be accepted; the system may allow fewer.
pub(crate) const BACKLOG: i32 = 1024;

/// Where a server listens. Its text is the discovery line that a parent process waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// An AF_UNIX path, as it was given.
    Unix(PathBuf),
    /// A TCP address, with the port that the system chose if it was asked to.
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
    /// A process on this machine, where the system tells which.
    Unix(Option<Credentials>),
    /// An address; `None` when the connection broke before it could be asked.
    Tcp(Option<SocketAddr>),
    /// A client of a proxy, which has said where the client is. The event loop itself never says this: a machine that
    /// reads what proxies say does, to the [`Acceptor`](crate::Acceptor) of what is spoken after that.
    Proxied(Arc<ProxiedOrigin>),
}

impl Origin {
    /// The client's address, on connections that have one. Behind a proxy this is what the proxy says.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Unix(_) => None,
            Self::Tcp(address) => *address,
            Self::Proxied(proxied) => match proxied.client {
                ProxiedClient::Tcp { source, .. } => Some(source),
                ProxiedClient::Iroh { .. } => None,
            },
        }
    }

    /// The peer's process, on unix sockets, where the system tells which.
    pub fn credentials(&self) -> Option<Credentials> {
        match self {
            Self::Unix(credentials) => *credentials,
            Self::Tcp(_) => None,
            Self::Proxied(proxied) => proxied.below.credentials(),
        }
    }

    /// Whether the connection came over a unix socket.
    pub fn is_unix(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(_) => false,
            Self::Proxied(proxied) => proxied.below.is_unix(),
        }
    }

    /// What a proxy says of the client, on connections that come through one which says so.
    pub fn proxied(&self) -> Option<&Arc<ProxiedOrigin>> {
        match self {
            Self::Unix(_) | Self::Tcp(_) => None,
            Self::Proxied(proxied) => Some(proxied),
        }
    }
}

/// What a proxy says of its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxiedOrigin {
    /// Where the connection itself comes from: the proxy.
    pub below: Origin,
    /// The client.
    pub client: ProxiedClient,
}

/// Where the client of a proxy is, as the proxy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxiedClient {
    /// A client that has connected to the proxy over TCP.
    Tcp {
        /// Where the client connects from.
        source: SocketAddr,
        /// Where the client has connected to.
        destination: SocketAddr,
    },
    /// A client that has connected to a bridge over Iroh, which has no addresses.
    Iroh {
        /// The client's endpoint id: its public key, which the bridge has verified.
        endpoint: [u8; 32],
    },
}

/// The process at the other end of a unix socket, as the kernel vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Process id.
    pub pid: i32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}
