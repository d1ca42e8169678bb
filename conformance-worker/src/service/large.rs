//! Results that are large, or that lie in external storage.

use super::types::{Binary, Boolean, Int64, Utf8};
use super::values::binary;
use arrow_array::ArrayRef;
use vgi_rpc_protocol::service::{Args, CallContext, Method, MethodSpec};
use vgi_rpc_protocol::wire::error::RpcError;

/// The methods of this theme.
pub fn methods() -> Vec<MethodSpec> {
    vec![
        Method::new("oversized_unary").param("target_bytes", Int64).returns(Binary).unary(oversized_unary),
        Method::new("published_string")
            .param("value", Utf8)
            .param("include_sha256", Boolean)
            .returns(Utf8)
            .unary(published_string),
    ]
}

fn oversized_unary(args: &Args, _: &mut CallContext) -> Result<ArrayRef, RpcError> {
    zeros(args.get("target_bytes")?)
}

/// One value of so many zero bytes.
fn zeros(wanted: i64) -> Result<ArrayRef, RpcError> {
    if wanted < 0 {
        return Err(RpcError::value_error("target_bytes must be non-negative"));
    }
    match i32::try_from(wanted) {
        Ok(wanted) => Ok(binary(vec![0_u8; wanted as usize])),
        Err(_) => Err(RpcError::value_error(format!("expected at most {} bytes, got {wanted}", i32::MAX))),
    }
}

/// Answers with a pointer into the worker's storage, of which it has none.
fn published_string(_: &Args, _: &mut CallContext) -> Result<ArrayRef, RpcError> {
    Err(RpcError::runtime_error("published_string requires external storage"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray;

    #[test]
    fn as_many_bytes_as_wanted_or_an_error() {
        assert_eq!(zeros(5).unwrap().as_binary::<i32>().value(0), [0; 5]);
        assert_eq!(zeros(-1).unwrap_err().error_type(), "ValueError");
        assert_eq!(zeros(1 << 31).unwrap_err().error_type(), "ValueError");
    }
}
