//! Events of a client connection.

use crate::http1::BodyKind;
use bytes::Bytes;
use http::response;
use std::fmt;

/// An event on a connection.
pub enum Event {
    /// The final response's head. Its body follows, or an error if it is too large.
    Head(response::Parts, BodyKind),
    /// The response's body, empty if there is none. It begins at an address that is a multiple of 64. The exchange has ended.
    Body(Bytes),
}

/// Prints a body's length only.
impl fmt::Debug for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(parts, body) => formatter.debug_tuple("Head").field(parts).field(body).finish(),
            Self::Body(body) => formatter.debug_tuple("Body").field(&body.len()).finish(),
        }
    }
}
