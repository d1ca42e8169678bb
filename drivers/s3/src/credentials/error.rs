//! Why there are no credentials. No text has a secret in it.

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
        /// Which source.
        source_name: &'static str,
        /// What it lacks.
        missing: String,
    },
    /// No source of a chain is set up.
    #[error("no source of credentials is set up ({})", .0.join("; "))]
    NoSource(Vec<String>),
    /// The credentials have expired, and their source gives no others.
    #[error("the credentials have expired, and their source gives no others")]
    Expired,
    /// A setting goes with another one that is missing.
    #[error("{given} is set, but {expected} is not")]
    Incomplete {
        /// The setting that is there.
        given: String,
        /// The setting that is not.
        expected: String,
    },
    /// A setting is invalid.
    #[error("{setting}: expected {expected}")]
    Invalid {
        /// The setting.
        setting: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A file cannot be read.
    #[error("{path} cannot be read: {error}", path = OneLine(path.display()))]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: String,
    },
    /// The shared files have no profile of the name that was given.
    #[error("there is no profile {profile:?} in the shared files")]
    NoProfile {
        /// The profile.
        profile: String,
    },
    /// A profile asks for something that this crate does not do.
    #[error("profile {profile:?}: {setting} is not supported")]
    Unsupported {
        /// The profile.
        profile: String,
        /// The setting that asks for it.
        setting: &'static str,
    },
    /// The service that gives credentials cannot be reached.
    #[error("{source_name}: {error}")]
    Transfer {
        /// Which source.
        source_name: &'static str,
        /// Why.
        error: TransferError,
    },
    /// The service that gives credentials refuses.
    #[error("{source_name}: the service answered with status {status}{}", code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default())]
    Refused {
        /// Which source.
        source_name: &'static str,
        /// The status.
        status: u16,
        /// The code of the error, if the answer has one.
        code: Option<String>,
    },
    /// The service's answer cannot be read.
    #[error("{source_name}: expected {expected} in the answer of the service")]
    Malformed {
        /// Which source.
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
