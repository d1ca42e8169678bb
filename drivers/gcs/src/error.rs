//! Why an object could not be stored, and invalid settings. No text and no `Debug` contains a secret.

use crate::credentials::CredentialsError;
use crate::v4::{EndpointError, MAX_LIFETIME, SignError};
use std::fmt;
use std::time::Duration;
use thiserror::Error;
use vgi_rpc_external::{NameError, TlsConfigError, TransferErrorKind};
use vgi_rpc_protocol::effect::{Failure, FailureReason};

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{operation} failed{}: {kind} (bucket {bucket})", After(*.attempts))]
pub struct GcsError {
    /// The operation, such as `PUT object`.
    pub operation: &'static str,
    /// The bucket.
    pub bucket: String,
    /// Why the last attempt failed.
    pub kind: GcsErrorKind,
    /// The number of attempts. 0 if no request was sent.
    pub attempts: u32,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum GcsErrorKind {
    /// The object cannot be named.
    #[error("{0}")]
    Name(NameError),
    /// A URL cannot be signed.
    #[error("{0}")]
    Sign(SignError),
    /// The key is not accepted, or its account is not allowed to do this.
    #[error("not allowed ({code}){}", Skewed(*.skew))]
    Denied {
        /// The code of the error, such as `AccessDenied` or `SignatureDoesNotMatch`; `none` if the response has none.
        code: String,
        /// The seconds by which the server's clock is ahead of this machine's, if more than a minute. URLs that are signed with a
        /// wrong time are refused.
        skew: Option<i64>,
    },
    /// The server throttles requests, and still did at the last attempt.
    #[error("Cloud Storage throttles requests ({status}, {code})")]
    Throttled {
        /// The status of the response.
        status: u16,
        /// The code of the error; `none` if the response has none.
        code: String,
    },
    /// Another error of the server.
    #[error("Cloud Storage answered with status {status} ({code})")]
    Service {
        /// The status of the response.
        status: u16,
        /// The code of the error, such as `NoSuchBucket`; `none` if the response has none.
        code: String,
    },
    /// There is no response.
    #[error("{0}")]
    Transfer(TransferErrorKind),
}

impl GcsErrorKind {
    /// Returns the reason of the failed effect.
    pub const fn reason(&self) -> FailureReason {
        match self {
            Self::Transfer(kind) => kind.reason(),
            Self::Throttled { .. } | Self::Service { status: 500..=599, .. } => FailureReason::Unavailable,
            _ => FailureReason::Failed,
        }
    }
}

impl From<NameError> for GcsErrorKind {
    fn from(error: NameError) -> Self {
        Self::Name(error)
    }
}

impl From<SignError> for GcsErrorKind {
    fn from(error: SignError) -> Self {
        Self::Sign(error)
    }
}

impl From<GcsError> for Failure {
    fn from(error: GcsError) -> Self {
        Self::new(error.kind.reason(), error.to_string())
    }
}

struct After(u32);

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > 1 { write!(f, " after {} attempts", self.0) } else { Ok(()) }
    }
}

struct Skewed(Option<i64>);

impl fmt::Display for Skewed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(seconds) => write!(f, "; this clock differs from the server's by {seconds} s"),
            None => Ok(()),
        }
    }
}

/// Why settings are invalid or incomplete.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GcsSettingsError {
    /// The text is not the URL of a bucket. It is not repeated, because it may contain a password.
    #[error("expected gs://BUCKET or gs://BUCKET/PREFIX, without user, port, query and percent signs")]
    Url,
    /// The name of the bucket is invalid.
    #[error(
        "expected a bucket's name of 3 to 222 lowercase letters, digits, dots, hyphens and underscores, which begins and ends \
         with a letter or a digit, got {0:?}"
    )]
    Bucket(String),
    /// The prefix of names is invalid.
    #[error("{0}")]
    Prefix(NameError),
    /// The endpoint is invalid.
    #[error("{0}")]
    Endpoint(EndpointError),
    /// The expiry is not within 1 second to 7 days.
    #[error("expected an expiry of 1 s to {max} s, got {0:?}", max = MAX_LIFETIME.as_secs())]
    Expiry(Duration),
    /// There are no credentials, or they are invalid.
    #[error("{0}")]
    Credentials(CredentialsError),
    /// TLS cannot be set up.
    #[error("{0}")]
    Tls(TlsConfigError),
}
