//! JSON Web Tokens as bearer tokens, verified with the keys that their issuers publish. RFC 7515, 7517, 7519 and 8725.
//!
//! [`jwt`] makes an [`Authenticator`] from one or more [`JwtIssuer`]s. It verifies tokens with cached keys. If it needs an
//! issuer's keys, it asks the driver to load their document ([`LoadDocument`](super::LoadDocument)), once for all calls that
//! wait for it.
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
//! | request | response |
//! | --- | --- |
//! | no `Authorization` header | 401, `missing_credential` |
//! | a token that is not a JWT, of another issuer or audience, or with a bad signature | 401, `invalid_credential` |
//! | a token that has expired, or is not valid yet | 401, `expired_credential` |
//! | a token whose key cannot be loaded now | 503 with `Retry-After` |
//!
//! A token's header selects only the key: each key is used only with the algorithms of its own type.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `issuer` | the settings of an issuer |
// | `token` | a token in its compact form |
// | `key`, `key_set` | keys that verify signatures |
// | `cache` | when keys are loaded and for how long they are used |
// | `source` | where keys are published, and how they are loaded |
// | `claims` | the validation of claims |
// | `refusal` | the errors for refused tokens |

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

use super::bearer::bearer_token;
use super::{AuthContext, AuthError, AuthRequest, Authenticator};
use cache::{MIN_INTERVAL_SECONDS, Plan};
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
/// Tokens of other issuers, and tokens that are not JWTs, are [refused](AuthError::Refused), so that the next alternative of a
/// [`chain`](super::chain) looks at them.
///
/// # Errors
/// If there is no issuer, an issuer has no name or no audience, or two issuers share a name or a domain.
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
        if !keys.verify(&token) && !new_keys(issuer, &token, request)?.is_some_and(|keys| keys.verify(&token))
        {
            return Err(invalid("the signature does not match the key"));
        }
        claims::check(issuer, token.claims, request.now)
    }
}

/// Returns the keys that the token may be signed with. One of them has its id.
fn keys(issuer: &Issuer, token: &Token<'_>, request: &AuthRequest<'_>) -> Result<Arc<KeySet>, AuthError> {
    let key_id = token.key_id.as_deref();
    if issuer.source.answered_since(request).is_none() {
        match issuer.cache.plan(key_id, request.now) {
            Plan::Use(keys) => return Ok(keys),
            Plan::Later { retry_after } => {
                let detail =
                    "the issuer's keys were requested a moment ago, and are not requested again yet".into();
                return Err(AuthError::Unavailable { retry_after, detail });
            }
            Plan::Load => {}
        }
    }
    let keys = load(issuer, token, request)?;
    if keys.has(key_id) { Ok(keys) } else { Err(invalid("the issuer has no such key")) }
}

/// Returns the issuer's current keys, if they may be loaded again because no known key verifies a signature.
fn new_keys(
    issuer: &Issuer,
    token: &Token<'_>,
    request: &AuthRequest<'_>,
) -> Result<Option<Arc<KeySet>>, AuthError> {
    let has_loaded = issuer.source.answered_since(request).is_some();
    if has_loaded || !issuer.cache.may_load_again(request.now) {
        return Ok(None);
    }
    // Asks; the next run starts with the new keys.
    load(issuer, token, request).map(Some)
}

/// Returns the issuer's keys once the driver has loaded them. If loading fails, keys loaded before may be used.
fn load(issuer: &Issuer, token: &Token<'_>, request: &AuthRequest<'_>) -> Result<Arc<KeySet>, AuthError> {
    let key_id = token.key_id.as_deref();
    // Another part of the authenticator may have waited since then: the answer is as old as its question.
    let answered = issuer.source.answered_since(request);
    if let Some(keys) = answered.and_then(|asked| issuer.cache.loaded_since(asked, key_id)) {
        return Ok(keys);
    }
    let asked = answered.unwrap_or(request.now);
    match issuer.source.load(&issuer.name, request) {
        Ok(keys) => Ok(issuer.cache.loaded(keys, asked, request.now)),
        Err(error @ (AuthError::Ask(_) | AuthError::Failed(_))) => Err(error),
        Err(error) => issuer.cache.failed(key_id, asked, request.now).ok_or(match error {
            AuthError::Unavailable { detail, .. } => {
                AuthError::Unavailable { retry_after: MIN_INTERVAL_SECONDS, detail }
            }
            error => error,
        }),
    }
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt").field("issuers", &self.issuers).finish()
    }
}
