//! The settings of clients: trusted authorities, and the client's certificate.

use crate::error::TlsConfigError;
use crate::pem::{Identity, Pem};
use crate::verify::{CheckServer, CheckedVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::sync::Arc;

/// The TLS settings of a client: which authorities it trusts for servers, and its own certificate.
///
/// Versions below 1.2 and resumed sessions are disabled: every connection verifies its server's certificate anew.
///
/// ```
/// use vgi_rpc_tls::{ClientTls, Pem};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let public = ClientTls::with_web_roots()?;
/// # fn private() -> Result<ClientTls, vgi_rpc_tls::TlsConfigError> {
/// let mutual = ClientTls::builder()
///     .roots(Pem::file("/etc/worker/authorities.pem"))
///     .identity(Pem::file("/etc/worker/client.pem"), Pem::file("/etc/worker/client.key"))
///     .build()?;
/// # Ok(mutual)
/// # }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl ClientTls {
    /// Trusts the authorities of Mozilla's root program, without a client certificate.
    ///
    /// # Errors
    /// If the library cannot be set up.
    pub fn with_web_roots() -> Result<Self, TlsConfigError> {
        Self::builder().web_roots().build()
    }

    /// Trusts only the authorities of a PEM text, without a client certificate.
    ///
    /// # Errors
    /// If it has no certificate, or one that cannot be trusted.
    pub fn with_roots_pem(pem: &[u8]) -> Result<Self, TlsConfigError> {
        Self::builder().roots(Pem::bytes(pem)).build()
    }

    /// Creates a builder that trusts no authority.
    pub fn builder() -> ClientTlsBuilder {
        ClientTlsBuilder {
            web_roots: false,
            roots: Vec::new(),
            identity: None,
            server_name: None,
            check: None,
        }
    }

    /// Returns the rustls settings, for a client of one of these application protocols; if there are none, none is negotiated.
    pub fn config(&self, alpn: &[&[u8]]) -> Arc<ClientConfig> {
        let mut config = (*self.config).clone();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config.into()
    }

    /// Returns the name that the server must have if it was connected to as `host`.
    ///
    /// # Errors
    /// If it is not a host name or an address.
    pub fn name_of(&self, host: &str) -> Result<ServerName<'static>, TlsConfigError> {
        match &self.server_name {
            Some(name) => Ok(name.clone()),
            None => server_name(host),
        }
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, TlsConfigError> {
    ServerName::try_from(name.to_owned()).map_err(|_| TlsConfigError::ServerName { name: name.to_owned() })
}

/// TLS settings of a client that are not loaded yet.
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until they are built"]
pub struct ClientTlsBuilder {
    web_roots: bool,
    roots: Vec<Pem>,
    identity: Option<Identity>,
    server_name: Option<String>,
    check: Option<(CheckServer, bool)>,
}

impl ClientTlsBuilder {
    /// Trusts the authorities of Mozilla's root program.
    pub fn web_roots(mut self) -> Self {
        self.web_roots = true;
        self
    }

    /// Trusts the authorities of a PEM text, in addition to those set before.
    pub fn roots(mut self, pem: Pem) -> Self {
        self.roots.push(pem);
        self
    }

    /// Sets the certificate that the client presents on request, with its chain, and its private key.
    pub fn identity(mut self, certificates: Pem, key: Pem) -> Self {
        self.identity = Some(Identity { certificates, key });
        self
    }

    /// Sets the name that the server must have, and that is sent to it, instead of the host that is connected to.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Sets a function that checks the server's certificates after they were verified and the name was matched. It receives
    /// them in DER, the server's own first, and returns an error text to refuse them. It is called on the thread that connects.
    pub fn check_server(
        mut self,
        check: impl Fn(&[&[u8]]) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.check = Some((CheckServer(Arc::new(check)), true));
        self
    }

    /// Like [`check_server`](Self::check_server), but only the function identifies the server: the certificates must lead to a
    /// trusted authority and be in date, but need not have the name. This is for certificates that name a workload rather than
    /// a host, for example those of SPIFFE.
    pub fn check_server_in_place_of_name(
        mut self,
        check: impl Fn(&[&[u8]]) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.check = Some((CheckServer(Arc::new(check)), false));
        self
    }

    /// Loads the settings.
    ///
    /// # Errors
    /// If a file cannot be read or has unexpected content, a key does not match its certificate, no authority is trusted, or
    /// the server's name is invalid.
    pub fn build(self) -> Result<ClientTls, TlsConfigError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        if self.web_roots {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        self.roots.iter().try_for_each(|pem| pem.add_to(&mut roots))?;
        if roots.is_empty() {
            return Err(TlsConfigError::NoRoots);
        }
        let roots = Arc::new(roots);
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(TlsConfigError::Rustls)?;
        let builder = match self.check {
            None => builder.with_root_certificates(roots),
            Some((check, checks_name)) => {
                let verifier =
                    WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone()).build();
                let verifier = verifier
                    .map_err(|error| TlsConfigError::Rustls(rustls::Error::General(error.to_string())))?;
                let verifier = CheckedVerifier::new(verifier, roots, &provider, check, checks_name);
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
        };
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let key = identity.load(&provider)?;
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
            }
        };
        // A resumed session would not verify the server's certificate again.
        config.resumption = Resumption::disabled();
        let server_name = self.server_name.as_deref().map(server_name).transpose()?;
        Ok(ClientTls { config: config.into(), server_name })
    }
}
