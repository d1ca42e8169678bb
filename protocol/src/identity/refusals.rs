//! The errors of the protocol on the wire: kind, code, type and text. IDENTITY_V2_SPEC 3, WIRE_PROTOCOL 16.
//!
//! No text contains a token or anything derived from one. All tokens that do not resolve are refused with the same text, so that
//! guessing reveals nothing.

use crate::wire::code::kind;
use crate::wire::detail::RetryInfo;
use crate::wire::error::RpcError;
use std::time::Duration;

/// The caller may not introspect. Definitive.
pub(super) fn introspection_refused(message: &str) -> RpcError {
    RpcError::of_kind(kind::INTROSPECTION_REFUSED, "IntrospectionRefusedError", message)
}

/// The token does not resolve, for whatever reason. Definitive.
pub(super) fn token_unresolved() -> RpcError {
    RpcError::of_kind(kind::TOKEN_UNRESOLVED, "TokenUnresolvedError", "unresolved")
}

/// The caller has not authenticated recently enough to mint. Definitive until they authenticate again.
pub(super) fn stale_auth(message: &str) -> RpcError {
    RpcError::of_kind(kind::STALE_AUTH, "StaleAuthError", message)
}

/// The grant is not issued. Definitive.
pub(super) fn grant_refused(message: &str) -> RpcError {
    RpcError::of_kind(kind::GRANT_REFUSED, "GrantRefusedError", message)
}

/// The answer is not available now. Transient, with the delay before a retry.
pub(super) fn identity_unavailable(retry_after: u32) -> RpcError {
    RpcError::of_kind(kind::IDENTITY_UNAVAILABLE, "IdentityUnavailableError", "identity lookup unavailable")
        .with_detail(RetryInfo::after(Duration::from_secs(retry_after.into())))
}

/// A hook failed. The reason is only for the operator.
pub(super) fn hook_failed() -> RpcError {
    RpcError::runtime_error("the identity hook failed")
}
