//! Errors of requests.

use super::address::UrlError;
use crate::http1::CommandError;
use crate::http1::client::Error as ExchangeError;
use std::io;
use thiserror::Error;
use vgi_rpc_protocol::OneLine;

/// A request that got no response.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The URL is invalid.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The request cannot be expressed in HTTP/1.1.
    #[error("the request cannot be sent: {0}")]
    Request(CommandError),
    /// The credential could not be obtained, or cannot be sent in a header.
    #[error("there is no credential: {0}")]
    Credential(io::Error),
    /// There is no connection: it was refused, the name is unknown, it took too long, or the TLS handshake failed.
    #[error("cannot connect to {address}: {}", OneLine(error))]
    Connect {
        /// Host and port.
        address: String,
        /// The error of the last address that was tried.
        error: io::Error,
    },
    /// Writing or reading failed, or took too long.
    #[error("the exchange failed: {}", OneLine(error))]
    Io {
        /// What failed.
        error: io::Error,
        /// Whether any of the request may have reached the server.
        sent: bool,
    },
    /// The server did not send an acceptable, complete response.
    #[error("the exchange failed: {0}")]
    Response(ExchangeError),
}

impl From<CommandError> for FetchError {
    fn from(error: CommandError) -> Self {
        Self::Request(error)
    }
}

impl FetchError {
    /// Whether any of the request may have reached the server. If not, it can safely be sent again.
    pub fn may_have_reached_server(&self) -> bool {
        match self {
            Self::Url(_) | Self::Request(_) | Self::Credential(_) | Self::Connect { .. } => false,
            Self::Io { sent, .. } => *sent,
            Self::Response(_) => true,
        }
    }

    /// Returns the class of the failure, as an [`io::ErrorKind`].
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Url(_) | Self::Request(_) => io::ErrorKind::InvalidInput,
            Self::Credential(error) | Self::Connect { error, .. } | Self::Io { error, .. } => error.kind(),
            Self::Response(ExchangeError::Truncated(_)) => io::ErrorKind::UnexpectedEof,
            Self::Response(_) => io::ErrorKind::InvalidData,
        }
    }
}
