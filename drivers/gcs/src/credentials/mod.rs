//! Keys that sign URLs, and their sources.

// | file | subject |
// | --- | --- |
// | `service_account` | RSA keys of service accounts |
// | `hmac_key` | HMAC keys |
// | `signer` | a key of either kind |
// | `environment` | reads the key of the environment |
// | `secret` | texts that are not displayed |
// | `error` | why credentials cannot be used |

mod environment;
mod error;
mod hmac_key;
mod secret;
mod service_account;
mod signer;

pub use error::CredentialsError;
pub use hmac_key::HmacKey;
pub use service_account::ServiceAccountKey;
pub use signer::Credentials;
