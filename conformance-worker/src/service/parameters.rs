//! Methods about parameters themselves: several of them, defaults, and answers without a value.

use super::types::{Float64, Int64, Utf8};
use arrow_array::{Int64Array, StringArray};
use std::sync::Arc;
use vgi_rpc_protocol::service::{Args, CallContext, Method, MethodSpec};
use vgi_rpc_protocol::wire::error::RpcError;

/// The methods of this theme.
pub fn methods() -> Vec<MethodSpec> {
    vec![
        Method::new("void_noop").unary(|_, _| Ok(())),
        Method::new("void_with_param").param("value", Int64).unary(|_, _| Ok(())),
        Method::new("add_floats").param("a", Float64).param("b", Float64).returns(Float64).unary(add_floats),
        Method::new("concatenate")
            .param("prefix", Utf8)
            .param("suffix", Utf8)
            .param_with_default("separator", Arc::new(StringArray::from(vec!["-"])))
            .returns(Utf8)
            .unary(concatenate),
        Method::new("with_defaults")
            .param("required", Int64)
            .param_with_default("optional_str", Arc::new(StringArray::from(vec!["default"])))
            .param_with_default("optional_int", Arc::new(Int64Array::from(vec![42])))
            .returns(Utf8)
            .unary(with_defaults),
    ]
}

fn add_floats(args: &Args, _: &mut CallContext) -> Result<f64, RpcError> {
    Ok(args.get::<f64>("a")? + args.get::<f64>("b")?)
}

fn concatenate(args: &Args, _: &mut CallContext) -> Result<String, RpcError> {
    let [prefix, separator, suffix]: [&str; 3] =
        [args.get("prefix")?, args.get("separator")?, args.get("suffix")?];
    Ok([prefix, separator, suffix].concat())
}

fn with_defaults(args: &Args, _: &mut CallContext) -> Result<String, RpcError> {
    let (required, optional_int): (i64, i64) = (args.get("required")?, args.get("optional_int")?);
    let optional_str: &str = args.get("optional_str")?;
    Ok(format!("required={required}, optional_str={optional_str}, optional_int={optional_int}"))
}
