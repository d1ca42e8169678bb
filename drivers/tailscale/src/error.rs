//! Errors of requests to the Tailscale daemon.

use std::io;
use thiserror::Error;
use vgi_rpc_http::http1::client::{Error as ExchangeError, Received};

/// A daemon that cannot be asked so. Neither the address nor the password is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LocalApiSettingError {
    /// The address is not that of a port of this host.
    #[error(
        "expected http:// with a loopback IP address and a port, as in http://127.0.0.1:49152, and nothing after it"
    )]
    Endpoint,
    /// The password is empty, or has control characters in it.
    #[error("expected a password of at least one character, without control characters")]
    Password,
}

/// The daemon gave no response. A response of any status is one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LocalApiError {
    /// The daemon does not listen there, or this process may not connect.
    #[error("cannot connect to the Tailscale daemon: {0}")]
    Connect(io::Error),
    /// The connection failed.
    #[error("the connection to the Tailscale daemon failed: {0}")]
    Io(io::Error),
    /// It took too long in all.
    #[error("the Tailscale daemon did not answer in time")]
    TimedOut,
    /// The daemon closed the connection without a byte of a response.
    #[error("expected a response from the Tailscale daemon, got the end of the connection")]
    NoResponse,
    /// What came is not a response, or has a longer body than is accepted.
    #[error("the Tailscale daemon: {0}")]
    Response(ExchangeError),
    /// The target of the request is not a path.
    #[error("expected a path that begins with a slash, with visible ASCII characters only")]
    Target,
}

impl LocalApiError {
    /// Whether the same request may succeed a moment later: the daemon is not there, or takes too long.
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
