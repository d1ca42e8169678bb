//! Why a server could not be bound.

#[cfg(unix)]
use crate::socket_file::SocketFileError;
use std::io;
use thiserror::Error;

/// A listener could not be bound.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The unix socket cannot have that name.
    #[cfg(unix)]
    #[error(transparent)]
    SocketFile(#[from] SocketFileError),
    /// The TCP address cannot be bound.
    #[error("{address}: {error}")]
    Tcp {
        /// The address as it was given.
        address: String,
        /// Why.
        error: io::Error,
    },
}
