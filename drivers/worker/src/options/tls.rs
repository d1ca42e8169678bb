//! The flags of TLS.

use clap::Args;
use std::path::PathBuf;
use vgi_rpc_tls::{ClientCertificates, Pem, ServerTls, TlsConfigError};

/// The worker's certificate, and the authorities that it trusts for clients.
#[derive(Clone, Debug, Args)]
#[group(skip)]
#[command(next_help_heading = "TLS, on TCP sockets and for HTTP")]
pub(crate) struct TlsFlags {
    /// Serve over TLS with the certificates in this PEM file, the worker's own first
    ///
    /// On SIGHUP all TLS files are reloaded, for new connections. SIGHUP then does not end the worker.
    #[arg(long, value_name = "PATH", env = "VGI_RPC_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The private key of the worker's certificate, in this PEM file
    #[arg(long, value_name = "PATH", env = "VGI_RPC_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Require certificates of clients, from the authorities in this PEM file
    #[arg(long, value_name = "PATH", env = "VGI_RPC_TLS_CLIENT_CA", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,

    /// Also accept clients without a certificate
    #[arg(long, requires = "tls_client_ca")]
    tls_client_optional: bool,
}

impl TlsFlags {
    /// Loads the TLS settings of the flags; `None` if TLS is not served.
    pub(crate) fn load(&self) -> Result<Option<ServerTls>, TlsConfigError> {
        let (Some(certificates), Some(key)) = (&self.tls_cert, &self.tls_key) else { return Ok(None) };
        let mut tls = ServerTls::builder(Pem::file(certificates), Pem::file(key));
        if let Some(authorities) = &self.tls_client_ca {
            let certificates = match self.tls_client_optional {
                true => ClientCertificates::Optional,
                false => ClientCertificates::Required,
            };
            tls = tls.client_roots(Pem::file(authorities), certificates);
        }
        tls.build().map(Some)
    }
}
