//! Credentials in environment variables.

use super::environment::Environment;
use super::error::CredentialsError;
use super::json::time;
use super::provide::{Credentials, ProvideCredentials};
use super::secret::Secret;

const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const KEY: &str = "AWS_SECRET_ACCESS_KEY";
const TOKEN: &str = "AWS_SESSION_TOKEN";
const EXPIRATION: &str = "AWS_CREDENTIAL_EXPIRATION";

/// Credentials in `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, with temporary ones, `AWS_SESSION_TOKEN` and
/// `AWS_CREDENTIAL_EXPIRATION`.
///
/// The last one is a time of RFC 3339. If it is missing or invalid, the expiry of the credentials is unknown: they are used until
/// S3 refuses them, and URLs that are signed with them may stop working before their own expiry.
#[derive(Clone, Debug, Default)]
pub struct EnvironmentCredentials(Environment);

impl EnvironmentCredentials {
    /// Creates a source that reads these variables.
    pub const fn new(environment: Environment) -> Self {
        Self(environment)
    }
}

impl ProvideCredentials for EnvironmentCredentials {
    fn provide(&self) -> Result<Credentials, CredentialsError> {
        let Some(access_key_id) = self.0.get(KEY_ID) else {
            return Err(CredentialsError::NotConfigured {
                source_name: "environment",
                missing: format!("{KEY_ID} is not set"),
            });
        };
        let secret_access_key = Secret::new(self.0.beside(KEY, KEY_ID)?);
        let session_token = self.0.get(TOKEN).map(Secret::new);
        let expires_at = self.0.get(EXPIRATION).and_then(|text| time(&text));
        Ok(Credentials { access_key_id, secret_access_key, session_token, expires_at })
    }
}
