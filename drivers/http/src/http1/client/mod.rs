//! The client's side of one connection: one request out, its response in, then perhaps the next.
//!
//! Here live the response head and the rules of when a connection can carry another request. Which connection is
//! taken for a request, and what is tried again, is for the client that stands on this.

mod connection;
mod error;
mod event;
mod request;
mod response_head;

pub use connection::ClientCodec;
pub use error::{Error, Received};
pub use event::Event;
