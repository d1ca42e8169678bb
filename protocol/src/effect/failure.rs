//! Why an effect could not be performed.

use crate::wire::code::Code;
use crate::wire::error::RpcError;
use thiserror::Error;

/// Why an effect could not be performed. The message may reach the client.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Failure {
    /// The class of the failure.
    pub reason: FailureReason,
    /// A description for people.
    pub message: String,
}

/// The class of a [`Failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureReason {
    /// It took longer than [`Effect::time_limit`](super::Effect::time_limit).
    TimedOut,
    /// It cannot be done now, but perhaps later.
    Unavailable,
    /// It needs more memory than the budget has left.
    OverBudget,
    /// No driver performs such effects: the server is not set up for it.
    Unsupported,
    /// A rule forbids it, such as a URL policy or a limit. Retrying does not help.
    Refused,
    /// Anything else.
    Failed,
}

impl Failure {
    /// Creates a failure of a class.
    pub fn new(reason: FailureReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// Returns the failure of an effect that no driver performs.
    pub fn unsupported() -> Self {
        Self::new(FailureReason::Unsupported, "the server is not set up to ask the outside world")
    }
}

impl From<Failure> for RpcError {
    fn from(failure: Failure) -> Self {
        let code = match failure.reason {
            FailureReason::TimedOut => Code::DeadlineExceeded,
            FailureReason::Unavailable => Code::Unavailable,
            FailureReason::OverBudget => Code::ResourceExhausted,
            FailureReason::Unsupported => Code::Unimplemented,
            FailureReason::Refused | FailureReason::Failed => Code::Unknown,
        };
        Self::runtime_error(failure.message).with_code(code)
    }
}
