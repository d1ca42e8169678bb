//! Why a connection was closed before its protocol began.

use crate::header_error::HeaderError;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;
use thiserror::Error;

/// A connection that was closed without an answer, because it did not begin like one from a trusted proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The address of the peer; `None` if the connection broke before it could be read, or is not over TCP.
    pub peer: Option<SocketAddr>,
    /// The reason.
    pub reason: Reason,
}

/// Why a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Reason {
    /// It does not come from a trusted proxy. Nothing was read.
    #[error("expected a connection from a trusted proxy, got one from another address")]
    NotTrusted,
    /// Its first bytes are not an acceptable header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The header ended early.
    #[error("expected the rest of the header, got the end of the connection after {received} bytes")]
    Truncated {
        /// The number of bytes received of the header.
        received: usize,
    },
    /// The header was not received in time.
    #[error("expected the whole header within {limit:?}, got {received} bytes")]
    TimedOut {
        /// The time limit.
        limit: Duration,
        /// The number of bytes received of the header.
        received: usize,
    },
}

impl Refusal {
    /// Creates the refusal of this peer's connection.
    pub const fn new(peer: Option<SocketAddr>, reason: Reason) -> Self {
        Self { peer, reason }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer {
            Some(peer) => write!(f, "{peer}: {}", self.reason),
            None => write!(f, "a peer without an address: {}", self.reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_peer_and_the_reason() {
        let refusal = Refusal { peer: Some("192.0.2.1:80".parse().unwrap()), reason: Reason::NotTrusted };
        let text = "192.0.2.1:80: expected a connection from a trusted proxy, got one from another address";
        assert_eq!(refusal.to_string(), text);
        let reason = Reason::TimedOut { limit: Duration::from_secs(1), received: 3 };
        let text = "a peer without an address: expected the whole header within 1s, got 3 bytes";
        assert_eq!(Refusal { peer: None, reason }.to_string(), text);
    }
}
