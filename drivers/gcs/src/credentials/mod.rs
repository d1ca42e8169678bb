//! Keys that sign URLs, and where they come from.

// | file | subject |
// | --- | --- |
// | `service_account` | RSA keys of service accounts |
// | `hmac_key` | HMAC keys |
// | `signer` | either of them |
// | `environment` | which of them the environment names |
// | `secret` | texts that nothing shows |
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
