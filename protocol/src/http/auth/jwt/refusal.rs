//! The errors for refused tokens.

use super::super::{AuthError, AuthFailure, Reason};

/// Returns the refusal of an invalid token. Only the operator sees the diagnosis.
pub(super) fn invalid(diagnosis: &'static str) -> AuthError {
    refused(Reason::InvalidCredential, "the bearer token is not valid", diagnosis)
}

/// Returns a refusal for this reason. Only the operator sees the diagnosis.
pub(super) fn refused(reason: Reason, detail: &str, diagnosis: &'static str) -> AuthError {
    AuthError::Refused(AuthFailure::new(reason, detail).with_diagnosis(diagnosis))
}
