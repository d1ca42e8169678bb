//! TLS, by rustls: whom to trust.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// Whom a fetcher trusts to say who a server is. Names are always checked, and versions below 1.2 not spoken.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// Trust that cannot be set up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The text has no certificate in it.
    #[error("expected certificates in PEM form, found none")]
    NoCertificate,
    /// The text is not PEM.
    #[error("expected certificates in PEM form: {0}")]
    Pem(String),
    /// A certificate cannot be trusted, or the library cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Rustls(rustls::Error),
}

// The message has the cause in it, so that the cause is not a source: a chain would print it twice.
impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        Self::Rustls(error)
    }
}

impl Tls {
    /// Trusts the authorities that Mozilla's browser trusts.
    ///
    /// # Errors
    /// When the library cannot be set up.
    pub fn with_web_roots() -> Result<Self, TlsError> {
        Self::with_roots(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
    }

    /// Trusts the authorities of a PEM text, and no others.
    ///
    /// # Errors
    /// When it has no certificate, or one that cannot be trusted.
    pub fn with_roots_pem(pem: &[u8]) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.add(certificate.map_err(|error| TlsError::Pem(error.to_string()))?)?;
        }
        if roots.is_empty() {
            return Err(TlsError::NoCertificate);
        }
        Self::with_roots(roots)
    }

    fn with_roots(roots: RootCertStore) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(config.into()))
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        self.0.clone()
    }
}
