//! Credentials in environment variables.

use super::environment::Environment;
use super::error::CredentialsError;
use super::provide::{Credentials, ProvideCredentials};
use super::secret::Secret;

const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const KEY: &str = "AWS_SECRET_ACCESS_KEY";
const TOKEN: &str = "AWS_SESSION_TOKEN";

/// Credentials in `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, with temporary ones, `AWS_SESSION_TOKEN`.
#[derive(Clone, Debug, Default)]
pub struct EnvironmentCredentials(Environment);

impl EnvironmentCredentials {
    /// From these variables.
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
        Ok(Credentials { access_key_id, secret_access_key, session_token, expires_at: None })
    }
}
