//! vgi-rpc as pure state machines: bytes in, events and frames out, for servers and clients.
//!
//! vgi-rpc is an RPC protocol on Apache Arrow IPC streams, with unary calls, producer streams and exchange
//! streams. This crate is the protocol and nothing else. It opens no socket, reads no clock, draws no randomness
//! and starts no thread: a *driver* moves the bytes, runs the handlers and tells the time. Drivers for common
//! transports are crates of their own; writing another is the loop below.
//!
//! # Layers
//!
//! ```text
//!           ┌─────────────────────────────────────────────┐
//!           │ http        requests to responses: Endpoint │
//!           ├─────────────────────────────────────────────┤
//!           │ service     methods, dispatch: Responder    │   reflection
//!           ├──────────────────────┬──────────────────────┤   describes
//!           │ server::Connection   │ client::Connection   │   a service
//!           ├──────────────────────┴──────────────────────┤
//!           │ wire    what metadata means: errors, logs   │
//!           ├─────────────────────────────────────────────┤
//!           │ ipc     Arrow IPC framing, batches          │
//!           └─────────────────────────────────────────────┘
//!      bytes in ▲                                 ▼ gather list out
//! ```
//!
//! A lower layer never names a higher one. [`server::Connection`] and [`client::Connection`] know the wire and
//! nothing of methods, for those who bring their own dispatch. [`service::Responder`] is a server's connection
//! plus a [`service::Service`], for everyone else.
//!
//! # The run loop
//!
//! Every machine has four groups of methods: getters; bytes in ([`receive`], or [`read_buf`] and [`advance`]);
//! commands; and `poll_*`, which say what comes next and what is to be sent. Commands may be issued back to back,
//! and polling late loses nothing.
//!
//! [`receive`]: service::Responder::receive
//! [`read_buf`]: service::Responder::read_buf
//! [`advance`]: service::Responder::advance
//!
//! ```
//! use bytes::Buf;
//! use std::io::{self, IoSlice, Read, Write};
//! use std::sync::Arc;
//! use vgi_rpc_protocol::service::{Method, Peer, Protocol, Responder, Service, TransportKind};
//! use vgi_rpc_protocol::{IdSource, Limits, Next};
//!
//! /// Serves one connection on any pair of blocking streams.
//! fn serve(
//!     service: Arc<Service>,
//!     mut input: impl Read,
//!     mut output: impl Write,
//! ) -> Result<(), Box<dyn std::error::Error>> {
//!     let peer = Peer::new(TransportKind::Pipe, service.server_id().clone());
//!     let mut responder = Responder::new(service, peer, Limits::default(), IdSource::seeded(7));
//!     loop {
//!         // 1. What comes next? A handler's invocation may run here, or on a thread of your own.
//!         let next = responder.poll_work();
//!         if let Ok(Next::Event(work)) = next {
//!             responder.complete(work.run())?;
//!             continue;
//!         }
//!         // 2. Send what waits: headers and the arrays' own memory, gathered.
//!         while let Some(outbox) = responder.poll_transmit() {
//!             let mut slices = [IoSlice::new(&[]); 16];
//!             let count = outbox.chunks_vectored(&mut slices);
//!             let written = output.write_vectored(&slices[..count])?;
//!             outbox.advance(written);
//!         }
//!         // 3. Read on, straight into the machine's memory; or stop.
//!         match next? {
//!             Next::NeedInput => match input.read(responder.read_buf())? {
//!                 0 => responder.receive_eof(),
//!                 count => responder.advance(count),
//!             },
//!             Next::Closed => return Ok(()),
//!             _ => {}
//!         }
//!     }
//! }
//!
//! let six = Method::new("times_six").param("n", arrow_schema::DataType::Int64)
//!     .returns(arrow_schema::DataType::Int64)
//!     .unary(|args, _| Ok(args.get::<i64>("n")? * 6));
//! let service = Service::builder("0123456789ab").protocol(Protocol::new("demo.Six.v1").method(six)).build()?;
//! serve(Arc::new(service), io::empty(), io::sink())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What holds
//!
//! - *Incremental to the byte.* Any split of the input gives the same events and the same output.
//! - *Bounded.* [`Limits`] bounds what a peer can make a machine hold. A length that a peer merely announces takes
//!   no memory.
//! - *Zero copy.* A body that arrives inside one `Bytes` becomes Arrow buffers that share it; a large body is read
//!   straight into the memory that its arrays will share; output is a gather list of the arrays' own buffers.
//! - *Errors assign blame.* [`ConnectionError`] is the peer's doing, [`CommandError`] the caller's. What a peer
//!   sends never causes a panic, and a refused request leaves the connection usable wherever its framing is sound.
//!
//! Sections named `WIRE_PROTOCOL n` are those of vgi-rpc's normative wire protocol specification.

pub mod access_log;
pub mod client;
mod error;
pub mod http;
mod ids;
pub mod ipc;
mod limits;
pub mod memory;
mod next;
mod one_line;
pub mod reflection;
pub mod server;
pub mod service;
pub mod wire;

pub use error::{CommandError, ConnectionError};
pub use ids::IdSource;
pub use limits::Limits;
pub use next::Next;
pub use one_line::OneLine;
