//! Errors of responses that do not answer a call.

use crate::ConnectionError;
use crate::http::coding::{DecodeError, Unsupported};
use crate::http::unauthorized::Unauthorized;
use http::StatusCode;
use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// A response that is not the answer to a call. The call is over, and a stream with it; the caller can go on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// The server, or something in front of it, refused to let the request in: status 401.
    #[error(transparent)]
    Unauthorized(Box<Unauthorized>),
    /// The response has no Arrow body: something in front of the server answered, or something else listens there.
    #[error(transparent)]
    Foreign(Box<ForeignAnswer>),
    /// The response is larger than [`max_response_bytes`](super::Settings::max_response_bytes), which the server was
    /// told. Nothing of it is used.
    #[error("expected a response of at most {limit} bytes, got a larger one")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The server does not heed the limit on responses that the client demands, so no call was made.
    #[error("the server did not confirm the response limit (status {status}), so no call was made")]
    LimitUnsupported {
        /// The status of its answer to the question.
        status: StatusCode,
    },
    /// The body is in a content coding that was not asked for.
    #[error("the response cannot be read: {0}")]
    Coding(Unsupported),
    /// The body is not what its content coding says.
    #[error("the response cannot be read: {0}")]
    Decode(DecodeError),
    /// The body is not the Arrow streams that answer this call.
    #[error("the response cannot be read: {0}")]
    Streams(ConnectionError),
    /// A stream went on without giving anything.
    #[error("expected a batch or the end of the stream, got {turns} turns in a row with neither")]
    Idling {
        /// How many turns were asked for.
        turns: usize,
    },
    /// No request waits for a response: the driver's mistake.
    #[error("received a response, but no request is waiting for one")]
    Unasked,
}

impl From<Unsupported> for ResponseError {
    fn from(error: Unsupported) -> Self {
        Self::Coding(error)
    }
}

impl From<DecodeError> for ResponseError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl From<ConnectionError> for ResponseError {
    fn from(error: ConnectionError) -> Self {
        Self::Streams(error)
    }
}

/// A response that does not come from a vgi-rpc server, or not from the part of it that answers calls.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForeignAnswer {
    /// The status.
    pub status: StatusCode,
    /// The content type, if there is one; at most 100 characters of it.
    pub content_type: Option<String>,
    /// How long the server asks to wait before the next request, if it says so.
    pub retry_after: Option<Duration>,
    /// The beginning of the body as text, content coding undone where that is possible; at most 500 characters.
    pub body: String,
}

impl fmt::Display for ForeignAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected an Arrow stream, got status {}", self.status)?;
        match &self.content_type {
            Some(content_type) => write!(f, " with content type {content_type:?}")?,
            None => f.write_str(" without a content type")?,
        }
        if !self.body.is_empty() {
            write!(f, ": {:?}", self.body)?;
        }
        Ok(())
    }
}

impl std::error::Error for ForeignAnswer {}
