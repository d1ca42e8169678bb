//! The client's side of a connection: calls in, frames out; bytes in, logs and results out.
//!
//! Lives here: the mirror image of [`crate::server`], one call at a time on one connection. Not here: waiting,
//! retrying, reconnecting, or turning batches into values.
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

mod connection;
mod event;

pub use connection::Connection;
pub use event::{Call, CallKind, Event};
