//! Echoes of the plain types, optional ones included.

use super::echo::{echo, echo_optional};
use super::types::*;
use vgi_rpc_protocol::service::MethodSpec;

/// The methods of this theme.
pub fn methods() -> Vec<MethodSpec> {
    vec![
        echo("echo_string", "value", Utf8),
        echo("echo_bytes", "data", Binary),
        echo("echo_int", "value", Int64),
        echo("echo_float", "value", Float64),
        echo("echo_bool", "value", Boolean),
        echo("echo_int32", "value", Int32),
        echo("echo_float32", "value", Float32),
        echo_optional("echo_optional_string", "value", Utf8),
        echo_optional("echo_optional_int", "value", Int64),
        echo_optional("echo_annotated_optional_int", "value", Int32),
        echo("echo_outer_optional_non_null", "value", Int32),
    ]
}
