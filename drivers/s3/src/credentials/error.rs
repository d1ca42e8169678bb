//! Why there are no credentials. The texts contain no secrets.

use std::path::PathBuf;
use thiserror::Error;
use vgi_rpc_external::TransferError;
use vgi_rpc_protocol::OneLine;

/// Why there are no credentials.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// This source is not set up. A [`Chain`](super::Chain) asks the next one.
    #[error("{source_name}: {missing}")]
    NotConfigured {
        /// The source.
        source_name: &'static str,
        /// What is missing.
        missing: String,
    },
    /// No source of a chain is set up.
    #[error("no source of credentials is set up ({})", .0.join("; "))]
    NoSource(Vec<String>),
    /// The credentials have expired, and their source provides no others.
    #[error("the credentials have expired, and their source provides no others")]
    Expired,
    /// A setting requires another one, which is missing.
    #[error("{given} is set, but {expected} is not")]
    Incomplete {
        /// The setting that is set.
        given: String,
        /// The setting that is missing.
        expected: String,
    },
    /// A setting is invalid.
    #[error("{setting}: expected {expected}")]
    Invalid {
        /// The setting.
        setting: String,
        /// The expected value.
        expected: &'static str,
    },
    /// A file cannot be read.
    #[error("{path} cannot be read: {error}", path = OneLine(path.display()))]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: String,
    },
    /// The shared files have no profile of the given name.
    #[error("there is no profile {profile:?} in the shared files")]
    NoProfile {
        /// The profile.
        profile: String,
    },
    /// A profile has a setting that this crate does not support.
    #[error("profile {profile:?}: {setting} is not supported")]
    Unsupported {
        /// The profile.
        profile: String,
        /// The setting.
        setting: &'static str,
    },
    /// The credentials service cannot be reached.
    #[error("{source_name}: {error}")]
    Transfer {
        /// The source.
        source_name: &'static str,
        /// Why.
        error: TransferError,
    },
    /// The credentials service refuses the request.
    #[error("{source_name}: the service answered with status {status}{}", code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default())]
    Refused {
        /// The source.
        source_name: &'static str,
        /// The status.
        status: u16,
        /// The code of the error, if the response has one.
        code: Option<String>,
    },
    /// The service's response is invalid.
    #[error("{source_name}: expected {expected} in the service's response")]
    Malformed {
        /// The source.
        source_name: &'static str,
        /// What is missing or invalid.
        expected: &'static str,
    },
}

impl CredentialsError {
    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Transfer { error, .. } => error.kind.is_retryable(),
            Self::Refused { status, .. } => matches!(status, 429 | 500..=599),
            _ => false,
        }
    }
}
