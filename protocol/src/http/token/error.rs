//! Why a token was not opened, or not sealed.

use thiserror::Error;

/// A token that a client presented is not honoured. Neither text says more: whoever probes with forged,
/// stolen or altered tokens must not learn which check stopped them (WIRE_PROTOCOL 10, "Verification order").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Not a token that this server minted for this caller and this use.
    #[error(
        "expected a token that this server issued for this caller and method, got one that it does not accept"
    )]
    Invalid,
    /// Genuine, but its time is over.
    #[error("the token has expired")]
    Expired,
}

/// A token cannot be minted from these contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SealError {
    /// The contents are larger than what would be opened again.
    #[error("expected token contents of at most {limit} bytes, got {got}")]
    TooLarge {
        /// Size of the contents in bytes.
        got: usize,
        /// The limit, [`MAX_CONTENTS_BYTES`](super::MAX_CONTENTS_BYTES).
        limit: usize,
    },
}
