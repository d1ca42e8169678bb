//! Why a server could not be bound.

#[cfg(unix)]
use crate::socket_file::SocketFileError;
use std::io;
use thiserror::Error;

/// A listener could not be bound.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The path cannot be used for a unix socket.
    #[cfg(unix)]
    #[error(transparent)]
    SocketFile(#[from] SocketFileError),
    /// The TCP address cannot be bound.
    #[error("{address}: {error}")]
    Tcp {
        /// The address as it was given.
        address: String,
        /// The cause.
        error: io::Error,
    },
}
