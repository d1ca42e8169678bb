//! The error of a call whose bytes could not be read, as its client sees it.

use super::code::Code;
use super::error::RpcError;
use crate::ipc::{EncodeError, FramingError, MessageError, ReadError};
use crate::memory::OverBudget;

/// The canonical implementation's type for an error about bytes.
const INVALID: &str = "ArrowInvalid";

impl From<OverBudget> for RpcError {
    /// There is no retry delay: that depends on other users of the budget.
    fn from(error: OverBudget) -> Self {
        Self::status(Code::ResourceExhausted, error.to_string())
    }
}

impl From<&MessageError> for RpcError {
    fn from(error: &MessageError) -> Self {
        match error {
            MessageError::OverBudget(error) => (*error).into(),
            error => Self::new(INVALID, error.to_string()),
        }
    }
}

impl From<&FramingError> for RpcError {
    fn from(error: &FramingError) -> Self {
        match error {
            FramingError::OverBudget(error) => (*error).into(),
            error => Self::new(INVALID, error.to_string()),
        }
    }
}

impl From<&ReadError> for RpcError {
    fn from(error: &ReadError) -> Self {
        match error {
            ReadError::Framing(error) => error.into(),
            ReadError::Message(error) => error.into(),
        }
    }
}

impl RpcError {
    /// Returns the error of a call whose result, header or output, named by `what`, cannot be encoded.
    pub(crate) fn unsendable(what: &str, error: EncodeError) -> Self {
        match error {
            EncodeError::Arrow(error) => Self::type_error(format!("{what} cannot be sent: {error}")),
            EncodeError::OverBudget(error) => error.into(),
        }
    }
}
