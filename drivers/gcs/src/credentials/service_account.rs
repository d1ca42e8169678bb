//! The RSA key of a service account, from the JSON file that Google Cloud issues.

use super::error::CredentialsError;
use super::secret::Secret;
use crate::v4::{Canonical, Endpoint, SignError, UrlToSign};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use vgi_rpc_protocol::external::Location;
use zeroize::{Zeroize, Zeroizing};

const ALGORITHM: &str = "GOOG4-RSA-SHA256";
/// The `type` of a file that has a private key.
const TYPE: &str = "service_account";
/// The maximum size of a key file. Key files have about 2,400 bytes.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// A service account and its private key.
///
/// The texts that the key is read from are wiped from memory. The key itself is not: *ring* does not wipe it when it is dropped.
/// The JSON parser does not wipe its buffer either.
pub struct ServiceAccountKey {
    email: String,
    universe: Option<String>,
    key: RsaKeyPair,
}

/// The required fields of a key file.
#[derive(Deserialize)]
struct KeyFile {
    #[serde(rename = "type")]
    kind: Option<String>,
    client_email: Option<String>,
    private_key: Option<Secret>,
    universe_domain: Option<String>,
}

impl ServiceAccountKey {
    /// Reads a key file.
    ///
    /// # Errors
    /// If it cannot be read, or is not the key file of a service account.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, CredentialsError> {
        let path = path.as_ref();
        let failed = |error| CredentialsError::Read { path: path.to_owned(), error };
        let file = File::open(path).map_err(failed)?;
        // It has its final capacity from the start, because growing would leave copies behind.
        let mut json = Zeroizing::new(Vec::with_capacity(MAX_FILE_BYTES as usize + 1));
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut json).map_err(failed)?;
        if json.len() as u64 > MAX_FILE_BYTES {
            return Err(CredentialsError::TooLarge { max: MAX_FILE_BYTES });
        }
        Self::from_json(&json)
    }

    /// Parses the text of a key file.
    ///
    /// # Errors
    /// If it is not the key file of a service account.
    pub fn from_json(json: &[u8]) -> Result<Self, CredentialsError> {
        // The parser's error text may repeat a value.
        let invalid =
            |error: serde_json::Error| CredentialsError::Json { line: error.line(), column: error.column() };
        let file: KeyFile = serde_json::from_slice(json).map_err(invalid)?;
        let kind = file.kind.ok_or(CredentialsError::Missing { field: "type" })?;
        if kind != TYPE {
            return Err(CredentialsError::Type { got: kind.chars().take(40).collect() });
        }
        let email = file.client_email.ok_or(CredentialsError::Missing { field: "client_email" })?;
        let key = file.private_key.ok_or(CredentialsError::Missing { field: "private_key" })?;
        if let Some(domain) = &file.universe_domain {
            Endpoint::of_universe(domain).map_err(|_| CredentialsError::Universe)?;
        }
        Ok(Self { universe: file.universe_domain, ..Self::new(email, key.expose())? })
    }

    /// Creates a key from its parts: the e-mail address of the account, and the private key in PEM form, as PKCS#8 or PKCS#1.
    ///
    /// # Errors
    /// If the address is empty or has control characters, or the key is not an RSA key of 2048 to 4096 bits.
    pub fn new(email: impl Into<String>, private_key_pem: &str) -> Result<Self, CredentialsError> {
        let email = email.into();
        if email.is_empty() || email.chars().any(char::is_control) {
            return Err(CredentialsError::Email);
        }
        let mut der =
            PrivateKeyDer::from_pem_slice(private_key_pem.as_bytes()).map_err(|_| CredentialsError::Pem)?;
        let key = match &der {
            PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
            _ => return Err(CredentialsError::Pem),
        };
        der.zeroize();
        let key = key.map_err(|error| CredentialsError::Key { reason: error.to_string() })?;
        Ok(Self { email, universe: None, key })
    }

    /// Returns the e-mail address of the account. It is part of every URL that the key signs.
    pub fn email(&self) -> &str {
        &self.email
    }

    /// Returns the endpoint of Cloud Storage in the key file's universe.
    pub(super) fn endpoint(&self) -> Endpoint {
        let domain = self.universe.as_deref();
        domain.and_then(|domain| Endpoint::of_universe(domain).ok()).unwrap_or_default()
    }

    /// Signs a URL.
    pub(super) fn sign(&self, url: &UrlToSign<'_>) -> Result<Location, SignError> {
        let canonical = Canonical::new(url, ALGORITHM, &self.email)?;
        let mut signature = vec![0; self.key.public().modulus_len()];
        let text = canonical.string_to_sign.as_bytes();
        // The signature itself is deterministic.
        let signed = self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature);
        signed.map_err(|_| SignError::Key)?;
        canonical.signed(&signature)
    }
}

impl fmt::Debug for ServiceAccountKey {
    /// Omits the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccountKey").field("email", &self.email).finish_non_exhaustive()
    }
}
