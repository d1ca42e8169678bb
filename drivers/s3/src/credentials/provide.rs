//! Credentials, and the trait of their sources.

use super::error::CredentialsError;
use super::secret::Secret;
use std::fmt;
use std::time::Duration;

/// The credentials that requests are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The access key id, which is not secret: it is part of every signed URL.
    pub access_key_id: String,
    /// The signing key.
    pub secret_access_key: Secret,
    /// The token of temporary keys. It is part of every URL that is signed with them.
    pub session_token: Option<Secret>,
    /// When they expire, since the Unix epoch; `None` for keys that do not expire.
    pub expires_at: Option<Duration>,
}

impl Credentials {
    /// Creates keys that do not expire.
    pub fn new(access_key_id: impl Into<String>, secret_access_key: Secret) -> Self {
        let access_key_id = access_key_id.into();
        Self { access_key_id, secret_access_key, session_token: None, expires_at: None }
    }

    /// Returns the time until they expire; `None` for keys that do not expire.
    pub(crate) fn left(&self, now: Duration) -> Option<Duration> {
        self.expires_at.map(|end| end.saturating_sub(now))
    }
}

impl fmt::Debug for Credentials {
    /// Omits the keys and the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// Provides credentials.
///
/// It may block. It is called again before the credentials expire and when S3 refuses them, by one thread at a time.
pub trait ProvideCredentials: Send + Sync + 'static {
    /// Reads or requests the current credentials, anew each time.
    ///
    /// # Errors
    /// [`CredentialsError::NotConfigured`] if this source is not set up, so that another one may be asked; another error if it
    /// fails.
    fn provide(&self) -> Result<Credentials, CredentialsError>;
}

/// Returns a copy of these credentials.
impl ProvideCredentials for Credentials {
    fn provide(&self) -> Result<Credentials, CredentialsError> {
        Ok(self.clone())
    }
}

impl<F> ProvideCredentials for F
where
    F: Fn() -> Result<Credentials, CredentialsError> + Send + Sync + 'static,
{
    fn provide(&self) -> Result<Credentials, CredentialsError> {
        self()
    }
}
