//! Credentials, and the trait of what gives them.

use super::error::CredentialsError;
use super::secret::Secret;
use std::fmt;
use std::time::Duration;

/// What requests are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The access key id, which is no secret: it is part of every signed URL.
    pub access_key_id: String,
    /// The key that signs.
    pub secret_access_key: Secret,
    /// Goes with temporary keys. It is part of every URL that is signed with them.
    pub session_token: Option<Secret>,
    /// Until when they may be used, since the Unix epoch; `None` for keys that do not expire.
    pub expires_at: Option<Duration>,
}

impl Credentials {
    /// Keys that do not expire.
    pub fn new(access_key_id: impl Into<String>, secret_access_key: Secret) -> Self {
        let access_key_id = access_key_id.into();
        Self { access_key_id, secret_access_key, session_token: None, expires_at: None }
    }

    /// How long they may still be used at this time; `None` for keys that do not expire.
    pub(crate) fn left(&self, now: Duration) -> Option<Duration> {
        self.expires_at.map(|end| end.saturating_sub(now))
    }
}

impl fmt::Debug for Credentials {
    /// Leaves the keys and the token out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// Gives credentials.
///
/// It may block. It is asked again before the credentials expire, and when S3 refuses them; never by two threads at a time.
pub trait ProvideCredentials: Send + Sync + 'static {
    /// The credentials as they are now: read or requested anew each time.
    ///
    /// # Errors
    /// [`CredentialsError::NotConfigured`] if this source is not set up, so that another one may be asked; otherwise what is wrong
    /// with it.
    fn provide(&self) -> Result<Credentials, CredentialsError>;
}

/// Credentials that were given as such.
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
