//! The supported content codings.

use std::fmt;

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Coding {
    /// Zstandard, RFC 8878. Requires the feature `zstd`: without it this variant does not exist, and the coding is unknown.
    #[cfg(feature = "zstd")]
    Zstd,
    /// Gzip, RFC 1952.
    Gzip,
}

impl Coding {
    /// Every coding, in the order in which this implementation prefers them.
    pub const ALL: &[Self] = &[
        #[cfg(feature = "zstd")]
        Self::Zstd,
        Self::Gzip,
    ];

    /// Returns the token in headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            #[cfg(feature = "zstd")]
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// Parses a token in any case. `x-gzip` is an old name of `gzip`. RFC 9110, section 8.4.1.3.
    pub fn from_token(token: &str) -> Option<Self> {
        let token = if token.eq_ignore_ascii_case("x-gzip") { Self::Gzip.as_str() } else { token };
        Self::ALL.iter().copied().find(|coding| token.eq_ignore_ascii_case(coding.as_str()))
    }
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
