//! Errors of responses that do not answer a call.

use crate::ConnectionError;
use crate::http::coding::{DecodeError, Unsupported};
use crate::http::unauthorized::Unauthorized;
use http::StatusCode;
use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// A response that does not answer the call. It ends the call and its stream; the next call can be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// The server, or an intermediary in front of it, refused to authenticate the request: status 401.
    #[error(transparent)]
    Unauthorized(Box<Unauthorized>),
    /// The response has no Arrow body: it comes from an intermediary in front of the server, or from another kind of server.
    #[error(transparent)]
    Foreign(Box<ForeignResponse>),
    /// The response is larger than [`max_response_bytes`](super::Settings::max_response_bytes), which the request specified.
    /// None of it is used.
    #[error("expected a response of at most {limit} bytes, got a larger one")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The server does not support the client's limit on responses, so no call was made.
    #[error("the server did not confirm the response limit (status {status}), so no call was made")]
    LimitUnsupported {
        /// The status of the response to the discovery request.
        status: StatusCode,
    },
    /// The body has an unsupported content coding.
    #[error("the response cannot be read: {0}")]
    Coding(Unsupported),
    /// The body is not valid in its content coding.
    #[error("the response cannot be read: {0}")]
    Decode(DecodeError),
    /// The body does not have the Arrow streams of this call.
    #[error("the response cannot be read: {0}")]
    Streams(ConnectionError),
    /// A stream continued without output.
    #[error("expected a batch or the end of the stream, got {turns} turns in a row with neither")]
    Idling {
        /// The number of turns.
        turns: usize,
    },
    /// No request waits for a response: an error in the driver.
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

/// A response that does not come from a vgi-rpc server, or not from the part that serves calls. Its text quotes the body, unless
/// that is an HTML page.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForeignResponse {
    /// The status.
    pub status: StatusCode,
    /// The content type, if there is one; at most 100 characters of it.
    pub content_type: Option<String>,
    /// The value of `Retry-After`, if there is one.
    pub retry_after: Option<Duration>,
    /// The beginning of the body as text, decoded if possible; at most 500 characters.
    pub body: String,
}

impl fmt::Display for ForeignResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected an Arrow stream, got status {}", self.status)?;
        match &self.content_type {
            Some(content_type) => write!(f, " with content type {content_type:?}")?,
            None => f.write_str(" without a content type")?,
        }
        if !self.body.is_empty() && !self.is_html() {
            write!(f, ": {:?}", self.body)?;
        }
        if self.status == StatusCode::NOT_FOUND {
            f.write_str(
                "; check the path of the URL, which must be the prefix below which the server serves calls",
            )?;
        }
        Ok(())
    }
}

impl ForeignResponse {
    /// Whether the body is a page for browsers, whose first characters are usually markup and styles.
    fn is_html(&self) -> bool {
        let media_type = self.content_type.as_deref().and_then(|value| value.split(';').next());
        match media_type.map(str::trim) {
            Some(name) => {
                ["text/html", "application/xhtml+xml"].iter().any(|html| name.eq_ignore_ascii_case(html))
            }
            None => {
                let begins = |tag: &str| {
                    self.body.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag))
                };
                begins("<!doctype html") || begins("<html")
            }
        }
    }
}

impl std::error::Error for ForeignResponse {}
