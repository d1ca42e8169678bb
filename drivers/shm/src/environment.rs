//! The environment variable.

use vgi_rpc_protocol::shm::ShmOptions;

/// From how many bytes on a batch goes through a segment.
const MIN_BATCH_BYTES: &str = "VGI_RPC_SHM_MIN_BATCH_BYTES";

/// The default options, changed by `VGI_RPC_SHM_MIN_BATCH_BYTES` if that is set to a number.
pub fn options_of_environment() -> ShmOptions {
    let bytes = std::env::var(MIN_BATCH_BYTES).ok().and_then(|value| value.parse().ok());
    let options = ShmOptions::default();
    bytes.map_or(options, |bytes| options.min_batch_bytes(bytes))
}
