//! Events and phases of a server connection.

use crate::http1::{BodyKind, BodyTooLarge, Malformed};
use bytes::Bytes;
use http::request;
use std::fmt;
use vgi_rpc_protocol::memory::OverBudget;

/// An event on a connection.
#[expect(clippy::large_enum_variant, reason = "a head is moved out at once; a box would cost an allocation")]
pub enum Event {
    /// A request's head. Read its body with [`ServerCodec::read_body`](super::ServerCodec::read_body), or respond without it.
    ///
    /// The URI is the path and query, or the full URI if the client sent one; in that case the `Host` field is its authority.
    /// Values of fields that may contain credentials are marked as sensitive.
    Head(request::Parts, BodyKind),
    /// The requested body, empty if there is none. It begins at an address that is a multiple of 64. A response must follow.
    Body(Bytes),
    /// The requested body is too large. A response must follow, usually 413.
    BodyTooLarge(BodyTooLarge),
    /// The memory budget has no room for the requested body. What has been received of it was dropped. A response must follow,
    /// usually 503, and then the connection closes.
    BodyOverBudget(OverBudget),
    /// The bytes are not an acceptable request. A response must follow, usually [`reject`](super::ServerCodec::reject) with the
    /// error's [`status`](Malformed::status). Then the connection closes.
    Malformed(Malformed),
}

/// Prints a body's length only.
impl fmt::Debug for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(parts, body) => formatter.debug_tuple("Head").field(parts).field(body).finish(),
            Self::Body(body) => formatter.debug_tuple("Body").field(&body.len()).finish(),
            Self::BodyTooLarge(error) => formatter.debug_tuple("BodyTooLarge").field(error).finish(),
            Self::BodyOverBudget(error) => formatter.debug_tuple("BodyOverBudget").field(error).finish(),
            Self::Malformed(error) => formatter.debug_tuple("Malformed").field(error).finish(),
        }
    }
}

/// The phase of a connection, for a driver that applies timeouts: each phase has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Between requests: no byte of the next one has been received.
    Idle,
    /// Part of a head has been received.
    Head,
    /// A body is being read, or discarded.
    Body,
    /// The user's response is awaited.
    Answering,
    /// The last response is being sent, or has been sent.
    Closing,
}
