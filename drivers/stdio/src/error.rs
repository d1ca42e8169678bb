//! Errors of serving on stdin and stdout.

use std::io;
use thiserror::Error;

/// Why serving ended, other than by the client closing the connection.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The system refused descriptors or signal handlers; no request was served.
    #[error("stdin and stdout cannot be served: {0}")]
    Setup(io::Error),
    /// Stdin or stdout was closed when the process started, so there is no client. A descriptor that is the null device for
    /// both reading and writing counts as closed, because Rust's start-up code opens that instead.
    #[error(
        "{0} is closed, or the null device: start the worker with a pipe or socket as its stdin and stdout"
    )]
    Closed(&'static str),
    /// The access log would be written to the connection.
    #[error(
        "the access log cannot be written to stdout, which carries the protocol: use /dev/stderr or a file"
    )]
    LogOnStdout,
    /// Serving failed.
    #[error(transparent)]
    Serve(#[from] vgi_rpc_blocking::ServeError),
}

impl From<io::Error> for ServeError {
    fn from(error: io::Error) -> Self {
        Self::Setup(error)
    }
}
