//! Errors of connecting to an address.

use std::io;
use thiserror::Error;

/// There is no client for an address.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address names no transport that there is. It is not repeated, for it may have a secret in it.
    #[error("expected an address that begins with {expected}")]
    Scheme {
        /// How the addresses begin that this build knows.
        expected: &'static str,
    },
    /// A command that cannot be split into words, or has none.
    #[error("expected cmd: and a program with its arguments, quoted as in a shell")]
    Command,
    /// No path follows `unix:`.
    #[error("expected a path after unix:")]
    Path,
    /// No host and port, nor a port alone, follow `tcp:`.
    #[error("expected a host and a port after tcp:, as in tcp:127.0.0.1:9000, or a port alone")]
    Port,
    /// No host and port, nor a port alone, follow `tls:`.
    #[cfg(feature = "tls")]
    #[error("expected a host and a port after tls:, as in tls:worker.example:9000, or a port alone")]
    TlsPort,
    /// Whom to trust cannot be set up.
    #[cfg(feature = "tls")]
    #[error(transparent)]
    Tls(#[from] vgi_rpc_tls::TlsConfigError),
    /// This build lacks what the address needs.
    #[error("an address that begins with {scheme} needs the feature {feature:?} of vgi-rpc-connect")]
    Feature {
        /// How the address begins.
        scheme: &'static str,
        /// The feature of this crate that knows it.
        feature: &'static str,
    },
    /// Nobody listens, or the program cannot be started. The error names the path, the address or the program.
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

// The message has the cause in it, so that the cause is not a source: a chain would print it twice.
impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
