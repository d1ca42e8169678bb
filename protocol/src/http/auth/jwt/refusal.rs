//! Why a token is refused.

use super::super::{AuthError, AuthFailure, Reason};

/// The refusal of a token that is not valid. Why is for the operator alone.
pub(super) fn invalid(diagnosis: &'static str) -> AuthError {
    refused(Reason::InvalidCredential, "the bearer token is not valid", diagnosis)
}

/// A refusal for this reason. The diagnosis is for the operator alone.
pub(super) fn refused(reason: Reason, detail: &str, diagnosis: &'static str) -> AuthError {
    AuthError::Refused(AuthFailure::new(reason, detail).with_diagnosis(diagnosis))
}
