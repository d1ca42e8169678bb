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
//! | file | subject |
//! | --- | --- |
//! | `serve` | the serve loop |
//! | `child` | a worker as a child process, for [`Client`] |
//! | `pipe` | what the kernel can be asked of a pipe |

mod child;
mod pipe;
mod serve;

pub use child::{Child, spawn};
pub use serve::{ServeError, Server, serve, serve_stdio};
pub use vgi_rpc_client::{CallError, Client, Method, Remote, Stream, Transport};

/// The programs in the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
