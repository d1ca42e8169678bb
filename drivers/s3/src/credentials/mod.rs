//! Credentials, their sources, and their refresh.
//!
//! This module provides the keys and the token. The code that signs with them is elsewhere.

// | file | subject |
// | --- | --- |
// | `secret` | texts that are not displayed |
// | `provide` | credentials, and the trait of their sources |
// | `error` | why a provider has no credentials |
// | `environment` | environment variables |
// | `keys` | credentials in variables |
// | `file` | reads files with limits |
// | `ini`, `profile` | the shared files |
// | `json` | credentials in responses of metadata services |
// | `requests` | requests to those services |
// | `web_identity`, `container`, `instance` | the sources that use those services |
// | `chain` | several sources in order |
// | `cache` | refreshes credentials before they expire, by one thread at a time |

mod cache;
mod chain;
mod container;
mod environment;
mod error;
mod file;
mod ini;
mod instance;
mod json;
mod keys;
mod profile;
mod provide;
mod requests;
mod secret;
mod web_identity;

pub(crate) use cache::Cache;
pub use chain::Chain;
pub use container::ContainerCredentials;
pub use environment::Environment;
pub use error::CredentialsError;
pub use instance::InstanceCredentials;
pub use keys::EnvironmentCredentials;
pub use profile::ProfileCredentials;
pub(crate) use profile::region as profile_region;
pub use provide::{Credentials, ProvideCredentials};
pub use secret::Secret;
pub use web_identity::WebIdentityCredentials;
