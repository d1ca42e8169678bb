//! Errors in incoming bytes: in the framing, which are fatal, or in one message, which are not.

use crate::OneLine;
use crate::memory::OverBudget;
use arrow_schema::ArrowError;
use std::fmt;
use thiserror::Error;

/// The boundaries of messages are lost. The connection cannot continue.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FramingError {
    /// A message did not begin with the continuation marker.
    #[error("expected an Arrow IPC message to begin with the bytes ff ff ff ff, got {}", Shown(got))]
    NoContinuation {
        /// The four bytes found in its place.
        got: [u8; 4],
    },
    /// The header's length is negative.
    #[error("expected a message header length of 0 or more, got {got}")]
    NegativeHeaderLength {
        /// The length found.
        got: i32,
    },
    /// The header is larger than [`Limits::max_header_bytes`](crate::Limits::max_header_bytes).
    #[error("expected a message header of at most {limit} bytes, got {got}")]
    HeaderTooLarge {
        /// The length found.
        got: u64,
        /// The limit in force.
        limit: usize,
    },
    /// The header is not a flatbuffer from which the body's length can be read.
    #[error("the message header is not a valid flatbuffer: {reason}")]
    InvalidHeader {
        /// Which field could not be read.
        reason: &'static str,
    },
    /// The body's length is negative.
    #[error("expected a message body length of 0 or more, got {got}")]
    NegativeBodyLength {
        /// The length found.
        got: i64,
    },
    /// An end-of-stream marker where a stream should begin with its schema.
    #[error("expected a schema message, got the end of a stream")]
    EmptyStream,
    /// The header of a message does not fit into the memory budget, so its body cannot be found.
    #[error("the message header cannot be read: {0}")]
    OverBudget(OverBudget),
    /// The peer closed its side in the middle of a message.
    #[error("the peer closed the connection in the middle of {inside}")]
    Truncated {
        /// What was being read.
        inside: &'static str,
    },
    /// Bytes that should contain a whole message or stream end too early.
    #[error("{what} is cut short")]
    CutShort {
        /// What the bytes should contain.
        what: &'static str,
    },
}

/// One message is invalid, but its boundaries are known. The rest of its stream is skipped, and the connection continues.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MessageError {
    /// A message of a type that the stream does not allow here.
    #[error("expected {expected}, got {got}")]
    Unexpected {
        /// What the stream allows here.
        expected: &'static str,
        /// What was received.
        got: &'static str,
    },
    /// A count or length in the header contradicts the schema or the body.
    #[error("invalid record batch: expected {}, got {}", OneLine(expected), OneLine(got))]
    Inconsistent {
        /// The requirement.
        expected: String,
        /// What was found.
        got: String,
    },
    /// Larger than one of the [`Limits`](crate::Limits).
    #[error("limit exceeded: {what} of at most {limit}, got {got}")]
    OverLimit {
        /// The quantity with its unit.
        what: &'static str,
        /// The size found.
        got: u64,
        /// The limit in force.
        limit: u64,
    },
    /// The message does not fit into the memory budget.
    #[error("the message cannot be read: {0}")]
    OverBudget(OverBudget),
    /// Arrow rejected the schema or the columns.
    #[error("invalid Arrow data: {}", OneLine(.0))]
    Arrow(String),
}

impl From<OverBudget> for FramingError {
    fn from(error: OverBudget) -> Self {
        Self::OverBudget(error)
    }
}

impl From<OverBudget> for MessageError {
    fn from(error: OverBudget) -> Self {
        Self::OverBudget(error)
    }
}

/// A batch cannot be sent.
#[derive(Debug, Error)]
pub enum EncodeError {
    /// The batch does not match the stream's schema, or has a type that the format cannot express.
    #[error("{}", OneLine(.0))]
    Arrow(ArrowError),
    /// The batch does not fit into the memory budget together with the output that is waiting.
    #[error("{0}")]
    OverBudget(OverBudget),
}

impl From<ArrowError> for EncodeError {
    fn from(error: ArrowError) -> Self {
        Self::Arrow(error)
    }
}

impl From<OverBudget> for EncodeError {
    fn from(error: OverBudget) -> Self {
        Self::OverBudget(error)
    }
}

impl From<EncodeError> for ArrowError {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::Arrow(error) => error,
            EncodeError::OverBudget(error) => Self::MemoryError(error.to_string()),
        }
    }
}

impl From<ArrowError> for MessageError {
    fn from(error: ArrowError) -> Self {
        Self::Arrow(error.to_string())
    }
}

/// An error of either kind in incoming bytes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReadError {
    /// Fatal.
    #[error(transparent)]
    Framing(#[from] FramingError),
    /// The message and its stream are refused. The connection continues.
    #[error(transparent)]
    Message(#[from] MessageError),
}

/// Bytes as hexadecimal digits, and also as text if they are printable.
struct Shown<'a>(&'a [u8; 4]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.0;
        write!(f, "{a:02x} {b:02x} {c:02x} {d:02x}")?;
        if self.0.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) {
            write!(f, ", which is the text \"{}\"", self.0.escape_ascii())?;
        }
        Ok(())
    }
}
