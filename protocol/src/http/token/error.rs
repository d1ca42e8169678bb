//! Errors of opening and sealing tokens.

use thiserror::Error;

/// A token that a client presented is not accepted. The texts say no more, because an attacker with forged, stolen or altered
/// tokens must not learn which check failed (WIRE_PROTOCOL 10, "Verification order").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The token was not minted by this server for this caller and this use.
    #[error(
        "expected a token that this server issued for this caller and method, got one that it does not accept"
    )]
    Invalid,
    /// The token is genuine, but has expired.
    #[error("the token has expired")]
    Expired,
}

/// A token cannot be minted from these contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SealError {
    /// The contents are larger than the limit for opening.
    #[error("expected token contents of at most {limit} bytes, got {got}")]
    TooLarge {
        /// Size of the contents in bytes.
        got: usize,
        /// The limit, [`MAX_CONTENTS_BYTES`](super::MAX_CONTENTS_BYTES).
        limit: usize,
    },
}
