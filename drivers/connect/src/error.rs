//! Why there is no client for an address.

use std::io;
use thiserror::Error;

/// There is no client for an address.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address names no transport that there is. It is not repeated, for it may have a secret in it.
    #[error("expected an address that begins with {expected}")]
    Scheme {
        /// How the addresses begin that this build knows.
        expected: &'static str,
    },
    /// A command that cannot be split into words, or has none.
    #[error("expected cmd: and a program with its arguments, quoted as in a shell")]
    Command,
    /// No path follows `unix:`.
    #[error("expected a path after unix:")]
    Path,
    /// Nobody listens, or the program cannot be started. The error names the path, the address or the program.
    #[error("cannot connect: {0}")]
    Io(io::Error),
    /// The URL cannot be used, or a setting for HTTP is invalid.
    #[cfg(feature = "http")]
    #[error(transparent)]
    Http(#[from] vgi_rpc_http::client::SetupError),
}

// The message has the cause in it, so that the cause is not a source: a chain would print it twice.
impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
