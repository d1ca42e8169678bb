//! Why an object could not be stored, and settings that are invalid. No text and no `Debug` shows what is secret.

use crate::credentials::CredentialsError;
use crate::v4::{EndpointError, MAX_LIFETIME, SignError};
use std::fmt;
use std::time::Duration;
use thiserror::Error;
use vgi_rpc_external::{NameError, TlsConfigError, TransferErrorKind};
use vgi_rpc_protocol::effect::{Failure, FailureReason};

/// Why Cloud Storage did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{operation} failed{}: {kind} (bucket {bucket})", After(*.attempts))]
pub struct GcsError {
    /// What was asked, such as `PUT object`.
    pub operation: &'static str,
    /// The bucket.
    pub bucket: String,
    /// What was wrong with the last attempt.
    pub kind: GcsErrorKind,
    /// Attempts that were made. 0 if no request was sent.
    pub attempts: u32,
}

/// What was wrong with an attempt.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum GcsErrorKind {
    /// The object cannot be named.
    #[error("{0}")]
    Name(NameError),
    /// A URL cannot be signed.
    #[error("{0}")]
    Sign(SignError),
    /// The key is not accepted, or what it stands for may not do that.
    #[error("not allowed ({code}){}", Skewed(*.skew))]
    Denied {
        /// The code of the error, such as `AccessDenied` or `SignatureDoesNotMatch`; `none` if the answer has none.
        code: String,
        /// Seconds by which the server's clock is ahead of this machine's, if they are more than a minute. URLs that are signed by
        /// a wrong clock are refused.
        skew: Option<i64>,
    },
    /// The server asks for fewer requests, and still did after the last attempt.
    #[error("Cloud Storage asks for fewer requests ({status}, {code})")]
    Throttled {
        /// The status of the response.
        status: u16,
        /// The code of the error; `none` if the answer has none.
        code: String,
    },
    /// Another error of the server's.
    #[error("Cloud Storage answered with status {status} ({code})")]
    Service {
        /// The status of the response.
        status: u16,
        /// The code of the error, such as `NoSuchBucket`; `none` if the answer has none.
        code: String,
    },
    /// There is no response.
    #[error("{0}")]
    Transfer(TransferErrorKind),
}

impl GcsErrorKind {
    /// Which class of failures an effect that ends with this belongs to.
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

/// Settings that are invalid, or lack something.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GcsSettingsError {
    /// The text is not the URL of a bucket. It is not repeated, because it may have a password.
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
    /// A URL may be used for 1 second to 7 days.
    #[error("expected an expiry of 1 s to {max} s, got {0:?}", max = MAX_LIFETIME.as_secs())]
    Expiry(Duration),
    /// There are no credentials, or they are invalid.
    #[error("{0}")]
    Credentials(CredentialsError),
    /// TLS cannot be set up.
    #[error("{0}")]
    Tls(TlsConfigError),
}
