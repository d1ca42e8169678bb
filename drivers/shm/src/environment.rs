//! The environment variable `VGI_RPC_SHM_MIN_BATCH_BYTES`.

use crate::events;
use std::sync::Once;
use vgi_rpc_protocol::shm::ShmOptions;

/// The minimum size of batches that go through a segment.
const MIN_BATCH_BYTES: &str = "VGI_RPC_SHM_MIN_BATCH_BYTES";
/// Ensures that the event about an ignored value is emitted once.
static IGNORED: Once = Once::new();

/// Returns the default options, changed by `VGI_RPC_SHM_MIN_BATCH_BYTES` if that is set to a number of bytes, for example
/// `1048576`.
///
/// Any other value is ignored, as by the canonical implementation. The first time, a `tracing` event with the target
/// `vgi_rpc_shm` reports it.
pub fn options_of_environment() -> ShmOptions {
    let options = ShmOptions::default();
    let Some(value) = std::env::var_os(MIN_BATCH_BYTES).filter(|value| !value.is_empty()) else {
        return options;
    };
    match value.to_str().and_then(bytes) {
        Some(bytes) => options.min_batch_bytes(bytes),
        None => {
            IGNORED.call_once(|| events::ignored(MIN_BATCH_BYTES, options.min_batch_bytes));
            options
        }
    }
}

/// Parses a number of bytes. Negative numbers become zero, as in the canonical implementation.
fn bytes(value: &str) -> Option<u64> {
    value.trim().parse::<i64>().ok().map(|bytes| u64::try_from(bytes).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn a_number_of_bytes_has_no_unit() {
        for (value, expected) in [
            ("1", Some(1)),
            (" 1048576\n", Some(1 << 20)),
            ("-1", Some(0)),
            ("1MiB", None),
            ("0x10", None),
            (" ", None),
        ] {
            assert_eq!(bytes(value), expected, "{value:?}");
        }
    }
}
