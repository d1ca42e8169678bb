//! The outcome of a replay, and its errors.

use thiserror::Error;
use vgi_rpc_protocol::service::TransportKind;
use vgi_rpc_protocol::wire::error::RpcError;

/// Why a capture cannot be replayed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// This function does not support the capture's transport.
    #[error("expected a capture of {expected}, got one of {got}")]
    Transport {
        /// The supported transports.
        expected: &'static str,
        /// The capture's transport.
        got: TransportKind,
    },
    /// Start-up work of a protocol failed.
    #[error("the service could not be started: {0}")]
    Start(RpcError),
    /// The machine waited too long for something other than its peer.
    #[error("the machine waited for {0} s for something other than its peer")]
    Stuck(u64),
}

/// The result of a replay.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    /// How many parts were compared: Arrow streams, or responses.
    pub compared: usize,
    /// How many parts cannot be compared, because a value was withheld.
    pub skipped: usize,
    /// The differences from the recording, a sentence each.
    pub differences: Vec<String>,
    /// The bytes that the machine sent.
    pub output: Vec<u8>,
}

impl Replayed {
    /// Whether there are no differences.
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty()
    }
}
