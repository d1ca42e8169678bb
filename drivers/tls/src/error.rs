//! The errors of TLS settings.

use rustls::InvalidMessage;
use std::io;
use thiserror::Error;

/// A TLS setting cannot be used. The message names the file, or says that the PEM text was given in memory; it never repeats
/// the content.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// The file cannot be read.
    #[error("{pem}: cannot be read: {error}")]
    Read {
        /// The file.
        pem: String,
        /// The system's error.
        error: io::Error,
    },
    /// The text is not PEM.
    #[error("{pem}: expected {expected} in PEM form, got text that is not PEM: {error}")]
    Pem {
        /// The file or text.
        pem: String,
        /// The expected content.
        expected: &'static str,
        /// The cause.
        error: String,
    },
    /// The text contains no certificate.
    #[error("{pem}: expected certificates in PEM form, found none")]
    NoCertificate {
        /// The file or text.
        pem: String,
    },
    /// The text contains no private key that is readable without a password.
    #[error("{pem}: expected an unencrypted private key in PEM form (PKCS #8, PKCS #1 or SEC 1), found none")]
    NoKey {
        /// The file or text.
        pem: String,
    },
    /// A certificate of an authority cannot be used.
    #[error("{pem}: expected certificates of authorities, got one that cannot be used: {error}")]
    Authority {
        /// The file or text.
        pem: String,
        /// The error of rustls.
        error: String,
    },
    /// The private key cannot be used, or does not match the certificate.
    #[error("{key}: expected the private key of the certificate in {certificates}: {error}")]
    Key {
        /// The file or text of the key.
        key: String,
        /// The file or text of the certificate.
        certificates: String,
        /// The error of rustls.
        error: String,
    },
    /// A client trusts no authority.
    #[error("expected authorities to trust, by web_roots or roots, got none")]
    NoRoots,
    /// The expected name of a server is not a host name or an address.
    #[error("expected a host name or an IP address as the server's name, got {name:?}")]
    ServerName {
        /// The name as it was given.
        name: String,
    },
    /// The library cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Rustls(rustls::Error),
}

/// Adds the likely cause to the error of a client's handshake if the server sent something other than TLS. Other errors are
/// returned unchanged.
pub fn explain_handshake_error(error: io::Error) -> io::Error {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => io::Error::new(
            error.kind(),
            format!(
                "the server does not seem to speak TLS: expected a TLS handshake, got other data ({error})"
            ),
        ),
        _ => error,
    }
}
