//! Why an object could not be stored or a URL not signed, and invalid settings. No text and no `Debug` contains a secret.

use crate::credentials::CredentialsError;
use std::fmt;
use thiserror::Error;
use vgi_rpc_external::{NameError, TransferErrorKind};
use vgi_rpc_protocol::effect::{Failure, FailureReason};

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{operation} failed{}: {kind} (bucket {bucket})", After(*.attempts))]
pub struct S3Error {
    /// The operation, by its name in S3's API, such as `PutObject`.
    pub operation: &'static str,
    /// The bucket.
    pub bucket: String,
    /// Why the last attempt failed.
    pub kind: S3ErrorKind,
    /// The number of attempts. 0 if no request was sent.
    pub attempts: u32,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum S3ErrorKind {
    /// There are no credentials.
    #[error("no credentials: {0}")]
    Credentials(Box<CredentialsError>),
    /// The credentials have expired or are no longer valid, and so are the ones that were requested instead.
    #[error("the credentials are refused ({code})")]
    CredentialsRefused {
        /// The code of S3's error.
        code: String,
    },
    /// The credentials do not allow the operation, or a URL that was signed for it has expired.
    #[error("not allowed ({code})")]
    Denied {
        /// The code of S3's error.
        code: String,
    },
    /// The bucket is in another region than the one that the request was signed for.
    #[error("the bucket is not in region {used}{}", InRegion(.named.as_deref()))]
    WrongRegion {
        /// The region that the request was signed for.
        used: String,
        /// The region that S3 named, if any.
        named: Option<String>,
    },
    /// This machine's clock is wrong, and correcting it by S3's time did not help.
    #[error("the clock differs by {seconds} s from that of S3")]
    ClockSkew {
        /// Seconds by which S3's clock is ahead.
        seconds: i64,
    },
    /// The bucket does not exist.
    #[error("there is no such bucket")]
    NoSuchBucket,
    /// S3 throttles requests, and still did at the last attempt.
    #[error("S3 throttles requests ({status}, {code})")]
    Throttled {
        /// The status of the response.
        status: u16,
        /// The code of S3's error.
        code: String,
    },
    /// Another error of S3.
    #[error("S3 answered with status {status} ({code})")]
    Service {
        /// The status of the response.
        status: u16,
        /// The code of S3's error; `none` if it has none.
        code: String,
    },
    /// S3's response is invalid.
    #[error("expected {expected} in S3's response")]
    Malformed {
        /// What is missing.
        expected: &'static str,
    },
    /// The object is larger than S3 accepts.
    #[error("the object has {len} bytes, more than S3 accepts ({max})")]
    TooLarge {
        /// The object's size in bytes.
        len: u64,
        /// The limit.
        max: u64,
    },
    /// There is no response.
    #[error("{0}")]
    Transfer(TransferErrorKind),
    /// The object cannot be named.
    #[error("{0}")]
    Name(NameError),
    /// The signed URL is too long, or cannot be used for another reason.
    #[error("the signed URL cannot be used")]
    Url,
}

impl S3ErrorKind {
    /// Returns the reason of the failed effect.
    pub fn reason(&self) -> FailureReason {
        match self {
            Self::Transfer(kind) => kind.reason(),
            Self::Throttled { .. } => FailureReason::Unavailable,
            Self::Service { status: 500..=599, .. } => FailureReason::Unavailable,
            Self::Credentials(error) if error.is_retryable() => FailureReason::Unavailable,
            _ => FailureReason::Failed,
        }
    }
}

impl From<CredentialsError> for S3ErrorKind {
    fn from(error: CredentialsError) -> Self {
        Self::Credentials(Box::new(error))
    }
}

/// Failures are sent to clients. Why the server has no credentials is only for its operator, so it is omitted.
impl From<S3Error> for Failure {
    fn from(error: S3Error) -> Self {
        let message = match &error.kind {
            S3ErrorKind::Credentials(_) => "the server has no credentials for its store now".to_owned(),
            _ => error.to_string(),
        };
        Self::new(error.kind.reason(), message)
    }
}

struct After(u32);

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > 1 { write!(f, " after {} attempts", self.0) } else { Ok(()) }
    }
}

struct InRegion<'a>(Option<&'a str>);

impl fmt::Display for InRegion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(region) => write!(f, ", but in {region}"),
            None => Ok(()),
        }
    }
}

/// Why settings are invalid or incomplete.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum S3SettingsError {
    /// The text is not the URL of a bucket. It is not repeated, because it may contain credentials.
    #[error("expected s3://BUCKET or s3://BUCKET/PREFIX")]
    Url,
    /// The name of the bucket is invalid.
    #[error("expected a bucket's name of 3 to 63 letters, digits, dots, hyphens and underscores, got {0:?}")]
    Bucket(String),
    /// No region is set.
    #[error("expected a region: by the builder, AWS_REGION, AWS_DEFAULT_REGION or the profile")]
    NoRegion,
    /// The region is invalid.
    #[error("expected a region such as eu-west-1, got {0:?}")]
    Region(String),
    /// The endpoint is invalid. It is not repeated, because it may contain a password.
    #[error("expected an endpoint of http or https, with a host and without user, query and fragment")]
    Endpoint,
    /// The expiry is not within 1 s to 7 days.
    #[error("expected an expiry of 1 s to 7 days, got {0:?}")]
    Expiry(std::time::Duration),
    /// The size of parts is not within 5 MiB to 5 GiB.
    #[error("expected parts of 5 MiB to 5 GiB, got {0} bytes")]
    PartBytes(u64),
    /// The multipart threshold is more than 5 GiB, the most that a single request can store.
    #[error("expected a multipart threshold of at most 5 GiB, got {0} bytes")]
    MultipartFrom(u64),
    /// The prefix of names is invalid.
    #[error("{0}")]
    Prefix(NameError),
    /// TLS cannot be set up.
    #[error("{0}")]
    Tls(String),
}
