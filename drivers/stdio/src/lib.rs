//! vgi-rpc over pipes, blocking: a serve loop on stdin and stdout, and a client that starts a worker.
//!
//! The protocol is in `vgi-rpc-protocol`, and the serve loop, which runs handlers on the calling thread, is in
//! `vgi-rpc-blocking`; this crate adds what a process needs.
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
//! While [`serve_stdio`] runs, the output of `println!` and of child processes goes to stderr rather than the connection. The
//! client's side is [`spawn`]. It works on Unix and on Windows, where each pipe to a child process needs a thread.
//!
//! The feature `zstd`, on by default, enables that of `vgi-rpc-protocol`.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `serve`, `error` | serving, and its errors |
// | `standard` | this process's stdin and stdout; Windows has a file of its own |
// | `pipe` | reading and writing a descriptor, on Unix |
// | `child` | a worker as a child process |
// | `child_pipes` | the pipes to it; Windows has a file of its own |
// | `opening` | the check of its first bytes |

mod child;
#[cfg_attr(windows, path = "child_pipes_windows.rs")]
mod child_pipes;
mod error;
mod opening;
#[cfg(unix)]
mod pipe;
mod serve;
#[cfg_attr(windows, path = "standard_windows.rs")]
mod standard;

pub use child::{Child, WorkerEnded, spawn, spawn_with};
pub use error::ServeError;
pub use serve::{StdioServer, serve, serve_stdio};
pub use vgi_rpc_client::{
    CallError, Client, External, Method, Remote, RetryPolicy, Stream, Timeouts, Transport, TransportError,
};
pub use vgi_rpc_shm::{ShmClient, ShmServer};
