//! The client side of a connection: one request out, its response in, then possibly the next.
//!
//! This module has the response head and the rules for reusing a connection. The client built on it chooses the connection for a
//! request and decides about retries.

mod connection;
mod error;
mod event;
mod request;
mod response_head;

pub use connection::ClientCodec;
pub use error::{Error, Received};
pub use event::Event;
