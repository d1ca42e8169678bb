//! JSON Web Tokens as bearer tokens, verified with the keys that their issuers publish. RFC 7515, 7517, 7519 and 8725.
//!
//! [`jwt`] makes an [`Authenticator`] of one [`JwtIssuer`] or several. It decides from memory. When it needs an issuer's keys, it
//! asks the driver for the document that they are in ([`LoadDocument`]), once for all calls that wait for it.
//!
//! ```
//! use vgi_rpc_protocol::http::auth::{JwtError, JwtIssuer, jwt};
//!
//! fn authenticator() -> Result<impl vgi_rpc_protocol::http::auth::Authenticator, JwtError> {
//!     jwt([JwtIssuer::new("https://login.example", ["tables"])])
//! }
//! # authenticator().unwrap();
//! ```
//!
//! | what comes | answer |
//! | --- | --- |
//! | no `Authorization` header | 401, `missing_credential` |
//! | a token that is no JWT, of another issuer or audience, or with a bad signature | 401, `invalid_credential` |
//! | a token that has expired, or is not valid yet | 401, `expired_credential` |
//! | a token whose key cannot be loaded now | 503 with `Retry-After` |
//!
//! What a token says of itself chooses nothing but the key: each key is used with the algorithms of its own type alone.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `issuer` | who issues tokens, and for whom |
// | `token` | a token in its compact form |
// | `key`, `key_set` | what verifies signatures |
// | `cache` | when keys are loaded and for how long they are used |
// | `source` | where keys lie, and how they are asked for |
// | `claims` | what a token must say |
// | `refusal` | why a token is refused |

mod cache;
mod claims;
mod issuer;
mod key;
mod key_set;
mod refusal;
mod source;
#[cfg(test)]
mod tests;
mod token;

pub use issuer::{JwtError, JwtIssuer};
pub use source::LoadDocument;

use super::bearer::bearer_token;
use super::{AuthContext, AuthError, AuthRequest, Authenticator};
use cache::Plan;
use issuer::Issuer;
use key_set::KeySet;
use refusal::invalid;
use std::fmt;
use std::sync::Arc;
use token::Token;

/// Accepts JSON Web Tokens; made by [`jwt`].
pub struct Jwt {
    issuers: Vec<Issuer>,
}

/// Accepts the bearer tokens of these issuers. The caller is the token's principal in the issuer's domain, with all claims.
///
/// Tokens of other issuers, and tokens that are no JWT, are [refused](AuthError::Refused), so that the next alternative of a
/// [`chain`](super::chain) looks at them.
///
/// # Errors
/// When there is no issuer, an issuer has no name or no audience, or two issuers share a name or a domain.
pub fn jwt(issuers: impl IntoIterator<Item = JwtIssuer>) -> Result<Jwt, JwtError> {
    issuer::checked(issuers.into_iter().collect()).map(|issuers| Jwt { issuers })
}

impl Authenticator for Jwt {
    fn authenticate(&self, request: &AuthRequest<'_>) -> Result<AuthContext, AuthError> {
        let token = Token::parse(bearer_token(request)?)?;
        let named = token.claims.get("iss").and_then(|issuer| issuer.as_str());
        let issuer = self.issuers.iter().find(|issuer| named == Some(&*issuer.name));
        let issuer = issuer.ok_or_else(|| invalid("of another issuer"))?;
        let keys = keys(issuer, &token, request)?;
        if !keys.verify(&token) && !new_keys(issuer, request)?.is_some_and(|keys| keys.verify(&token)) {
            return Err(invalid("the signature is not of the key"));
        }
        claims::check(issuer, token.claims, request.now)
    }
}

/// The keys that the token may be signed with. One of them has its id.
fn keys(issuer: &Issuer, token: &Token<'_>, request: &AuthRequest<'_>) -> Result<Arc<KeySet>, AuthError> {
    let now = request.now;
    if !issuer.source.is_answered(request) {
        match issuer.cache.plan(token.key_id.as_deref(), now) {
            Plan::Use(keys) => return Ok(keys),
            Plan::Later { retry_after } => {
                let detail =
                    "the issuer's keys were asked for a moment ago, and are not asked for again yet".into();
                return Err(AuthError::Unavailable { retry_after, detail });
            }
            Plan::Load => {}
        }
    }
    match issuer.source.load(&issuer.name, request) {
        Ok(keys) => {
            let keys = issuer.cache.loaded(keys, now);
            if keys.has(token.key_id.as_deref()) {
                Ok(keys)
            } else {
                Err(invalid("the issuer has no such key"))
            }
        }
        Err(error @ (AuthError::Ask(_) | AuthError::Failed(_))) => Err(error),
        // What was loaded before may do.
        Err(error) => issuer.cache.failed(token.key_id.as_deref(), now).ok_or(error),
    }
}

/// The keys that the issuer has by now, if they may be loaded for a signature that is of none that there were.
fn new_keys(issuer: &Issuer, request: &AuthRequest<'_>) -> Result<Option<Arc<KeySet>>, AuthError> {
    let has_loaded = issuer.source.is_answered(request);
    if has_loaded || !issuer.cache.may_load_again(request.now) {
        return Ok(None);
    }
    // Asks, and the next run has them from the beginning.
    issuer.source.load(&issuer.name, request).map(|keys| Some(issuer.cache.loaded(keys, request.now)))
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt").field("issuers", &self.issuers).finish()
    }
}
