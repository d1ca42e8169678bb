//! Methods that return their argument. Its column is passed through without a copy.

use arrow_array::ArrayRef;
use arrow_schema::DataType;
use vgi_rpc_protocol::service::{Args, CallContext, Method, MethodSpec};
use vgi_rpc_protocol::wire::error::RpcError;

/// Returns its argument.
pub fn echo(method: &str, parameter: &'static str, data_type: DataType) -> MethodSpec {
    Method::new(method).param(parameter, data_type.clone()).returns(data_type).unary(unchanged(parameter))
}

/// Returns its argument, which may be null.
pub fn echo_optional(method: &str, parameter: &'static str, data_type: DataType) -> MethodSpec {
    Method::new(method)
        .optional(parameter, data_type.clone())
        .returns_optional(data_type)
        .unary(unchanged(parameter))
}

/// Returns a handler that returns its argument.
fn unchanged(parameter: &'static str) -> impl Fn(&Args, &mut CallContext) -> Result<ArrayRef, RpcError> {
    move |args, _| args.column(parameter).cloned()
}
