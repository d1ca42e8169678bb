//! The client's side of a connection: calls in, frames out; bytes in, logs and results out.
//!
//! This module is the counterpart of [`crate::server`], with one call at a time on one connection. It also has the basis of typed
//! clients: [`Caller`] and the streams that it opens. It does not wait, retry or reconnect.
//!
//! ```text
//!              call, send, tick, close, cancel
//!   caller ──commands──► ┌──────────┐ ──frames──► peer
//!                        │Connection│
//!   caller ◄──events──── └──────────┘ ◄──bytes─── peer
//!              Log, Header, Output, Failed, Finished
//! ```
//!
//! Every call ends with exactly one [`Event::Finished`], after which the connection accepts the next.
//!
//! How an event loop drives a connection is in the [crate's documentation](crate#in-an-event-loop).
//!
//! # The end of the input
//!
//! Between two messages [`receive_eof`](Connection::receive_eof) acts as the end marker of a response whose result or error is
//! complete. The outputs of a stream only end with their end marker: otherwise a server that was killed would look like one that
//! has finished.
// Where things are:
//
// | file | subject |
// | --- | --- |
// | `connection`, `state` | the machine, and its states as a table |
// | `event` | calls and their events |
// | `columns` | checks the columns of a stream's inputs |
// | `caller`, `params`, `typed_stream` | the basis of typed clients |
// | `resume_token` | the token to resume a stream |

mod caller;
mod columns;
mod connection;
mod event;
pub(crate) mod params;
mod resume_token;
mod state;
mod typed_stream;

pub use caller::{Caller, CallerStream, RemoteMethod, RemoteProtocol};
pub use connection::Connection;
pub use event::{Call, CallKind, Event};
pub use params::{Params, result};
pub use resume_token::{ResumeToken, ResumeTokenError};
pub use typed_stream::{
    DecidesPerCall, Exchanges, InputRow, MAX_EMPTY_BATCHES, MayExchange, MayProduce, Produces, StreamItem,
    TypedStream,
};
