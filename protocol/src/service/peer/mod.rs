//! The client of a connection: what the transport, TLS, a proxy and request headers report of it, and how a byte stream's client is
//! identified before its first call.
//!
//! The evidence and the policies by which a client is identified are in [`crate::peer_identity`].

mod caller_headers;
mod connection_peer;
mod identification;
mod proxy_peer;
mod tls_peer;

pub use caller_headers::CallerHeaders;
pub use connection_peer::{Peer, TransportKind};
#[cfg(feature = "http")]
pub(crate) use identification::peer_query;
pub(in crate::service) use identification::{Identification, Identified};
pub use proxy_peer::ProxyPeer;
pub use tls_peer::TlsPeer;
