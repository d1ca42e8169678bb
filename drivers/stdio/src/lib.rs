//! vgi-rpc over pipes, blocking: a serve loop on stdin and stdout, and a client that spawns a worker.
//!
//! The protocol is `vgi-rpc-protocol`'s; this crate moves its bytes and runs its work on the calling thread.
//!
//! ```no_run
//! use std::sync::Arc;
//! use vgi_rpc_protocol::service::{Method, Protocol, Service};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let answer = Method::new("answer").returns(arrow_schema::DataType::Int64).unary(|_, _| Ok(42_i64));
//! let service = Service::builder("a1b2c3d4e5f6").protocol(Protocol::new("demo.Deep.v1").method(answer)).build()?;
//! vgi_rpc_stdio::serve_stdio(Arc::new(service))?;
//! # Ok(())
//! # }
//! ```
//!
//! While [`serve_stdio`] runs, `println!` and child processes of the worker reach stderr and not the connection. The
//! client's side is [`spawn`].

// The files: `serve` is the serve loop, `standard` this process's stdin and stdout, `pipe` what is read and written;
// `child` is a worker as a child process, `opening` what its first bytes tell.
mod child;
mod opening;
mod pipe;
mod serve;
mod shared;
mod standard;

pub use child::{Child, spawn, spawn_with};
pub use serve::{ServeError, Server, serve, serve_stdio};
pub use vgi_rpc_client::{CallError, Client, Method, Remote, Stream, Timeouts, Transport};
