//! Methods that fail with the message they are given.

use super::types::Utf8;
use arrow_array::ArrayRef;
use vgi_rpc_protocol::service::{Args, CallContext, Method, MethodSpec};
use vgi_rpc_protocol::wire::error::RpcError;

/// The methods of this theme.
pub fn methods() -> Vec<MethodSpec> {
    let raise = |method: &str, error_type: &'static str| {
        let handler = move |args: &Args, _: &mut CallContext| -> Result<ArrayRef, RpcError> {
            Err(RpcError::new(error_type, args.get::<&str>("message")?))
        };
        Method::new(method).param("message", Utf8).returns(Utf8).unary(handler)
    };
    vec![
        raise("raise_value_error", "ValueError"),
        raise("raise_runtime_error", "RuntimeError"),
        raise("raise_type_error", "TypeError"),
    ]
}
