//! Errors of configuring and running a server.

use std::io;
use thiserror::Error;
use vgi_rpc_reactor::BindError;

/// A server could not be bound, or could not continue.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HttpServerError {
    /// The server cannot listen on the address.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The system refused some other resource that a server needs.
    #[error("the server cannot continue: {0}")]
    Io(io::Error),
    /// An allowed host is invalid.
    #[error(
        "expected an allowed host without a port, such as example.org, 192.0.2.7 or [2001:db8::1], got {0:?}"
    )]
    AllowedHost(String),
    /// There is an access log, but the endpoint does not record its calls.
    #[error(
        "expected an endpoint that records its calls for the access log, got one that does not: build it with EndpointBuilder::record_calls(true)"
    )]
    NoRecords,
}

// The message includes the cause, so the cause is not a source: an error chain would print it twice.
impl From<io::Error> for HttpServerError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
