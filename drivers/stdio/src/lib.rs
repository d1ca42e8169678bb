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
//! | `client`, `stream` | calls and streams over any [`Transport`] |
//! | `child` | a worker as a child process |
//! | `pipe` | what the kernel can be asked of a pipe |

mod child;
mod client;
mod pipe;
mod serve;
mod stream;

pub use child::Child;
pub use client::{CallError, Client, Method, Remote, Transport};
pub use serve::{ServeError, Server, serve, serve_stdio};
pub use stream::Stream;
