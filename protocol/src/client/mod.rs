//! The client's side of a connection: calls in, frames out; bytes in, logs and results out.
//!
//! Lives here: the mirror image of [`crate::server`], one call at a time on one connection. With it, what typed
//! clients stand on: [`Caller`] and the streams that it opens. Not here: waiting, retrying, or reconnecting.
//!
//! ```text
//!              call, send, tick, close, cancel
//!   caller ──commands──► ┌──────────┐ ──frames──► peer
//!                        │Connection│
//!   caller ◄──events──── └──────────┘ ◄──bytes─── peer
//!              Log, Header, Output, Failed, Finished
//! ```
//!
//! Every call ends with exactly one [`Event::Finished`], after which the connection takes the next.
//!
//! How an event loop drives a connection is in the [crate's documentation](crate#in-an-event-loop).
//!
//! # The end of the input
//!
//! Between two messages [`receive_eof`](Connection::receive_eof) stands for the end marker of an answer whose result or
//! error has come whole. The outputs of a stream end by their end marker alone: without it, a server that was killed would
//! look like one that has finished.
// Where things are:
//
// | file | subject |
// | --- | --- |
// | `connection`, `state` | the machine, and its states as a table |
// | `event` | calls, and what comes of them |
// | `columns` | the columns of a stream's inputs |
// | `caller`, `params`, `typed_stream` | what typed clients stand on |
// | `resume_token` | what a stream is known again by |

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
