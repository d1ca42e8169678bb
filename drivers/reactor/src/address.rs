//! Where a server listens, and where its connections come from.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A process on this machine, where the system tells which.
    Unix(Option<Credentials>),
    /// An address; `None` when the connection broke before it could be asked.
    Tcp(Option<SocketAddr>),
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
