//! A blocking serve loop over any reader and writer: serves one connection, with its handlers on the calling thread.
//!
//! It uses no descriptors, signals or files, starts no threads, and compiles for every target that has `std`. `vgi-rpc-stdio`
//! adds this process's stdin and stdout to it.
//!
//! ```no_run
//! use std::sync::Arc;
//! use vgi_rpc_blocking::BlockingServer;
//! use vgi_rpc_protocol::memory::Budget;
//! use vgi_rpc_protocol::service::{Method, Protocol, Service};
//!
//! # fn run(reader: impl std::io::Read, writer: impl std::io::Write + Send + 'static) -> Result<(), Box<dyn std::error::Error>> {
//! let answer = Method::new("answer").returns(arrow_schema::DataType::Int64).unary(|_, _| Ok(42_i64));
//! let service = Service::builder("a1b2c3d4e5f6").protocol(Protocol::new("demo.Deep.v1").method(answer)).build()?;
//! BlockingServer::new(Arc::new(service)).budget(Budget::new(64 << 20)).serve(reader, writer)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Targets without clock and threads
//!
//! The standard library of `wasm32-unknown-unknown` has neither.
//!
//! - *Time.* The server reads a clock only if records or hooks need the times of calls. The default is the system's
//!   monotonic clock; this target has none, so all times are zero unless [`BlockingServer::clock`] sets another clock.
//! - *Effects.* A [`Performer`](vgi_rpc_effects::Performer) needs threads: on this target all effects fail with
//!   [`Unavailable`](vgi_rpc_protocol::effect::FailureReason::Unavailable). A server without one starts no thread on any
//!   target.
//! - *Panics.* The target aborts on panic unless the program is built otherwise, so a panic in a handler ends the program
//!   and not only its call.
//! - *Building.* The core needs zstd, which is written in C: the build requires a C compiler for the target, such as clang.

// The files: `serve` has the options and the loop, `conversation` the connection that the loop and a running handler share,
// `clock` the time, `error` the errors of serving.
mod clock;
mod conversation;
mod error;
mod serve;

pub use error::ServeError;
pub use serve::{BlockingServer, serve};
