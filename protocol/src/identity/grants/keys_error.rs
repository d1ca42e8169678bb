//! Errors of grant keys. No error repeats any part of a key.

use thiserror::Error;

/// Invalid grant keys, or invalid settings for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GrantKeysError {
    /// There is no key.
    #[error("expected at least one grant key, got none")]
    Missing,
    /// A key is invalid.
    #[error("grant key {number}: {error}")]
    Invalid {
        /// Its position, counted from 1.
        number: usize,
        /// The reason.
        error: InvalidGrantKey,
    },
    /// A key occurs twice.
    #[error("grant key {number} is the same as an earlier one")]
    Duplicate {
        /// Its position, counted from 1.
        number: usize,
    },
    /// The maximum lifetime is not positive.
    #[error("expected the longest lifetime of grants as a positive whole number of seconds")]
    MaxTtl,
    /// The audience is too long.
    #[error("expected an audience of grants of at most 65535 bytes, got {got}")]
    Audience {
        /// Its length in bytes.
        got: usize,
    },
}

/// Text that is not a grant key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidGrantKey {
    /// The text does not have the length of 32 bytes in base64.
    #[error(
        "expected 32 bytes in base64, which are 43 characters, or 44 with padding; got {got} bytes of text"
    )]
    Length {
        /// Length of the text in bytes.
        got: usize,
    },
    /// It is not base64.
    #[error("expected 32 bytes in standard base64, got something else")]
    NotBase64,
}
