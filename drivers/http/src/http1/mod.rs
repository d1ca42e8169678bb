//! HTTP/1.1 (RFC 9112) as pure state machines: a [`server::ServerCodec`] or a [`client::ClientCodec`] for each socket.
//!
//! This module has the message syntax: heads, body framing, keep-alive, pipelining, `Expect`. It does not interpret paths or
//! headers for vgi-rpc, and reads no sockets or clocks: a driver moves the bytes and applies timeouts.
//!
//! The state machines read strictly. They refuse whatever two implementations might frame differently: if a proxy in front reads
//! it differently, one client can send a request in another's name (request smuggling, RFC 9112, section 11.2). Examples are a
//! bare line feed, a folded field, a length given twice, and a coding other than `chunked`.
//!
//! Each state machine has four groups of methods: getters; bytes in (`receive`, or `read_buf` and `advance`); commands; and
//! `poll_*`, which return the next event and the output. The events and the output do not depend on how the input is split, with
//! one exception that RFC 9110 requires: `100 Continue` is omitted if part of the body has already been received.
//!
//! ```
//! use bytes::Buf;
//! use std::io::{self, IoSlice, Read, Write};
//! use vgi_rpc_http::http1::{Limits, Next, server::{Event, ServerCodec}};
//!
//! /// Echoes the bodies of one connection's requests, on any pair of blocking streams.
//! fn serve(mut input: impl Read, mut output: impl Write) -> Result<(), Box<dyn std::error::Error>> {
//!     let mut connection = ServerCodec::new(Limits::default());
//!     loop {
//!         // 1. What comes next?
//!         let next = connection.poll_event();
//!         let (needs_input, is_closed) = (matches!(next, Next::NeedInput), matches!(next, Next::Closed));
//!         match next.event() {
//!             Some(Event::Head(..)) => connection.read_body(1 << 20)?,
//!             Some(Event::Body(body)) => connection.respond(http::Response::new(vec![body]))?,
//!             Some(Event::BodyTooLarge(_)) => connection.reject(http::StatusCode::PAYLOAD_TOO_LARGE)?,
//!             Some(Event::BodyOverBudget(_)) => connection.reject(http::StatusCode::SERVICE_UNAVAILABLE)?,
//!             Some(Event::Malformed(error)) => connection.reject(error.status())?,
//!             None => {}
//!         }
//!         // 2. Send the output: head and body segments, gathered.
//!         while let Some(outbox) = connection.poll_transmit() {
//!             let mut slices = [IoSlice::new(&[]); 16];
//!             let filled = outbox.chunks_vectored(&mut slices);
//!             let sent = output.write_vectored(&slices[..filled])?;
//!             outbox.advance(sent);
//!         }
//!         // 3. Read more, directly into the state machine's memory.
//!         if is_closed {
//!             return Ok(());
//!         }
//!         if needs_input {
//!             match input.read(connection.read_buf()) {
//!                 Ok(0) => connection.receive_eof(),
//!                 Ok(count) => connection.advance(count),
//!                 Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
//!                 Err(error) => return Err(error.into()),
//!             }
//!         }
//!     }
//! }
//!
//! let mut answer = Vec::new();
//! serve(&b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"[..], &mut answer).unwrap();
//! assert_eq!(answer, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
//! ```

mod body;
mod chunked;
pub mod client;
mod command_error;
mod framing;
mod head_bytes;
mod head_fields;
mod input;
mod limits;
mod malformed;
mod receiver;
pub mod server;
mod target;
mod write_head;

pub use command_error::CommandError;
pub use framing::BodyKind;
pub use limits::Limits;
pub use malformed::{BodyTooLarge, Malformed};
pub use vgi_rpc_protocol::Next;
pub use vgi_rpc_protocol::ipc::Outbox;
