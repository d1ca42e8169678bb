//! The outcome of a replay, and its errors.

use thiserror::Error;
use vgi_rpc_protocol::service::TransportKind;
use vgi_rpc_protocol::wire::error::RpcError;

/// A capture cannot be replayed so.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// It is of a transport that this function does not play.
    #[error("expected a capture of {expected}, got one of {got}")]
    Transport {
        /// What is played.
        expected: &'static str,
        /// What it is.
        got: TransportKind,
    },
    /// Start-up work of a protocol failed.
    #[error("the service could not be started: {0}")]
    Start(RpcError),
    /// The machine waits for something that does not come.
    #[error("the machine waited for {0} s for something other than its peer")]
    Stuck(u64),
}

/// What a machine said in place of the one that was recorded.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    /// How many parts were compared: Arrow streams, or responses.
    pub compared: usize,
    /// How many parts cannot be compared, because a value was withheld.
    pub skipped: usize,
    /// What is not as it was recorded, a sentence each.
    pub differences: Vec<String>,
    /// What the machine sent.
    pub output: Vec<u8>,
}

impl Replayed {
    /// Whether all that can be compared is as it was recorded.
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty()
    }
}
