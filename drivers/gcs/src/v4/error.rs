//! Why a URL cannot be signed.

use super::url::MAX_LIFETIME;
use std::time::Duration;
use thiserror::Error;
use vgi_rpc_protocol::external::LocationError;

/// Why a URL cannot be signed. No value of the URL is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SignError {
    /// The lifetime is too short or too long.
    #[error("expected a lifetime of 1 second to {max} seconds, got {got:?}", max = MAX_LIFETIME.as_secs())]
    Lifetime {
        /// The requested lifetime.
        got: Duration,
    },
    /// The signing time is out of range.
    #[error("expected a time of signing between the years 1970 and 9999: the clock is wrong")]
    Time,
    /// The method is not an HTTP method.
    #[error("expected a method in capital letters, such as GET")]
    Method,
    /// The path is invalid.
    #[error(
        "expected a path that begins with a slash, without control characters and parts that are only dots"
    )]
    Path,
    /// A header cannot be sent, or is `Host`.
    #[error(
        "expected headers other than Host, with valid names and without control characters in their values"
    )]
    Header,
    /// The URL is not valid.
    #[error("the signed URL is invalid: {0}")]
    Location(LocationError),
    /// The private key failed to sign.
    #[error("the private key cannot sign")]
    Key,
}

impl From<LocationError> for SignError {
    fn from(error: LocationError) -> Self {
        Self::Location(error)
    }
}
