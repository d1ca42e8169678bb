//! Results that are large, or that lie in external storage.

use vgi_rpc_protocol::service;
use vgi_rpc_protocol::service::MethodSpec;
use vgi_rpc_protocol::wire::error::RpcError;

/// The methods of this theme.
#[service(name = "ConformanceService")]
pub trait Large {
    /// Answers with so many zero bytes.
    fn oversized_unary(&self, target_bytes: i64) -> Result<Vec<u8>, RpcError> {
        if target_bytes < 0 {
            return Err(RpcError::value_error("target_bytes must be non-negative"));
        }
        match i32::try_from(target_bytes) {
            Ok(wanted) => Ok(vec![0; wanted as usize]),
            Err(_) => {
                let most = i32::MAX;
                Err(RpcError::value_error(format!("expected at most {most} bytes, got {target_bytes}")))
            }
        }
    }

    /// Answers with a pointer into the worker's storage, of which it has none.
    fn published_string(&self, value: &str, include_sha256: bool) -> Result<String, RpcError> {
        let _ = (value, include_sha256);
        Err(RpcError::runtime_error("published_string requires external storage"))
    }
}

struct Worker;

impl Large for Worker {}

/// The methods of this theme.
pub fn methods() -> Vec<MethodSpec> {
    LargeProtocol::methods(Worker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_bytes_as_wanted_or_an_error() {
        assert_eq!(Worker.oversized_unary(5).unwrap(), [0; 5]);
        assert_eq!(Worker.oversized_unary(-1).unwrap_err().error_type(), "ValueError");
        assert_eq!(Worker.oversized_unary(1 << 31).unwrap_err().error_type(), "ValueError");
    }
}
