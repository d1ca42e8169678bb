//! vgi-rpc over unix and TCP sockets: a server on a mio event loop, and blocking clients.
//!
//! The protocol is in `vgi-rpc-protocol`, the event loop and its threads are in `vgi-rpc-reactor`; this crate combines them. On
//! Windows there are only TCP sockets.
//!
//! ```
//! use std::sync::Arc;
//! use vgi_rpc_protocol::service::{Method, Protocol, Service};
//! use vgi_rpc_unix::{Address, Remote, SocketServer, connect_tcp};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let answer = Method::new("answer").returns(arrow_schema::DataType::Int64).unary(|_, _| Ok(42_i64));
//! let service = Service::builder("a1b2c3d4e5f6").protocol(Protocol::new("demo.Deep.v1").method(answer)).build()?;
//!
//! let server = SocketServer::new(Arc::new(service)).bind_tcp("0")?;
//! let handle = server.handle();
//! let Address::Tcp(address) = server.address().clone() else { unreachable!() };
//! let thread = std::thread::spawn(|| server.run());
//!
//! let mut client = connect_tcp(&address.to_string())?;
//! let nothing = arrow_array::RecordBatch::new_empty(Arc::new(arrow_schema::Schema::empty()));
//! let nothing = one_row(nothing)?;
//! client.unary(&Remote::new("demo.Deep.v1").method("answer"), &nothing)?;
//! handle.stop();
//! thread.join().unwrap()?;
//! # Ok(())
//! # }
//! # fn one_row(batch: arrow_array::RecordBatch) -> Result<arrow_array::RecordBatch, arrow_schema::ArrowError> {
//! #     let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(1));
//! #     arrow_array::RecordBatch::try_new_with_options(batch.schema(), vec![], &options)
//! # }
//! ```
//!
//! The feature `zstd`, on by default, enables that of `vgi-rpc-protocol`. With the feature `tls`, TCP connections may use TLS.

// Where things are:
//
// | module | subject |
// | --- | --- |
// | `server` | the server |
// | `client`, `socket_timeouts` | clients |
// | `tls_socket` | a client's socket that carries TLS |

mod client;
mod server;
mod socket_timeouts;
#[cfg(feature = "tls")]
mod tls_socket;

#[cfg(unix)]
pub use client::connect_unix;
pub use client::{SocketOptions, connect_tcp};
pub use server::{BoundSocketServer, SocketServer, SocketServerError};
pub use vgi_rpc_client::{
    CallError, CallShape, Client, External, Method, Remote, RetryPolicy, ServerGone, Stream, Timeouts,
    Transport, TransportError, WrongKind,
};
pub use vgi_rpc_proxy_protocol::{ProxyProtocol, ProxyProtocolError};
#[cfg(unix)]
pub use vgi_rpc_reactor::SocketFileError;
pub use vgi_rpc_reactor::{Address, Ended, Handle, Layer, NoLayer};
pub use vgi_rpc_shm::{ShmClient, ShmServer};
pub use vgi_rpc_socks::SocksProxy;
#[cfg(feature = "tls")]
pub use vgi_rpc_tls::{
    ClientCertificates, ClientTls, ClientTlsBuilder, Pem, ServerTls, ServerTlsBuilder, TlsConfigError,
};
