//! Opaque bearer tokens that a resolver knows. IDENTITY_V2_SPEC 9.2.

use super::bearer::bearer_token;
use super::{AuthContext, AuthError, AuthRequest, Authenticator, Reason};
use crate::effect::{Completion, Question};
use crate::identity::grants::is_grant;
use crate::identity::{HookError, MintError, Resolution, Resolver, is_resolvable, trim};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The domain of callers whose token was resolved.
pub(super) const DOMAIN: &str = "token";

/// Accepts bearer tokens that a resolver knows; made by [`resolved_tokens`].
#[derive(Clone, Debug)]
pub struct ResolvedTokens {
    resolver: Resolver,
}

/// Accepts the bearer tokens that a resolver knows. The caller is the principal that the resolver returns, in the domain
/// `token`, with the claim `token_name`. It has no `auth_time`, so such a caller cannot mint a grant.
///
/// An unknown token is [refused](AuthError::Refused), so that the next alternative of a [`chain`](super::chain) is tried. So is
/// a token that is not [resolvable](is_resolvable) or is a sealed grant; the resolver never sees those. While the resolver
/// cannot answer, authentication is [unavailable](AuthError::Unavailable). A resolver that [may wait](Resolver::waiting) is
/// called by the driver, as an effect.
///
/// An endpoint does this by itself for the [identity](crate::identity) that its service hosts.
pub fn resolved_tokens(resolver: Resolver) -> ResolvedTokens {
    ResolvedTokens { resolver }
}

impl ResolvedTokens {
    fn resolve(&self, token: &str, request: &AuthRequest<'_>) -> Result<Resolution, AuthError> {
        if !self.resolver.may_wait() {
            return Ok(self.resolver.resolve(token));
        }
        let question = || {
            let (resolver, token) = (self.resolver.clone(), Zeroizing::new(token.to_owned()));
            Question::answered_by(move || Completion::value(resolver.resolve(&token)))
        };
        // Each resolver of a chain has its own answer for each token.
        let digest: [u8; 32] = Sha256::digest(token).into();
        let key =
            format!("vgi_rpc.resolve_token {} {}", self.resolver.number(), URL_SAFE_NO_PAD.encode(digest));
        let answer = request.ask(&key, question)?;
        answer
            .value::<Resolution>()
            .cloned()
            .ok_or_else(|| AuthError::Failed("the driver did not call the resolver of tokens".into()))
    }
}

impl Authenticator for ResolvedTokens {
    fn authenticate(&self, request: &AuthRequest<'_>) -> Result<AuthContext, AuthError> {
        let token = bearer_token(request)?;
        // This server makes grants itself: no resolver must see one, however it is padded.
        if !is_resolvable(token) || is_grant(trim(token)) {
            return Err(AuthError::refused(
                Reason::InvalidCredential,
                "the bearer token cannot be looked up",
            ));
        }
        match self.resolve(token, request)?? {
            Some(identity) => {
                Ok(AuthContext::new(DOMAIN, identity.principal).with_claim("token_name", identity.token_name))
            }
            None => Err(AuthError::refused(Reason::InvalidCredential, "the bearer token is unknown")),
        }
    }

    fn has_own_answers(&self) -> bool {
        self.resolver.may_wait()
    }
}

impl From<HookError> for AuthError {
    fn from(error: HookError) -> Self {
        match error {
            HookError::Unavailable { retry_after, detail } => Self::Unavailable { retry_after, detail },
            HookError::Failed(text) => Self::Failed(text),
        }
    }
}

/// A hook may ask the same questions as an authenticator and fail in the same way. An outage stays an outage, with its retry
/// time. WIRE_PROTOCOL 16, "Error kinds".
impl From<AuthError> for HookError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Unavailable { retry_after, detail } => Self::Unavailable { retry_after, detail },
            AuthError::Failed(text) => Self::Failed(text),
            other => Self::Failed(other.to_string()),
        }
    }
}

/// Like the conversion to [`HookError`].
impl From<AuthError> for MintError {
    fn from(error: AuthError) -> Self {
        HookError::from(error).into()
    }
}
