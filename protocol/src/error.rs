//! Errors of the state machines. They show who is at fault: the peer, or the caller of a command.
//!
//! All error types of this crate and of the drivers follow two rules. **The text of an error contains the text of its
//! cause**, and the cause is a field rather than a `source()`, so printing a chain of sources shows everything once. Text
//! that a peer chose is shown in [one line](crate::OneLine).

use crate::OneLine;
use crate::ipc::{EncodeError, FramingError};
use crate::memory::OverBudget;
use arrow_schema::ArrowError;
use thiserror::Error;

/// The connection has failed permanently. Its output must still be sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The peer sent bytes that are not IPC streams.
    #[error("the peer broke the framing: {0}")]
    Framing(FramingError),
    /// The driver [gave up](crate::server::Connection::abandon) on the peer.
    #[error("the connection was abandoned")]
    Abandoned,
    /// The peer sent valid streams in an order that the protocol does not allow.
    #[error("the peer broke the protocol: expected {expected}, got {got}")]
    Protocol {
        /// What the protocol allows at this point.
        expected: &'static str,
        /// What the peer sent.
        got: &'static str,
    },
}

/// A command failed. The machine's state has not changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The caller issued the command at the wrong time.
    #[error("{command} is possible only {when}")]
    Misuse {
        /// The command.
        command: &'static str,
        /// When it may be issued.
        when: &'static str,
    },
    /// The caller's batch does not fit the stream's schema or cannot be encoded.
    #[error("the batch cannot be sent: {}", OneLine(.0))]
    Encode(ArrowError),
    /// The batch does not fit into the memory budget together with the output that is waiting.
    #[error("the batch cannot be sent: {0}")]
    OverBudget(OverBudget),
}

impl From<FramingError> for ConnectionError {
    fn from(error: FramingError) -> Self {
        Self::Framing(error)
    }
}

impl From<ArrowError> for CommandError {
    fn from(error: ArrowError) -> Self {
        Self::Encode(error)
    }
}

impl From<OverBudget> for CommandError {
    fn from(error: OverBudget) -> Self {
        Self::OverBudget(error)
    }
}

impl From<EncodeError> for CommandError {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::Arrow(error) => Self::Encode(error),
            EncodeError::OverBudget(error) => Self::OverBudget(error),
        }
    }
}
