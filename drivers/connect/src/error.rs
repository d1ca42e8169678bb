//! Errors of connecting to an address.

use std::io;
use thiserror::Error;

/// No client could be created for an address.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address does not name a supported transport. The error does not include it, because it may contain a secret.
    #[error("expected an address that begins with {expected}")]
    Scheme {
        /// The prefixes of the addresses that this build supports.
        expected: &'static str,
    },
    /// The command cannot be split into words, or has none.
    #[error("expected cmd: and a program with its arguments, quoted as in a shell")]
    Command,
    /// No path follows `unix:`.
    #[error("expected a path after unix:")]
    Path,
    /// Neither a host with a port nor a port follows `tcp:`.
    #[error("expected a host and a port after tcp:, as in tcp:127.0.0.1:9000, or a port alone")]
    Port,
    /// Neither a host with a port nor a port follows `tls:`.
    #[cfg(feature = "tls")]
    #[error("expected a host and a port after tls:, as in tls:worker.example:9000, or a port alone")]
    TlsPort,
    /// The trusted authorities cannot be set up.
    #[cfg(feature = "tls")]
    #[error(transparent)]
    Tls(#[from] vgi_rpc_tls::TlsConfigError),
    /// This build does not include the feature that the address needs.
    #[error("an address that begins with {scheme} needs the feature {feature:?} of vgi-rpc-connect")]
    Feature {
        /// The prefix of the address.
        scheme: &'static str,
        /// The feature of this crate that supports it.
        feature: &'static str,
    },
    /// The program cannot be started. The error names it.
    #[error("cannot start the worker: {0}")]
    Start(io::Error),
    /// The connection was refused. The error names the path or the address.
    #[error("cannot connect: {0}")]
    Io(io::Error),
    /// The URL cannot be used, or a setting for HTTP is invalid.
    #[cfg(feature = "http")]
    #[error(transparent)]
    Http(vgi_rpc_http::client::SetupError),
}

#[cfg(feature = "http")]
impl From<vgi_rpc_http::client::SetupError> for ConnectError {
    fn from(error: vgi_rpc_http::client::SetupError) -> Self {
        use vgi_rpc_http::client::{SetupError, UrlError};
        match error {
            SetupError::Url(UrlError::NoTls) => Self::Feature { scheme: "https://", feature: "tls" },
            error => Self::Http(error),
        }
    }
}

// The message includes the cause, so the cause is not a source: an error chain would print it twice.
impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
