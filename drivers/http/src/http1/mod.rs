//! HTTP/1.1 (RFC 9112) as pure state machines: one [`server::ServerCodec`] or [`client::ClientCodec`] for each
//! socket.
//!
//! Here lives the message syntax: heads, body framing, keep-alive, pipelining, `Expect`. What a path or a header
//! means to vgi-rpc may not live here, nor anything that reads a socket or a clock: a driver moves the bytes and
//! keeps the time.
//!
//! The machines read strictly. Whatever two implementations might frame differently is refused, because a proxy in
//! front that reads it the other way lets one client speak in another's name (request smuggling, RFC 9112, section
//! 11.2): a bare line feed, a folded field, a length that is said twice, a coding other than `chunked`.
//!
//! Each machine has four groups of methods: getters; bytes in (`receive`, or `read_buf` and `advance`); commands;
//! and `poll_*`, which say what comes next and what is to be sent. However the input is split, the events and the
//! output are the same, with one exception that RFC 9110 asks for: `100 Continue` is left out when some of the body
//! has come already.
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
//!         // 2. Send what waits: head and body segments, gathered.
//!         while let Some(outbox) = connection.poll_transmit() {
//!             let mut slices = [IoSlice::new(&[]); 16];
//!             let filled = outbox.chunks_vectored(&mut slices);
//!             let sent = output.write_vectored(&slices[..filled])?;
//!             outbox.advance(sent);
//!         }
//!         // 3. Read more, straight into the machine's own memory.
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
