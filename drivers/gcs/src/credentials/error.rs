//! Why credentials cannot be used. No error contains any part of a key.

use std::io;
use std::path::PathBuf;
use thiserror::Error;
use vgi_rpc_protocol::OneLine;

/// Why credentials cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The key file cannot be read.
    #[error("the key file cannot be read: {path}: {error}", path = OneLine(path.display()))]
    Read {
        /// The path of the file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The key file is too large.
    #[error("expected a key file of at most {max} bytes, got more")]
    TooLarge {
        /// The limit.
        max: u64,
    },
    /// The key file is not a JSON object, or a field is not a string.
    #[error("expected a key file with a JSON object of texts, which fails at line {line}, column {column}")]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// The key file lacks a field.
    #[error("expected the field {field} in the key file")]
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// The file contains credentials of another kind, such as those of a user or of workload identity federation.
    #[error(
        "expected a key file of type service_account, which has a private key, got type {}",
        OneLine(got)
    )]
    Type {
        /// The first 40 characters of its type.
        got: String,
    },
    /// The key file's universe is not a valid domain.
    #[error("expected a domain as universe_domain of the key file")]
    Universe,
    /// The address of the account is empty or invalid.
    #[error("expected the e-mail address of a service account")]
    Email,
    /// The private key is not in PEM form, or is not RSA.
    #[error("expected an RSA private key in PEM form, as PKCS#8 or PKCS#1")]
    Pem,
    /// The private key is invalid.
    #[error("expected an RSA private key of 2048 to 4096 bits: {reason}")]
    Key {
        /// The library's reason.
        reason: String,
    },
    /// The access id of an HMAC key is empty or invalid.
    #[error("expected an access id of an HMAC key, without white space")]
    AccessId,
    /// The secret of an HMAC key is empty or invalid.
    #[error("expected the secret of an HMAC key, without white space")]
    Secret,
    /// A variable of the environment is not set, or is not UTF-8.
    #[error("expected the environment variable {variable}")]
    Variable {
        /// Its name.
        variable: &'static str,
    },
}
