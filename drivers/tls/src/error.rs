//! Settings of TLS that cannot be used.

use std::io;
use thiserror::Error;

/// A setting of TLS cannot be used. The message names the file, or says that the PEM text was given in memory; it
/// never repeats what is in it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// The file cannot be read.
    #[error("{pem}: cannot be read: {error}")]
    Read {
        /// Which file.
        pem: String,
        /// What the system says.
        error: io::Error,
    },
    /// The text is not PEM.
    #[error("{pem}: expected {expected} in PEM form, got text that is not PEM: {error}")]
    Pem {
        /// Which file or text.
        pem: String,
        /// What was to be in it.
        expected: &'static str,
        /// What is wrong with it.
        error: String,
    },
    /// The text has no certificate in it.
    #[error("{pem}: expected certificates in PEM form, found none")]
    NoCertificate {
        /// Which file or text.
        pem: String,
    },
    /// The text has no private key in it that is readable without a password.
    #[error("{pem}: expected an unencrypted private key in PEM form (PKCS #8, PKCS #1 or SEC 1), found none")]
    NoKey {
        /// Which file or text.
        pem: String,
    },
    /// A certificate of an authority cannot be used.
    #[error("{pem}: expected certificates of authorities, got one that cannot be used: {error}")]
    Authority {
        /// Which file or text.
        pem: String,
        /// What rustls says.
        error: String,
    },
    /// The private key cannot be used, or is not that of the certificate.
    #[error("{key}: expected the private key of the certificate in {certificates}: {error}")]
    Key {
        /// The file or text of the key.
        key: String,
        /// The file or text of the certificate.
        certificates: String,
        /// What rustls says.
        error: String,
    },
    /// A client trusts no authority at all.
    #[error("expected authorities to trust, by web_roots or roots, got none")]
    NoRoots,
    /// The name that a server is to have is not a host name or an address.
    #[error("expected a host name or an IP address as the server's name, got {name:?}")]
    ServerName {
        /// The name as it was given.
        name: String,
    },
    /// The library cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Rustls(rustls::Error),
}
