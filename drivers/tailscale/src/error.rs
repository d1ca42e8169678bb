//! Errors of requests to the Tailscale daemon.

use std::io;
use thiserror::Error;
use vgi_rpc_http::http1::client::{Error as ExchangeError, Received};

/// Why the settings of a daemon are invalid. Neither the address nor the password is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LocalApiSettingError {
    /// The address is not a loopback address with a port.
    #[error(
        "expected http:// with a loopback IP address and a port, as in http://127.0.0.1:49152, and nothing after it"
    )]
    Endpoint,
    /// The password is empty, or contains control characters.
    #[error("expected a password of at least one character, without control characters")]
    Password,
}

/// Why there is no response from the daemon. A response with any status is not an error.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LocalApiError {
    /// The daemon does not listen at the address, or this process may not connect.
    #[error("cannot connect to the Tailscale daemon: {0}")]
    Connect(io::Error),
    /// The connection failed.
    #[error("the connection to the Tailscale daemon failed: {0}")]
    Io(io::Error),
    /// The request exceeded its time limit.
    #[error("the Tailscale daemon did not answer in time")]
    TimedOut,
    /// The daemon closed the connection before the first byte of a response.
    #[error("expected a response from the Tailscale daemon, got the end of the connection")]
    NoResponse,
    /// The received bytes are not a valid response, or its body is longer than accepted.
    #[error("the Tailscale daemon: {0}")]
    Response(ExchangeError),
    /// The target of the request is not a valid path.
    #[error("expected a path that begins with a slash, with visible ASCII characters only")]
    Target,
}

impl LocalApiError {
    /// Whether the same request may succeed later: the daemon cannot be reached, or is too slow.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Io(_) | Self::TimedOut | Self::NoResponse => true,
            Self::Response(_) | Self::Target => false,
        }
    }
}

impl From<ExchangeError> for LocalApiError {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Truncated(Received::Nothing) => Self::NoResponse,
            error => Self::Response(error),
        }
    }
}
