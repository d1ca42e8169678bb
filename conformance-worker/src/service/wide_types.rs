//! Echoes across the widths of Arrow's types: integers, dates and times, decimals, large and fixed-size values.

use super::echo::echo;
use super::types::*;
use arrow_schema::DataType;
use vgi_rpc_protocol::service::MethodSpec;

/// The methods of this theme.
pub fn methods() -> Vec<MethodSpec> {
    vec![
        echo("echo_int8", "value", Int8),
        echo("echo_int16", "value", Int16),
        echo("echo_uint8", "value", UInt8),
        echo("echo_uint16", "value", UInt16),
        echo("echo_uint32", "value", UInt32),
        echo("echo_uint64", "value", UInt64),
        echo("echo_date", "value", Date32),
        echo("echo_timestamp", "value", TIMESTAMP),
        echo("echo_timestamp_utc", "value", timestamp_utc()),
        echo("echo_time", "value", TIME),
        echo("echo_duration", "value", DURATION),
        echo("echo_decimal", "value", DECIMAL),
        echo("echo_large_string", "value", LargeUtf8),
        echo("echo_large_binary", "value", LargeBinary),
        echo("echo_fixed_binary", "value", DataType::FixedSizeBinary(8)),
        echo("echo_dict_encoded_string", "value", dictionary()),
    ]
}
