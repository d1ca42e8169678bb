//! Certificates and keys as PEM text, in a file or in memory.

use crate::error::TlsConfigError;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::path::{Path, PathBuf};
use zeroize::{Zeroize, Zeroizing};

/// The location of PEM text: a file, which is read again whenever settings are loaded, or memory, which is erased when the last
/// clone is dropped.
#[derive(Clone)]
pub struct Pem(Place);

#[derive(Clone)]
enum Place {
    File(PathBuf),
    Memory(Zeroizing<Vec<u8>>),
}

impl Pem {
    /// PEM text in a file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Place::File(path.into()))
    }

    /// PEM text in memory.
    pub fn bytes(text: impl Into<Vec<u8>>) -> Self {
        Self(Place::Memory(Zeroizing::new(text.into())))
    }

    /// Returns the path, if it is a file.
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Place::File(path) => Some(path),
            Place::Memory(_) => None,
        }
    }

    fn read(&self) -> Result<Zeroizing<Vec<u8>>, TlsConfigError> {
        match &self.0 {
            Place::File(path) => match std::fs::read(path) {
                Ok(text) => Ok(Zeroizing::new(text)),
                Err(error) => Err(TlsConfigError::Read { pem: self.to_string(), error }),
            },
            Place::Memory(text) => Ok(text.clone()),
        }
    }

    /// Returns the certificates, at least one.
    pub(crate) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
        let text = self.read()?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        match found {
            Ok(found) if found.is_empty() => Err(TlsConfigError::NoCertificate { pem: self.to_string() }),
            Ok(found) => Ok(found),
            Err(error) => Err(self.not_pem("certificates", &error)),
        }
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, TlsConfigError> {
        PrivateKeyDer::from_pem_slice(&self.read()?).map_err(|error| match error {
            pem::Error::NoItemsFound => TlsConfigError::NoKey { pem: self.to_string() },
            error => self.not_pem("a private key", &error),
        })
    }

    fn not_pem(&self, expected: &'static str, error: &pem::Error) -> TlsConfigError {
        let error = match error {
            // These repeat the text.
            pem::Error::MissingSectionEnd { .. } => "a section has no end".to_owned(),
            pem::Error::IllegalSectionStart { .. } => "a section does not begin correctly".to_owned(),
            error => error.to_string(),
        };
        TlsConfigError::Pem { pem: self.to_string(), expected, error }
    }

    /// Adds the certificates as authorities.
    pub(crate) fn add_to(&self, roots: &mut RootCertStore) -> Result<(), TlsConfigError> {
        for certificate in self.certificates()? {
            roots.add(certificate).map_err(|error| TlsConfigError::Authority {
                pem: self.to_string(),
                error: error.to_string(),
            })?;
        }
        Ok(())
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::File(path) => path.display().fmt(f),
            Place::Memory(_) => f.write_str("PEM text in memory"),
        }
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pem({self})")
    }
}

/// A certificate with its chain, and its private key.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) certificates: Pem,
    pub(crate) key: Pem,
}

impl Identity {
    /// Loads both. The key is erased here; rustls and its provider keep what they need of it.
    pub(crate) fn load(&self, provider: &CryptoProvider) -> Result<CertifiedKey, TlsConfigError> {
        let chain = self.certificates.certificates()?;
        let mut key = self.key.key()?;
        let signing = provider.key_provider.load_private_key(key.clone_key());
        key.zeroize();
        let loaded = signing.map(|signing| CertifiedKey::new(chain, signing));
        let checked = loaded.and_then(|loaded| match loaded.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(loaded),
            Err(error) => Err(error),
        });
        checked.map_err(|error| TlsConfigError::Key {
            key: self.key.to_string(),
            certificates: self.certificates.to_string(),
            error: error.to_string(),
        })
    }
}
