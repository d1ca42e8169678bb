//! Admission: decides whether a call may proceed.

use crate::effect::{Answers, Ask, Failure};
use crate::service::context::CallContext;
use crate::wire::error::RpcError;

/// Decides whether a call may go on.
pub(crate) type Admission = dyn Fn(&CallContext, &Answers) -> Result<(), Stop> + Send + Sync;

/// Why [admission](crate::service::ServiceBuilder::admit) does not let a call proceed.
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    /// Respond to the call with this error.
    Refuse(RpcError),
    /// A question must be answered first.
    Ask(Ask),
}

impl Stop {
    /// Returns the error of a call that may ask no more questions.
    pub(crate) fn into_error(self) -> RpcError {
        match self {
            Self::Refuse(error) => error,
            Self::Ask(_) => RpcError::runtime_error("admission asks more questions than one call may"),
        }
    }
}

impl From<RpcError> for Stop {
    fn from(error: RpcError) -> Self {
        Self::Refuse(error)
    }
}

impl From<Ask> for Stop {
    fn from(ask: Ask) -> Self {
        Self::Ask(ask)
    }
}

impl From<&Failure> for Stop {
    fn from(failure: &Failure) -> Self {
        Self::Refuse(failure.clone().into())
    }
}
