//! A grant's token: seals it, and verifies it in the normative order. IDENTITY_V2_SPEC 9.1.
//!
//! The envelope is that of stream tokens, with a version, a nonce, the ciphertext and its tag. A grant names its key, so that
//! other keys need not be tried. It is neither compressed nor bound to a caller.

use super::keys::{GrantKeys, KEY_ID_BYTES};
use super::payload::GrantClaims;
use crate::identity::hooks::GrantRequest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{Tag, XNonce};
use std::time::Duration;
use thiserror::Error;

/// The prefix of each grant. An incompatible format would have another.
pub const PREFIX: &str = "vgig1.";

/// The maximum length of a grant's text, in bytes.
pub const MAX_GRANT_BYTES: usize = 4096;

/// The tolerated difference of clocks, in seconds.
const CLOCK_SKEW_SECONDS: i64 = 60;

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// Returns whether a bearer token is meant as a sealed grant, valid or not. No other authenticator may accept such a token.
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
        /// The reason, for the operator only: it would help an attacker to improve a forgery.
        diagnosis: &'static str,
    },
    /// It is a grant of this deployment, but not valid at this time.
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
    /// There is no principal.
    #[error("a grant needs a principal")]
    Principal,
    /// Its token would be longer than allowed, so no server would accept it.
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
    /// Returns the content of a grant that is sealed now. Its lifetime is the requested one, or the maximum of these keys if that
    /// is shorter.
    ///
    /// # Errors
    /// If there is no principal, or the lifetime is not positive.
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

    /// Seals a grant with the first key, and returns its token. Use a new random nonce for each.
    ///
    /// # Errors
    /// If the token would be longer than [`MAX_GRANT_BYTES`].
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

    /// Verifies that a token is a grant that one of these keys has sealed for this audience and that is valid now, and returns
    /// its content.
    ///
    /// # Errors
    /// If it is not. The lifetime is checked last, after the grant is known to be authentic.
    pub fn verify(&self, token: &str, now: Duration) -> Result<GrantClaims, InvalidGrant> {
        let text = token.strip_prefix(PREFIX).ok_or_else(|| invalid("it has another prefix"))?;
        if token.len() > MAX_GRANT_BYTES {
            return Err(invalid("it is too long"));
        }
        // This alphabet has no padding and rejects excess bits, so a token has only one spelling.
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

    /// Checks the content of an authentic grant.
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

/// Returns whole seconds since the Unix epoch.
fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// The minimum length of a grant in bytes, before base64.
#[cfg(test)]
pub(super) const SHORTEST_BYTES: usize = KEY_ID_BYTES + 1 + NONCE_BYTES + TAG_BYTES;
