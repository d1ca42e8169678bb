//! Why an exchange failed, and how much of the response had been received.

use crate::http1::{BodyTooLarge, Malformed};
use vgi_rpc_protocol::memory::OverBudget;

/// The exchange failed, and the connection with it: close the socket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server's bytes are not an acceptable response.
    #[error("malformed response: {0}")]
    Malformed(Malformed),
    /// The response's body is larger than the request allowed.
    #[error("response: {0}")]
    BodyTooLarge(BodyTooLarge),
    /// The memory budget has no room for the response's body.
    #[error("response: {0}")]
    OverBudget(OverBudget),
    /// The server ended before the response was complete.
    #[error("the connection ended before the response was complete: {0}")]
    Truncated(Received),
    /// The server sent more interim responses than
    /// [`Limits::max_interim_responses`](crate::http1::Limits::max_interim_responses).
    #[error("more than {max} interim responses")]
    TooManyInterimResponses {
        /// The limit.
        max: usize,
    },
    /// The server switched to another protocol without being asked.
    #[error("the server switched protocols")]
    SwitchedProtocols,
    /// Bytes were received without a request.
    #[error("the server sent bytes without a request")]
    Unsolicited,
}

// The messages include the causes, so the causes are not sources: an error chain would print them twice.

impl From<Malformed> for Error {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

impl From<BodyTooLarge> for Error {
    fn from(error: BodyTooLarge) -> Self {
        Self::BodyTooLarge(error)
    }
}

/// How much of a response had been received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Received {
    /// No byte. This also happens if a server closes an idle connection while a request is in transit, so an idempotent request
    /// may be sent again (RFC 9112, section 9.3.1).
    Nothing,
    /// Part of the head, or an interim response.
    SomeOfHead,
    /// The head, but not all of the body.
    Head,
}

impl std::fmt::Display for Received {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Nothing => "nothing of it was received",
            Self::SomeOfHead => "its head was incomplete",
            Self::Head => "its body was incomplete",
        })
    }
}
