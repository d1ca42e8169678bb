//! TLS, by rustls: whom to trust, and the handshake.

use super::deadline::Deadline;
use super::socket_timeouts::{limit, timed_out};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::sync::{Arc, LazyLock};
use thiserror::Error;

pub(crate) type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// Whom a client trusts to say who a server is. Names are always checked, and versions below 1.2 not spoken.
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
    /// The text is no PEM.
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
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Ok(Self(config(roots)?))
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
        Ok(Self(config(roots)?))
    }

    /// [`Self::with_web_roots`], made once.
    pub(crate) fn web() -> io::Result<Self> {
        static WEB: LazyLock<Result<Tls, TlsError>> = LazyLock::new(Tls::with_web_roots);
        WEB.as_ref().cloned().map_err(|error| io::Error::other(error.to_string()))
    }

    /// Agrees on TLS with the server that `host` names.
    pub(crate) fn handshake(
        &self,
        host: &str,
        socket: TcpStream,
        deadline: Deadline,
    ) -> io::Result<TlsStream> {
        let invalid = |error| io::Error::new(ErrorKind::InvalidInput, error);
        let name = ServerName::try_from(host.to_owned()).map_err(|error| invalid(error.to_string()))?;
        let connection =
            ClientConnection::new(self.0.clone(), name).map_err(|error| invalid(error.to_string()))?;
        let mut stream = StreamOwned::new(connection, socket);
        while stream.conn.is_handshaking() {
            limit(&stream.sock, &deadline)?;
            stream.conn.complete_io(&mut stream.sock).map_err(|error| timed_out(error, "agreeing on TLS"))?;
        }
        Ok(stream)
    }
}

fn config(roots: RootCertStore) -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config.into())
}
