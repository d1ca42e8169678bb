//! Adds the bearer tokens of an identity to a deployment's own authenticator. IDENTITY_V2_SPEC 9.3.

use super::resolved_tokens::resolved_tokens;
use super::sealed_grants::sealed_grants;
use super::{AuthContext, AuthError, AuthRequest, Authenticator, Reason, chain};
use crate::identity::Identity;

/// Chains the deployment's authenticator, sealed grants and the token resolver, in this order. Without an authenticator, a
/// request that has no credential is anonymous.
///
/// Returns `own` unchanged if the identity accepts no bearer tokens.
pub(crate) fn with_identity_bearers(
    own: Option<Box<dyn Authenticator>>,
    identity: &Identity,
) -> Option<Box<dyn Authenticator>> {
    if !accepts_bearers(identity) {
        return own;
    }
    let anonymous = own.is_none();
    let mut alternatives: Vec<Box<dyn Authenticator>> = own.into_iter().collect();
    if let Some(keys) = identity.grant_keys() {
        alternatives.push(Box::new(sealed_grants(keys.clone())));
    }
    if let Some(resolver) = identity.resolver() {
        alternatives.push(Box::new(resolved_tokens(resolver.clone())));
    }
    if anonymous {
        alternatives.push(Box::new(anonymous_without_credential));
    }
    Some(Box::new(chain(alternatives)))
}

/// Whether an identity has bearer tokens of its own.
pub(crate) fn accepts_bearers(identity: &Identity) -> bool {
    identity.grant_keys().is_some() || identity.resolver().is_some()
}

fn anonymous_without_credential(request: &AuthRequest<'_>) -> Result<AuthContext, AuthError> {
    match request.non_empty_header("authorization")? {
        None => Ok(AuthContext::anonymous()),
        Some(_) => Err(AuthError::refused(Reason::InvalidCredential, "the credential was not accepted")),
    }
}
