//! Why a connection was closed before its protocol began.

use crate::header_error::HeaderError;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;
use thiserror::Error;

/// A connection that was closed without an answer, because it did not begin as one from a trusted proxy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// Where the connection came from; `None` when it broke before that could be asked, or is not over TCP.
    pub peer: Option<SocketAddr>,
    /// Why it was closed.
    pub reason: Reason,
}

/// Why a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Reason {
    /// It does not come from a trusted proxy. Nothing was read.
    #[error("expected a connection from a trusted proxy, got one from another address")]
    NotTrusted,
    /// What it began with is not a header that is accepted.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// It ended within the header.
    #[error("expected the rest of the header, got the end of the connection after {received} bytes")]
    Truncated {
        /// Bytes of the header that had come.
        received: usize,
    },
    /// The header did not come in time.
    #[error("expected the whole header within {limit:?}, got {received} bytes")]
    TimedOut {
        /// The time that it has.
        limit: Duration,
        /// Bytes of the header that had come.
        received: usize,
    },
}

impl Refusal {
    /// A connection from this peer that was closed for this reason.
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
