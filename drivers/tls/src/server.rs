//! The settings of servers: certificate, trusted authorities for clients, and reloading both.

use crate::error::TlsConfigError;
use crate::pem::{Identity, Pem};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{RootCertStore, ServerConfig};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Whether clients must present a certificate, if a server trusts authorities for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// The handshake fails without one.
    Required,
    /// A client may have none. A presented certificate is verified as if it were required.
    Optional,
}

/// The TLS settings of a server: its certificate, and which authorities it trusts for clients. Clones share the settings: what
/// is loaded into one applies to all, from the next connection on.
///
/// Versions below 1.2, early data, renegotiation and resumed sessions are disabled: every connection verifies its client's
/// certificate anew.
///
/// ```no_run
/// use vgi_rpc_tls::{ClientCertificates, Pem, ServerTls};
///
/// # fn main() -> Result<(), vgi_rpc_tls::TlsConfigError> {
/// let tls = ServerTls::builder(Pem::file("/etc/worker/server.pem"), Pem::file("/etc/worker/server.key"))
///     .client_roots(Pem::file("/etc/worker/clients.pem"), ClientCertificates::Required)
///     .build()?;
/// let handle = tls.clone();
/// // When the files were replaced:
/// handle.reload()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ServerTls(Arc<Shared>);

struct Shared {
    /// Locked while settings are loaded, so that an earlier load does not end after a later one.
    settings: Mutex<ServerTlsBuilder>,
    config: RwLock<Arc<ServerConfig>>,
    #[cfg(feature = "server")]
    failures: Failures,
}

/// Handshakes that have failed because of the peer.
#[cfg(feature = "server")]
#[derive(Debug, Default)]
struct Failures {
    count: std::sync::atomic::AtomicU64,
    throttle: vgi_rpc_reactor::Throttle,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

impl ServerTls {
    /// Creates a builder with the server's certificate and its chain, and its private key. Clients are not asked for
    /// certificates.
    pub fn builder(certificates: Pem, key: Pem) -> ServerTlsBuilder {
        ServerTlsBuilder { identity: Identity { certificates, key }, client_roots: None, alpn: Vec::new() }
    }

    /// Reads all files again. New connections use the new content; open connections keep theirs. Any thread may call this,
    /// including one that waits for signals, but not a signal handler.
    ///
    /// # Errors
    /// If they cannot be used: the previous settings remain in force.
    pub fn reload(&self) -> Result<(), TlsConfigError> {
        let settings = self.settings();
        self.put(settings.load()?);
        Ok(())
    }

    /// Replaces all settings, for example those with PEM text in memory. New connections use them.
    ///
    /// # Errors
    /// If they cannot be used: the previous settings remain in force.
    pub fn replace(&self, settings: ServerTlsBuilder) -> Result<(), TlsConfigError> {
        let mut current = self.settings();
        self.put(settings.load()?);
        *current = settings;
        Ok(())
    }

    /// Returns the current rustls settings.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.0.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn settings(&self) -> MutexGuard<'_, ServerTlsBuilder> {
        self.0.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, config: Arc<ServerConfig>) {
        *self.0.config.write().unwrap_or_else(PoisonError::into_inner) = config;
    }
}

#[cfg(feature = "server")]
impl ServerTls {
    /// Returns the number of handshakes failed so far because of the peer. Clones of the settings share the count.
    pub fn failed_handshakes(&self) -> u64 {
        self.0.failures.count.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Counts a failed handshake, and reports it to operators at limited intervals.
    pub(crate) fn handshake_failed(&self, error: Option<rustls::Error>) {
        /// The maximum length of a rustls error in events, in characters: it may contain names from the peer.
        const MOST_OF_ERROR: usize = 256;
        let failures = &self.0.failures;
        failures.count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if tracing::enabled!(target: "vgi_rpc_tls", tracing::Level::WARN)
            && let Some(left_out) = failures.throttle.admit()
        {
            let error: String = match error {
                Some(error) => {
                    vgi_rpc_protocol::OneLine(error).to_string().chars().take(MOST_OF_ERROR).collect()
                }
                None => "expected handshake messages, got others".into(),
            };
            tracing::warn!(target: "vgi_rpc_tls", error, left_out, "a TLS handshake has failed");
        }
    }
}

/// TLS settings of a server that are not loaded yet.
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until they are built"]
pub struct ServerTlsBuilder {
    identity: Identity,
    client_roots: Option<(Vec<Pem>, ClientCertificates)>,
    alpn: Vec<Vec<u8>>,
}

impl ServerTlsBuilder {
    /// Trusts the authorities of a PEM text for client certificates, in addition to those set before, and sets whether clients
    /// must present a certificate.
    pub fn client_roots(mut self, pem: Pem, certificates: ClientCertificates) -> Self {
        let (mut roots, _) = self.client_roots.take().unwrap_or((Vec::new(), certificates));
        roots.push(pem);
        self.client_roots = Some((roots, certificates));
        self
    }

    /// Sets the application protocols of the server, in its order of preference. A client that offers some, but none of these,
    /// is refused. HTTP servers only use `http/1.1`, and ignore other names. Default: that of the protocol served, which is
    /// `http/1.1` for HTTP and none for calls on TCP.
    pub fn alpn<N: Into<Vec<u8>>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.alpn = names.into_iter().map(Into::into).collect();
        self
    }

    /// Loads the settings.
    ///
    /// # Errors
    /// If a file cannot be read or has unexpected content, or the key does not match the certificate.
    pub fn build(self) -> Result<ServerTls, TlsConfigError> {
        let config = RwLock::new(self.load()?);
        Ok(ServerTls(Arc::new(Shared {
            settings: Mutex::new(self),
            config,
            #[cfg(feature = "server")]
            failures: Failures::default(),
        })))
    }

    fn load(&self) -> Result<Arc<ServerConfig>, TlsConfigError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = self.identity.load(&provider)?;
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(TlsConfigError::Rustls)?;
        let builder = match &self.client_roots {
            None => builder.with_no_client_auth(),
            Some((pems, certificates)) => {
                let mut roots = RootCertStore::empty();
                pems.iter().try_for_each(|pem| pem.add_to(&mut roots))?;
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                let verifier = match certificates {
                    ClientCertificates::Required => verifier,
                    ClientCertificates::Optional => verifier.allow_unauthenticated(),
                };
                let verifier = verifier.build();
                let failed = |error| TlsConfigError::Rustls(rustls::Error::General(format!("{error}")));
                builder.with_client_cert_verifier(verifier.map_err(failed)?)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        config.alpn_protocols.clone_from(&self.alpn);
        // A resumed session would not verify the client's certificate again, and would outlive a reload.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(config.into())
    }
}
