//! Sealed grants: encrypted credentials that contain their own permissions, so that no store is needed to accept them.
//! IDENTITY_V2_SPEC 9, GRANT_AUTHENTICATION.
//!
//! A single grant cannot be revoked. It ends when it expires, or when the key that sealed it is removed from the [`GrantKeys`];
//! keep their [lifetime](GrantKeys::max_ttl_seconds) short.
//!
//! ```
//! use std::time::Duration;
//! use vgi_rpc_protocol::identity::GrantRequest;
//! use vgi_rpc_protocol::identity::grants::GrantKeys;
//!
//! let keys = GrantKeys::new([[7; 32]])?.max_ttl_seconds(3600)?;
//! let now = Duration::from_secs(1_800_000_000);
//! let claims = keys.claims(&GrantRequest::new("ann", 600), "g-1", now)?;
//! // A nonce is drawn at random for each grant.
//! let token = keys.seal(&claims, [1; 24])?;
//! assert_eq!(keys.verify(&token, now)?.principal, "ann");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `keys` | keys, their ids, and a deployment's settings |
// | `keys_error` | the errors of keys |
// | `settings` | keys and settings from text |
// | `token` | sealing and verifying |
// | `payload` | the sealed content, as bytes |
// | `sealer` | minting with time and entropy |

mod keys;
mod keys_error;
mod payload;
mod sealer;
mod settings;
mod token;

pub use keys::{DEFAULT_MAX_TTL_SECONDS, GrantKeys};
pub use keys_error::{GrantKeysError, InvalidGrantKey};
pub use payload::GrantClaims;
pub(super) use sealer::GrantSealer;
pub use token::{InvalidGrant, MAX_GRANT_BYTES, PREFIX, UnmintableGrant, is_grant};

#[cfg(test)]
mod tests;
