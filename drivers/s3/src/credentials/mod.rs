//! Credentials: what they are, where they come from, and how they are kept fresh.
//!
//! Lives here: everything up to a pair of keys and a token. Not here: what is signed with them.

// | file | subject |
// | --- | --- |
// | `secret` | texts that nothing shows |
// | `provide` | credentials, and the trait of what gives them |
// | `error` | why a provider has no credentials |
// | `environment` | the variables that settings come from |
// | `keys` | credentials in variables |
// | `file` | files that hold credentials, read with limits |
// | `ini`, `profile` | the shared files |
// | `json` | credentials in the answers of metadata services |
// | `requests` | requests to those services |
// | `web_identity`, `container`, `instance` | what they are asked |
// | `chain` | one after the other |
// | `cache` | refreshed before they expire, by one thread at a time |

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
