//! Sealed grants as bearer tokens. IDENTITY_V2_SPEC 9.3.

use super::bearer::bearer_token;
use super::{AuthContext, AuthError, AuthFailure, AuthRequest, Authenticator, Reason};
use crate::identity::grants::{GrantClaims, GrantKeys, InvalidGrant, is_grant};

/// The domain of callers who present a grant.
pub(super) const DOMAIN: &str = "grant";

/// Accepts sealed grants; made by [`sealed_grants`].
#[derive(Clone, Debug)]
pub struct SealedGrants {
    keys: GrantKeys,
}

/// Accepts grants sealed with these keys. The caller is the principal of the grant, in the domain `grant`, with the claims
/// `grant_id`, `scopes` and `purpose`. It has no `auth_time`, so a grant cannot mint another.
///
/// A token without the prefix of grants is [refused](AuthError::Refused), so that the next alternative of a
/// [`chain`](super::chain) looks at it. A token with the prefix that does not verify is [denied](AuthError::Denied): no
/// alternative sees it.
///
/// An endpoint does this by itself for the [identity](crate::identity) that its service hosts.
pub fn sealed_grants(keys: GrantKeys) -> SealedGrants {
    SealedGrants { keys }
}

impl Authenticator for SealedGrants {
    fn authenticate(&self, request: &AuthRequest<'_>) -> Result<AuthContext, AuthError> {
        let token = bearer_token(request)?;
        if !is_grant(token) {
            return Err(AuthError::refused(
                Reason::InvalidCredential,
                "the bearer token is not a sealed grant",
            ));
        }
        match self.keys.verify(token, request.now) {
            Ok(GrantClaims { principal, scopes, purpose, grant_id, .. }) => {
                Ok(AuthContext::new(DOMAIN, principal)
                    .with_claim("grant_id", grant_id)
                    .with_claim("scopes", scopes)
                    .with_claim("purpose", purpose))
            }
            Err(InvalidGrant::Expired) => Err(AuthError::denied(
                Reason::ExpiredCredential,
                "the sealed grant is not valid at this time",
            )),
            Err(InvalidGrant::Invalid { diagnosis }) => {
                // Which check failed would tell a forger how far a forgery got.
                let failure =
                    AuthFailure::new(Reason::InvalidCredential, "the sealed grant was not accepted");
                Err(AuthError::Denied(failure.with_diagnosis(diagnosis)))
            }
        }
    }
}
