//! A blocking vgi-rpc client: one type over any transport.
//!
//! The drivers provide the transports: `vgi-rpc-stdio` spawns a worker and talks to its stdin and stdout. Another one
//! is an implementation of [`Transport`] away.
//!
//! | file | subject |
//! | --- | --- |
//! | `client` | calls |
//! | `stream` | an open stream |
//! | `transfer` | sending all of an outbox by way of vectored writes |

mod client;
mod stream;
pub mod transfer;

pub use client::{CallError, Client, Method, Remote, Transport};
pub use stream::Stream;
