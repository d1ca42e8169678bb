//! Connects a client to an address of any supported transport.
//!
//! | address | server |
//! | --- | --- |
//! | `cmd:PROGRAM ARGUMENT...` | a worker that is started, and called over its stdin and stdout; quoted as in a shell |
//! | `unix:PATH` | an AF_UNIX socket, on Unix |
//! | `tcp:HOST:PORT`, `tcp:PORT` | a TCP socket; the host defaults to 127.0.0.1 |
//! | `tls:HOST:PORT`, `tls:PORT` | a TCP socket whose connections use TLS, with the feature `tls` |
//! | `http://...`, `https://...` | an HTTP server, with the features `http` (on by default) and `tls` |
//!
//! ```no_run
//! # fn run(params: arrow_array::RecordBatch) -> Result<(), Box<dyn std::error::Error>> {
//! use vgi_rpc_connect::{Remote, connect};
//!
//! let mut client = connect("tcp:127.0.0.1:9000")?;
//! let answer = client.unary(&Remote::new("example.Greeter.v1").method("greet"), &params)?;
//! # Ok(())
//! # }
//! ```
//!
//! All of these return the same client type. Features of a single transport, such as sticky sessions over HTTP, are in that
//! transport's crate.

mod connect;
mod error;

pub use connect::{ConnectOptions, connect};
pub use error::ConnectError;
pub use vgi_rpc_client::{
    CallError, CallShape, Client, External, Method, Remote, RetryPolicy, ShmClient, Stream, Timeouts,
    TransportError, WrongKind,
};
#[cfg(feature = "tls")]
pub use vgi_rpc_tls::{ClientTls, ClientTlsBuilder, Pem, TlsConfigError};
pub use vgi_rpc_unix::SocksProxy;
