//! The server's side of a connection: bytes in, calls out; responses in, frames out. It does not know methods.
//!
//! This module implements the order of streams and batches that WIRE_PROTOCOL 5, 6 and 9 prescribe. The methods and their
//! handlers are in [`service`](mod@crate::service).
//!
//! ```text
//!                     Request                Input, Cancelled, InputEnded
//!   peer ──bytes──► ┌──────────┐ ──events──► caller
//!                   │Connection│
//!   peer ◄─frames── └──────────┘ ◄─commands─ caller
//!                     respond, refuse, send_header, open_stream, emit, log, fail, finish
//! ```
//!
//! | state | the peer may send | the caller may |
//! | --- | --- | --- |
//! | awaiting a request | a request stream | nothing |
//! | answering | nothing (it waits) | `log`; `respond` or `refuse`; `send_header`, then `open_stream` |
//! | streaming | one input batch, a cancel, the end | `log`, `fail`, `finish` |
//! | in a turn | nothing (it waits) | `log`; `emit`, `fail` or `finish` |
//! | draining | the rest of its input, unread | nothing |
//!
//! How an event loop drives a connection is in the [crate's documentation](crate#in-an-event-loop).
//!
//! # The end of the input
//!
//! Arrow's format lets a stream end without its end marker at the end of its transport. So between two messages
//! [`receive_eof`](Connection::receive_eof) ends the open request or input stream, and a client that closes only its sending side
//! still gets its response. Within a message it is an error, which the output reports to the peer.
// Where things are:
//
// | file | subject |
// | --- | --- |
// | `connection` | the machine: its states |
// | `connection/receiving` | from the reader's items to events |
// | `connection/answering` | which commands are allowed in which state |
// | `response` | writing the streams of a response |
// | `event` | the events |

mod connection;
mod event;
mod response;

pub use connection::{Config, Connection};
pub use event::{Event, InputStream};
#[cfg(feature = "http")]
pub(crate) use response::ResponseWriter;
