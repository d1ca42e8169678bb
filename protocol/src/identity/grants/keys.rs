//! The keys that seal grants, and a deployment's settings for them.

use super::keys_error::GrantKeysError;
use chacha20poly1305::aead::KeyInit;
use chacha20poly1305::{Key, XChaCha20Poly1305};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The default maximum lifetime of a grant in seconds: 7 days.
pub const DEFAULT_MAX_TTL_SECONDS: i64 = 7 * 24 * 3600;

/// Length of a key in bytes.
pub(super) const KEY_BYTES: usize = 32;
/// Length of a key's id in bytes.
pub(super) const KEY_ID_BYTES: usize = 8;
/// The maximum length of an audience in bytes, as in the reference.
const MAX_AUDIENCE_BYTES: usize = u16::MAX as usize;

const KEY_ID_LABEL: &[u8] = b"vgi_rpc.grant.kid.v1\0";
const AUTHENTICATED_DATA_LABEL: &[u8] = b"vgi_rpc.grant.v1\0";

/// A key that is ready to seal. Its bytes cannot be read back, and are erased when it is dropped.
pub(super) struct GrantKey {
    pub(super) id: [u8; KEY_ID_BYTES],
    // The cipher erases the key when it is dropped (its crate's feature `zeroize`). It is boxed so that it is not moved: a move
    // would leave a copy that is not erased.
    pub(super) cipher: Box<XChaCha20Poly1305>,
}

impl GrantKey {
    pub(super) fn new(secret: &[u8; KEY_BYTES]) -> Self {
        let digest: [u8; 32] =
            Sha256::new().chain_update(KEY_ID_LABEL).chain_update(secret).finalize().into();
        let id = digest.first_chunk().copied().unwrap_or_default();
        Self { id, cipher: Box::new(XChaCha20Poly1305::new(<&Key>::from(secret))) }
    }
}

/// The keys of sealed grants: the first key seals, and all of them verify. Clones share the keys.
///
/// To rotate keys, add the new one at the front, keep the old one until every grant that it sealed has expired, and then remove
/// it.
///
/// `Debug` shows no key.
#[derive(Clone)]
pub struct GrantKeys {
    keys: Arc<[GrantKey]>,
    audience: Arc<str>,
    max_ttl_seconds: i64,
}

impl GrantKeys {
    /// Creates keys from 32 random bytes each. The first one seals. The audience is empty, and grants last at most 7 days.
    ///
    /// # Errors
    /// If there is no key, or a key occurs twice.
    pub fn new(secrets: impl IntoIterator<Item = [u8; KEY_BYTES]>) -> Result<Self, GrantKeysError> {
        Self::from_keys(secrets.into_iter().map(|secret| Ok(GrantKey::new(&Zeroizing::new(secret)))))
    }

    pub(super) fn from_keys(
        made: impl Iterator<Item = Result<GrantKey, GrantKeysError>>,
    ) -> Result<Self, GrantKeysError> {
        let mut keys: Vec<GrantKey> = Vec::new();
        for key in made {
            let key = key?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(GrantKeysError::Duplicate { number: keys.len().saturating_add(1) });
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(GrantKeysError::Missing);
        }
        Ok(Self { keys: keys.into(), audience: "".into(), max_ttl_seconds: DEFAULT_MAX_TTL_SECONDS })
    }

    /// Sets the audience, which is bound into each grant: deployments of different audiences do not accept each other's grants,
    /// even if they share a key by mistake.
    ///
    /// # Errors
    /// If it is longer than 65535 bytes.
    pub fn audience(mut self, audience: &str) -> Result<Self, GrantKeysError> {
        if audience.len() > MAX_AUDIENCE_BYTES {
            return Err(GrantKeysError::Audience { got: audience.len() });
        }
        self.audience = audience.into();
        Ok(self)
    }

    /// Sets the maximum lifetime of a grant, in seconds. It applies both when grants are sealed and when they are verified.
    ///
    /// # Errors
    /// If it is not positive.
    pub fn max_ttl_seconds(mut self, seconds: i64) -> Result<Self, GrantKeysError> {
        if seconds <= 0 {
            return Err(GrantKeysError::MaxTtl);
        }
        self.max_ttl_seconds = seconds;
        Ok(self)
    }

    pub(super) fn ceiling(&self) -> i64 {
        self.max_ttl_seconds
    }

    /// Returns the key that seals.
    pub(super) fn sealing(&self) -> Option<&GrantKey> {
        self.keys.first()
    }

    /// Returns the key with this id. An id is not secret: each token contains one.
    pub(super) fn by_id(&self, id: [u8; KEY_ID_BYTES]) -> Option<&GrantKey> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// Returns the additional authenticated data of a key's tokens.
    pub(super) fn authenticated_data(&self, id: [u8; KEY_ID_BYTES]) -> Vec<u8> {
        [AUTHENTICATED_DATA_LABEL, &id, self.audience.as_bytes()].concat()
    }
}

impl fmt::Debug for GrantKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrantKeys")
            .field("keys", &self.keys.len())
            .field("audience", &self.audience)
            .field("max_ttl_seconds", &self.max_ttl_seconds)
            .finish()
    }
}
