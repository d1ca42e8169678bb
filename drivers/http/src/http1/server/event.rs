//! Events and phases of a server's connection.

use crate::http1::{BodyKind, BodyTooLarge, Malformed};
use bytes::Bytes;
use http::request;
use std::fmt;
use vgi_rpc_protocol::memory::OverBudget;

/// Something that happened on a connection.
#[expect(clippy::large_enum_variant, reason = "a head is moved out at once; a box would cost an allocation")]
pub enum Event {
    /// A request's head. [`ServerCodec::read_body`](super::ServerCodec::read_body) asks for its body, or an answer
    /// is given without it.
    ///
    /// The URI is the path and query, or whole where the client sent it whole; in that case the `Host` field is its
    /// authority. Values of fields that may carry credentials are marked as sensitive.
    Head(request::Parts, BodyKind),
    /// The body that was asked for, empty if there is none; it begins at an address that is a multiple of 64.
    /// An answer is due.
    Body(Bytes),
    /// The body that was asked for is too large: an answer is due, 413 by custom.
    BodyTooLarge(BodyTooLarge),
    /// The memory budget has no room for the body that was asked for. What came of it was dropped: an answer is due,
    /// 503 by custom, and the connection closes after it.
    BodyOverBudget(OverBudget),
    /// The bytes are no acceptable request. An answer is due, as a rule
    /// [`reject`](super::ServerCodec::reject) with the error's [`status`](Malformed::status); the connection closes
    /// after it.
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

/// What a connection is at, for a driver that keeps the time: each phase has a patience of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Between requests: nothing of the next one has come.
    Idle,
    /// A head has come in part.
    Head,
    /// A body is being read, or discarded.
    Body,
    /// The user's answer is awaited.
    Answering,
    /// The last answer is being sent, or was.
    Closing,
}
