//! vgi-rpc over HTTP/1.1: a protocol state machine without I/O, a server, and a blocking client.
//!
//! [`http1`] has the state machines for both roles: bytes in, requests and responses out, without sockets, clocks or threads. Two
//! drivers are built on them: [`HttpServer`], on a mio event loop, and the blocking [`client`].
//!
//! The feature `zstd`, on by default, enables that of `vgi-rpc-protocol`. With the feature `tls` the client supports https.

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

/// Fills `bytes` with the system's entropy, for [`Endpoint::builder`](vgi_rpc_protocol::http::Endpoint::builder).
///
/// # Panics
/// If the system's entropy cannot be read: nothing could be sealed safely without it.
#[expect(
    clippy::panic,
    reason = "a token under a nonce that is not random would break the seal of all others"
)]
pub fn system_entropy(bytes: &mut [u8]) {
    if let Err(error) = getrandom::fill(bytes) {
        panic!("the system's entropy cannot be read: {error}");
    }
}
