//! The keys that seal grants, and what else a deployment decides about them.

use super::keys_error::GrantKeysError;
use chacha20poly1305::aead::KeyInit;
use chacha20poly1305::{Key, XChaCha20Poly1305};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The longest that a grant lasts unless a deployment says otherwise, in seconds: 7 days.
pub const DEFAULT_MAX_TTL_SECONDS: i64 = 7 * 24 * 3600;

/// Length of a key in bytes.
pub(super) const KEY_BYTES: usize = 32;
/// Length of a key's id in bytes.
pub(super) const KEY_ID_BYTES: usize = 8;
/// The longest audience in bytes, as in the reference.
const MAX_AUDIENCE_BYTES: usize = u16::MAX as usize;

const KEY_ID_LABEL: &[u8] = b"vgi_rpc.grant.kid.v1\0";
const AUTHENTICATED_DATA_LABEL: &[u8] = b"vgi_rpc.grant.v1\0";

/// A key that is made ready to seal. Its bytes cannot be read back, and are erased when it is dropped.
pub(super) struct GrantKey {
    pub(super) id: [u8; KEY_ID_BYTES],
    // The cipher erases the key when it is dropped, which the feature `zeroize` of its crate does. It lies where it is not moved:
    // what a move leaves behind is not erased.
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

/// How a deployment seals grants: the first key seals, and each verifies. Clones share the keys.
///
/// To rotate a key, put the new one first, keep the old one behind it until every grant that it sealed has expired, and
/// then remove it.
///
/// `Debug` shows no key.
#[derive(Clone)]
pub struct GrantKeys {
    keys: Arc<[GrantKey]>,
    audience: Arc<str>,
    max_ttl_seconds: i64,
}

impl GrantKeys {
    /// Keys of 32 bytes drawn at random, the one that seals first. The audience is empty, and grants last 7 days at most.
    ///
    /// # Errors
    /// When there is no key, or the same one twice.
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

    /// Sets the audience, which is bound into each grant: deployments of different audiences do not accept each other's
    /// grants, even if they share a key by mistake.
    ///
    /// # Errors
    /// When it has more than 65535 bytes.
    pub fn audience(mut self, audience: &str) -> Result<Self, GrantKeysError> {
        if audience.len() > MAX_AUDIENCE_BYTES {
            return Err(GrantKeysError::Audience { got: audience.len() });
        }
        self.audience = audience.into();
        Ok(self)
    }

    /// Sets how long a grant may last at most, in seconds. It holds when grants are sealed, and when they are verified.
    ///
    /// # Errors
    /// When it is not positive.
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

    /// The key that seals.
    pub(super) fn sealing(&self) -> Option<&GrantKey> {
        self.keys.first()
    }

    /// The key of this id. An id is no secret: it is in each token.
    pub(super) fn by_id(&self, id: [u8; KEY_ID_BYTES]) -> Option<&GrantKey> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// What a token of a key is authenticated with beside its contents.
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
