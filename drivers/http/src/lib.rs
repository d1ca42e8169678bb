//! vgi-rpc over HTTP/1.1: a connection machine without I/O, a server, and a blocking client.
//!
//! [`http1`] is the connection machine, for both roles: bytes in, requests and responses out; no socket, no clock,
//! no thread. Two drivers are built on it: [`HttpServer`], on a mio event loop, and the blocking [`client`].
//!
//! The feature `zstd`, on by default, turns on that of `vgi-rpc-protocol`. With the feature `tls` the client speaks https.

pub mod client;
pub mod http1;
mod server;

pub use bytes::Bytes;
pub use server::{
    Address, AllowedHosts, BoundHttpServer, BoundPageServer, HttpServer, HttpServerError, PageServer,
};
pub use vgi_rpc_proxy_protocol::{ProxyProtocol, ProxyProtocolError};
pub use vgi_rpc_reactor::{Ended, Handle, Layer, NoLayer, Statistics, Watch};
#[cfg(feature = "tls")]
pub use vgi_rpc_tls::{ClientCertificates, Pem, ServerTls, ServerTlsBuilder, TlsConfigError};

/// The system's entropy, for [`Endpoint::builder`](vgi_rpc_protocol::http::Endpoint::builder).
///
/// # Panics
/// When the system has none to give, which leaves nothing that could be sealed safely.
#[expect(
    clippy::panic,
    reason = "a token under a nonce that is not random would break the seal of all others"
)]
pub fn system_entropy(bytes: &mut [u8]) {
    if let Err(error) = getrandom::fill(bytes) {
        panic!("the system's entropy cannot be read: {error}");
    }
}
