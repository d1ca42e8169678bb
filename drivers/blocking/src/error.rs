//! Errors of the serve loop.

use std::io;
use thiserror::Error;
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::{CommandError, ConnectionError};

/// A connection ended in another way than by the peer disconnecting.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Reading or writing failed.
    #[error("the transport failed: {0}")]
    Io(io::Error),
    /// Start-up work of a protocol failed; no call was served.
    #[error("the service could not be started: {0}")]
    Start(RpcError),
    /// The peer violated the protocol. An error has been sent to it.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The state machine refused the result of its own work, which is a bug in this library.
    #[error("internal error: {0}")]
    Internal(CommandError),
}

impl From<io::Error> for ServeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<CommandError> for ServeError {
    fn from(error: CommandError) -> Self {
        Self::Internal(error)
    }
}
