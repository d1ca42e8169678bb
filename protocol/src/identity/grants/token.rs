//! The token of a grant: sealing it, and verifying it in the order that is normative. IDENTITY_V2_SPEC 9.1.
//!
//! The envelope is that of the tokens of streams, with a version, a nonce, the ciphertext and its tag. A grant names its key,
//! so that none is tried in vain, and it is neither compressed nor bound to a caller.

use super::keys::{GrantKeys, KEY_ID_BYTES};
use super::payload::GrantClaims;
use crate::identity::hooks::GrantRequest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{Tag, XNonce};
use std::time::Duration;
use thiserror::Error;

/// What each grant begins with. An incompatible format would begin otherwise.
pub const PREFIX: &str = "vgig1.";

/// The longest text of a grant, in bytes.
pub const MAX_GRANT_BYTES: usize = 4096;

/// How far clocks may differ, in seconds.
const CLOCK_SKEW_SECONDS: i64 = 60;

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// Whether a bearer token is meant as a sealed grant, good or bad. Nothing else may judge such a token.
pub fn is_grant(token: &str) -> bool {
    token.starts_with(PREFIX)
}

/// Why a grant is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidGrant {
    /// The token is not a grant of this deployment.
    #[error("the grant is invalid: {diagnosis}")]
    Invalid {
        /// What is wrong with it, for the operator alone: it would tell a forger how far a forgery got.
        diagnosis: &'static str,
    },
    /// It is a grant of this deployment, and not valid at this time.
    #[error("the grant has expired or is not valid yet")]
    Expired,
}

/// Why a grant cannot be minted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnmintableGrant {
    /// The lifetime is not positive.
    #[error("ttl_seconds must be positive")]
    Ttl,
    /// There is nobody whom it would speak for.
    #[error("a grant needs a principal")]
    Principal,
    /// Its token would be longer than a grant may be, so that nothing would accept it.
    #[error("purpose and scopes are too long for a grant")]
    TooLong,
    /// The expiry time cannot be represented.
    #[error("the grant would expire too far in the future")]
    Expiry,
}

fn invalid(diagnosis: &'static str) -> InvalidGrant {
    InvalidGrant::Invalid { diagnosis }
}

impl GrantKeys {
    /// What a grant that is sealed now says. Its lifetime is the one asked for, or the longest that these keys allow.
    ///
    /// # Errors
    /// When there is no principal, or the lifetime is not positive.
    pub fn claims(
        &self,
        request: &GrantRequest<'_>,
        grant_id: impl Into<String>,
        now: Duration,
    ) -> Result<GrantClaims, UnmintableGrant> {
        if request.ttl_seconds <= 0 {
            return Err(UnmintableGrant::Ttl);
        }
        if request.principal.is_empty() {
            return Err(UnmintableGrant::Principal);
        }
        let issued_at = seconds(now);
        let lifetime = request.ttl_seconds.min(self.ceiling());
        Ok(GrantClaims {
            principal: request.principal.to_owned(),
            scopes: request.scopes.to_vec(),
            purpose: request.purpose.to_owned(),
            grant_id: grant_id.into(),
            issued_at,
            expires_at: issued_at.checked_add(lifetime).ok_or(UnmintableGrant::Expiry)?,
        })
    }

    /// The token of a grant, sealed with the first key. Draw a nonce at random for each.
    ///
    /// # Errors
    /// When the token would be longer than [`MAX_GRANT_BYTES`].
    pub fn seal(&self, claims: &GrantClaims, nonce: [u8; NONCE_BYTES]) -> Result<String, UnmintableGrant> {
        let key = self.sealing().ok_or(UnmintableGrant::TooLong)?;
        let mut payload = claims.encode().ok_or(UnmintableGrant::TooLong)?;
        let tag: [u8; TAG_BYTES] = key
            .cipher
            .encrypt_inout_detached(
                &XNonce::from(nonce),
                &self.authenticated_data(key.id),
                payload.as_mut_slice().into(),
            )
            .map_err(|_| UnmintableGrant::TooLong)?
            .into();
        let sealed = [key.id.as_slice(), &[VERSION], &nonce, payload.as_slice(), &tag].concat();
        let mut token = PREFIX.to_owned();
        URL_SAFE_NO_PAD.encode_string(sealed, &mut token);
        if token.len() > MAX_GRANT_BYTES {
            return Err(UnmintableGrant::TooLong);
        }
        Ok(token)
    }

    /// What a token says, if it is a grant that one of these keys has sealed for this audience, and is valid now.
    ///
    /// # Errors
    /// Otherwise. The lifetime is checked last, when the grant has been proven authentic.
    pub fn verify(&self, token: &str, now: Duration) -> Result<GrantClaims, InvalidGrant> {
        let text = token.strip_prefix(PREFIX).ok_or_else(|| invalid("it has another prefix"))?;
        if token.len() > MAX_GRANT_BYTES {
            return Err(invalid("it is too long"));
        }
        // This alphabet has no padding, and refuses bits beyond the last byte: a token has one spelling.
        let mut sealed = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| invalid("it is not canonical base64url without padding"))?;
        let (key_id, rest) =
            sealed.split_first_chunk_mut::<KEY_ID_BYTES>().ok_or_else(|| invalid("it is too short"))?;
        let key_id = *key_id;
        let key = self.by_id(key_id).ok_or_else(|| invalid("it was sealed with an unknown key"))?;
        let (version, rest) = rest.split_first_mut().ok_or_else(|| invalid("it is too short"))?;
        if *version != VERSION {
            return Err(invalid("its envelope has another version"));
        }
        let (nonce, rest) =
            rest.split_first_chunk_mut::<NONCE_BYTES>().ok_or_else(|| invalid("it is too short"))?;
        let (payload, tag) =
            rest.split_last_chunk_mut::<TAG_BYTES>().ok_or_else(|| invalid("it is too short"))?;
        key.cipher
            .decrypt_inout_detached(
                &XNonce::from(*nonce),
                &self.authenticated_data(key_id),
                (&mut *payload).into(),
                &Tag::from(*tag),
            )
            .map_err(|_| invalid("it does not open"))?;
        let claims = GrantClaims::decode(payload).ok_or_else(|| invalid("its payload is malformed"))?;
        self.check(claims, now)
    }

    /// Checks an authentic grant.
    fn check(&self, claims: GrantClaims, now: Duration) -> Result<GrantClaims, InvalidGrant> {
        if claims.principal.is_empty() {
            return Err(invalid("it names no principal"));
        }
        match claims.expires_at.checked_sub(claims.issued_at) {
            Some(lifetime) if lifetime > 0 && lifetime <= self.ceiling() => {}
            _ => return Err(invalid("its lifetime is not one that is allowed")),
        }
        let now = seconds(now);
        if claims.issued_at > now.saturating_add(CLOCK_SKEW_SECONDS)
            || now >= claims.expires_at.saturating_add(CLOCK_SKEW_SECONDS)
        {
            return Err(InvalidGrant::Expired);
        }
        Ok(claims)
    }
}

/// Whole seconds since the Unix epoch.
fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// The shortest grant in bytes, before base64.
#[cfg(test)]
pub(super) const SHORTEST_BYTES: usize = KEY_ID_BYTES + 1 + NONCE_BYTES + TAG_BYTES;
