//! The error of decoding a body.

use super::coding::Coding;
use crate::memory::OverBudget;

/// A body that cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The body is not valid for its coding: status 400.
    #[error("expected a body coded with {coding}, but {reason}")]
    Corrupt {
        /// The stated coding.
        coding: Coding,
        /// The reason.
        reason: &'static str,
    },
    /// The decoded body is larger than allowed: status 413.
    #[error("expected a body of at most {max} bytes when decoded, got a larger one")]
    TooLarge {
        /// The limit in bytes.
        max: u64,
    },
    /// The decoded body, or its decoder, does not fit into the memory budget: status 503.
    #[error("the body cannot be decoded: {0}")]
    OverBudget(OverBudget),
}

impl From<OverBudget> for DecodeError {
    fn from(error: OverBudget) -> Self {
        Self::OverBudget(error)
    }
}

impl DecodeError {
    #[cfg(feature = "zstd")]
    pub(super) const fn corrupt_zstd(reason: &'static str) -> Self {
        Self::Corrupt { coding: Coding::Zstd, reason }
    }

    pub(super) const fn corrupt_gzip(reason: &'static str) -> Self {
        Self::Corrupt { coding: Coding::Gzip, reason }
    }
}
