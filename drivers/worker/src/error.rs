//! Errors of a worker.

#[cfg(feature = "http")]
use crate::token_keys::TokenKeysError;
#[cfg(feature = "http")]
use std::error::Error;
use std::io;
use thiserror::Error;

/// Why a worker could not serve, or could not continue.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The access log cannot be opened.
    #[error("the access log cannot be opened: {0}")]
    AccessLog(io::Error),
    /// Stdin and stdout cannot be served.
    #[error(transparent)]
    Stdio(#[from] vgi_rpc_stdio::ServeError),
    /// The socket cannot be bound or served.
    #[cfg(feature = "unix")]
    #[error(transparent)]
    Sockets(#[from] vgi_rpc_unix::SocketServerError),
    /// The TLS files cannot be used.
    #[cfg(feature = "tls")]
    #[error(transparent)]
    Tls(#[from] vgi_rpc_tls::TlsConfigError),
    /// The signal handler for SIGHUP, which reloads the TLS files, cannot be installed.
    #[cfg(feature = "tls")]
    #[error("cannot listen for SIGHUP: {0}")]
    Reload(io::Error),
    /// The HTTP address cannot be bound or served.
    #[cfg(feature = "http")]
    #[error(transparent)]
    Http(#[from] vgi_rpc_http::HttpServerError),
    /// The address of `--metrics` cannot be bound.
    #[cfg(feature = "http")]
    #[error("metrics cannot be served: {0}")]
    Metrics(vgi_rpc_http::HttpServerError),
    /// The page of `--metrics-path` requires authenticated callers, but there is no authentication.
    #[cfg(feature = "http")]
    #[error(
        "expected --metrics-open beside --metrics-path, which shows metrics to everyone, or an authenticator of the application, got neither"
    )]
    MetricsForNobody,
    /// A setting of the HTTP endpoint is invalid.
    #[cfg(feature = "http")]
    #[error(transparent)]
    Endpoint(#[from] vgi_rpc_protocol::http::EndpointError),
    /// The function passed to [`Worker::endpoint`](crate::Worker::endpoint) failed.
    #[cfg(feature = "http")]
    #[error(transparent)]
    EndpointSettings(Box<dyn Error + Send + Sync>),
    /// The keys that seal tokens cannot be read.
    #[cfg(feature = "http")]
    #[error(transparent)]
    TokenKeys(#[from] TokenKeysError),
    /// Connections cannot be recorded.
    #[cfg(feature = "record")]
    #[error("connections cannot be recorded: {0}")]
    Record(io::Error),
    /// A recorded connection cannot be replayed, or the worker's responses differ.
    #[cfg(feature = "record")]
    #[error(transparent)]
    Replay(#[from] crate::replay_error::WorkerReplayError),
    /// The line with the worker's address cannot be written to stdout.
    #[error("the address cannot be written to stdout: {0}")]
    Announce(io::Error),
}
