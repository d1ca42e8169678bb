//! Mints sealed grants with their ids and nonces.

use super::keys::GrantKeys;
use super::token::UnmintableGrant;
use crate::identity::hooks::{GrantRequest, MintError};
use crate::identity::records::IssuedGrant;
use chrono::DateTime;
use std::time::Duration;

type Entropy = dyn Fn(&mut [u8]) + Send + Sync;

/// Mints grants with its keys.
pub(crate) struct GrantSealer {
    keys: GrantKeys,
    /// Fills memory with unpredictable bytes.
    entropy: Box<Entropy>,
}

impl GrantSealer {
    pub(crate) fn new(keys: GrantKeys, entropy: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        Self { keys, entropy: Box::new(entropy) }
    }

    pub(crate) fn keys(&self) -> &GrantKeys {
        &self.keys
    }

    pub(crate) fn mint(&self, request: &GrantRequest<'_>, now: Duration) -> Result<IssuedGrant, MintError> {
        // 32 lowercase hex digits.
        let id = format!("{:032x}", u128::from_be_bytes(self.random()));
        let claims = self.keys.claims(request, id, now).map_err(refused)?;
        let expires_at =
            DateTime::from_timestamp(claims.expires_at, 0).ok_or_else(|| refused(UnmintableGrant::Expiry))?;
        let token = self.keys.seal(&claims, self.random()).map_err(refused)?;
        Ok(IssuedGrant::new(token, expires_at).grant_id(claims.grant_id))
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.entropy)(&mut bytes);
        bytes
    }
}

fn refused(error: UnmintableGrant) -> MintError {
    MintError::refused(error.to_string())
}
