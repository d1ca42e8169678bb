//! A blocking vgi-rpc client: one type over any transport.
//!
//! The drivers provide what it stands on: a [`Transport`] moves the bytes of a connection, as those of
//! `vgi-rpc-stdio` and `vgi-rpc-unix` do, and a [`Channel`] carries whole calls in some other way, as that of
//! `vgi-rpc-http` does.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `client` | calls |
// | `method` | what is called |
// | `kinds` | what kind a method is, and calls of another kind |
// | `stream` | an open stream |
// | `channel` | what carries calls: anything, or a connection of bytes |
// | `transport` | what moves a connection's bytes |
// | `timeouts` | how long a client waits |
// | `pipes` | pipes with timeouts |
// | `transfer` | sending all of an outbox by way of vectored writes |

mod channel;
mod client;
mod kinds;
mod method;
#[cfg(unix)]
pub mod pipes;
mod stream;
mod timeouts;
pub mod transfer;
mod transport;

pub use channel::Channel;
pub use client::{CallError, Client};
pub use kinds::{CallShape, WrongKind};
pub use method::{Method, Remote};
pub use stream::Stream;
pub use timeouts::{Direction, Patience, Timeouts};
pub use transport::Transport;
