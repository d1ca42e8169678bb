//! A chain of sources of credentials.

use super::container::ContainerCredentials;
use super::environment::Environment;
use super::error::CredentialsError;
use super::instance::InstanceCredentials;
use super::keys::EnvironmentCredentials;
use super::profile::ProfileCredentials;
use super::provide::{Credentials, ProvideCredentials};
use super::web_identity::WebIdentityCredentials;
use std::fmt;

/// Asks each source in order. The first one that is set up is used: if it fails, that is an error, and no other identity is
/// tried.
pub struct Chain(Vec<Box<dyn ProvideCredentials>>);

impl Chain {
    /// Returns a chain without sources.
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

    /// Returns the standard sources, in this order: variables, web identity, the shared files, the container's service and the
    /// instance's.
    ///
    /// If `AWS_PROFILE` is set, the shared files come before web identity.
    pub fn standard(environment: &Environment) -> Self {
        let keys = Self::empty().then(EnvironmentCredentials::new(environment.clone()));
        let web = WebIdentityCredentials::new(environment.clone());
        let profile = ProfileCredentials::new(environment.clone());
        let chain = match environment.get("AWS_PROFILE") {
            Some(_) => keys.then(profile).then(web),
            None => keys.then(web).then(profile),
        };
        chain
            .then(ContainerCredentials::new(environment.clone()))
            .then(InstanceCredentials::new(environment.clone()))
    }

    /// Adds a source, which is asked after the previous ones.
    pub fn then(mut self, source: impl ProvideCredentials) -> Self {
        self.0.push(Box::new(source));
        self
    }
}

impl ProvideCredentials for Chain {
    fn provide(&self) -> Result<Credentials, CredentialsError> {
        let mut missing = Vec::new();
        for source in &self.0 {
            match source.provide() {
                Err(error @ CredentialsError::NotConfigured { .. }) => missing.push(error.to_string()),
                other => return other,
            }
        }
        Err(CredentialsError::NoSource(missing))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("sources", &self.0.len()).finish_non_exhaustive()
    }
}
