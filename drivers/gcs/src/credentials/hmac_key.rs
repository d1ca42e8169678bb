//! An HMAC key: an access id and a secret, which are created in Cloud Storage's interoperability settings.

use super::error::CredentialsError;
use super::secret::Secret;
use crate::v4::{Canonical, SignError, UrlToSign};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use vgi_rpc_protocol::external::Location;
use zeroize::Zeroizing;

const ALGORITHM: &str = "GOOG4-HMAC-SHA256";

/// An HMAC key. The secret and the keys derived from it are wiped from memory when they are dropped.
pub struct HmacKey {
    access_id: String,
    secret: Secret,
}

impl HmacKey {
    /// Creates a key from its two parts.
    ///
    /// # Errors
    /// If one of them is empty, or has whitespace or control characters.
    pub fn new(access_id: impl Into<String>, secret: impl Into<String>) -> Result<Self, CredentialsError> {
        let (access_id, secret) = (access_id.into(), Secret::new(secret.into()));
        let is_valid = |text: &str| {
            !text.is_empty() && !text.chars().any(|letter| letter.is_whitespace() || letter.is_control())
        };
        if !is_valid(&access_id) {
            return Err(CredentialsError::AccessId);
        }
        if !is_valid(secret.expose()) {
            return Err(CredentialsError::Secret);
        }
        Ok(Self { access_id, secret })
    }

    /// Returns the access id. It is part of every URL that the key signs.
    pub fn access_id(&self) -> &str {
        &self.access_id
    }

    /// Signs a URL.
    pub(super) fn sign(&self, url: &UrlToSign<'_>) -> Result<Location, SignError> {
        let canonical = Canonical::new(url, ALGORITHM, &self.access_id)?;
        let mut key = Zeroizing::new(format!("GOOG4{}", self.secret.expose()).into_bytes());
        for part in [&*canonical.date, "auto", "storage", "goog4_request"] {
            key = Zeroizing::new(hmac(&key, part)?.to_vec());
        }
        canonical.signed(&*hmac(&key, &canonical.string_to_sign)?)
    }
}

fn hmac(key: &[u8], text: &str) -> Result<Zeroizing<[u8; 32]>, SignError> {
    // HMAC accepts keys of any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| SignError::Key)?;
    mac.update(text.as_bytes());
    Ok(Zeroizing::new(mac.finalize().into_bytes().into()))
}

impl fmt::Debug for HmacKey {
    /// Omits the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HmacKey").field("access_id", &self.access_id).finish_non_exhaustive()
    }
}
