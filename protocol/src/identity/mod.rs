//! `vgi_rpc.Identity.v2`: resolves tokens to identities, and issues grants to callers who have just authenticated.
//! IDENTITY_V2_SPEC, WIRE_PROTOCOL 16.
//!
//! A service hosts the protocol if it has an [`Identity`], whose hooks implement the deployment's policy: a [`Resolver`] of
//! tokens, and a function that mints grants. A method without its hook is not hosted. Rules that all deployments share are
//! implemented here: who may ask, which tokens are never looked up, how recently a caller must have authenticated, and the text
//! of each refusal.
//!
#![cfg_attr(feature = "http", doc = "```")]
#![cfg_attr(not(feature = "http"), doc = "```ignore")]
//! use vgi_rpc_protocol::identity::grants::GrantKeys;
//! use vgi_rpc_protocol::identity::{Identity, Resolver, TokenIdentity};
//! use vgi_rpc_protocol::service::{Protocol, Service};
//!
//! fn service(keys: GrantKeys, entropy: fn(&mut [u8])) -> Result<Service, Box<dyn std::error::Error>> {
//!     let resolver = Resolver::from_memory(|token| Ok((token == "a1b2").then(|| TokenIdentity::new("ann"))));
//!     let identity = Identity::builder()
//!         // The proxy in front of this server may ask whose token one is.
//!         .resolve_tokens(["front-proxy"], resolver)
//!         .sealed_grants(keys, entropy)
//!         .build()?;
//!     Ok(identity.host(Service::builder("0123456789ab").protocol(Protocol::new("demo.Reports.v1"))).build()?)
//! }
//! ```
//!
//! Only HTTP authenticates callers, and on other transports both methods refuse everybody. An HTTP endpoint of such a
//! service also accepts, as bearer tokens, the grants that it seals and the tokens that it resolves.
//!
//! Not here: how a request is authenticated, which is `http::auth`.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `hosting` | hosts the protocol in a service, and its builder |
// | `guards` | access checks, as pure functions |
// | `hooks` | the hooks that an application implements |
// | `refusals` | the errors of the protocol on the wire |
// | `names` | names on the wire |
// | `records` | the methods' results |
// | `client` | a client of the methods |
// | `grants` | grants that are sealed into a token |

mod client;
#[cfg(feature = "http")]
pub mod grants;
mod guards;
mod hooks;
mod hosting;
mod names;
mod records;
mod refusals;

pub use client::IdentityClient;
#[cfg(feature = "http")]
pub(crate) use guards::trim;
pub use guards::{MAX_TOKEN_BYTES, is_resolvable};
pub use hooks::{GrantRequest, HookError, MintError, Resolution, Resolver};
pub use hosting::{Identity, IdentityBuilder, IdentityError};
pub use names::PROTOCOL_NAME;
pub use records::{IssuedGrant, TokenIdentity};

use sha2::{Digest, Sha256};

/// Returns the SHA-256 of a token as 64 lowercase hex digits. It identifies a credential in a log without revealing it.
/// IDENTITY_V2_SPEC 6.
pub fn token_digest(token: &str) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(token.as_bytes()) {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests;
