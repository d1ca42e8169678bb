//! Schemas of the records that travel in binary columns and as stream headers.

use super::types::*;
use arrow_schema::{DataType, SchemaRef};

/// A point in the plane.
pub fn point_record() -> SchemaRef {
    schema(vec![required("x", Float64), required("y", Float64)])
}

/// Two points with a name.
pub fn bounding_box() -> SchemaRef {
    schema(vec![required("top_left", point()), required("bottom_right", point()), required("label", Utf8)])
}

/// Every shape of value that a record may have.
pub fn all_types() -> SchemaRef {
    schema(vec![
        required("str_field", Utf8),
        required("bytes_field", Binary),
        required("int_field", Int64),
        required("float_field", Float64),
        required("bool_field", Boolean),
        required("list_of_int", list(Int64)),
        required("list_of_str", list(Utf8)),
        required("dict_field", map(Int64)),
        required("enum_field", status()),
        required("nested_point", point()),
        optional("optional_str", Utf8),
        optional("optional_int", Int64),
        optional("optional_nested", point()),
        required("list_of_nested", list(point())),
        required("annotated_int32", Int32),
        required("annotated_float32", Float32),
        required("nested_list", list(list(Int64))),
        required("dict_str_str", map(Utf8)),
    ])
}

/// Every width of value that a record may have.
pub fn wide_types() -> SchemaRef {
    schema(vec![
        required("int8_field", Int8),
        required("int16_field", Int16),
        required("int32_field", Int32),
        required("uint8_field", UInt8),
        required("uint16_field", UInt16),
        required("uint32_field", UInt32),
        required("uint64_field", UInt64),
        required("float32_field", Float32),
        required("date_field", Date32),
        required("timestamp_field", TIMESTAMP),
        required("timestamp_utc_field", timestamp_utc()),
        required("time_field", TIME),
        required("duration_field", DURATION),
        required("decimal_field", DECIMAL),
        required("large_string_field", LargeUtf8),
        required("large_binary_field", LargeBinary),
        required("fixed_binary_field", DataType::FixedSizeBinary(8)),
    ])
}

/// Wide types inside containers.
pub fn container_wide_types() -> SchemaRef {
    schema(vec![
        required("list_decimal", list(DECIMAL)),
        required("list_date", list(Date32)),
        required("list_timestamp", list(TIMESTAMP)),
        optional("optional_date", Date32),
        optional("optional_decimal", DECIMAL),
        optional("optional_timestamp", TIMESTAMP),
        required("dict_str_decimal", map(DECIMAL)),
        required("frozenset_int", list(Int64)),
        required("list_optional_int", list(Int64)),
    ])
}

/// Containers inside containers, and dictionary-encoded text.
pub fn deep_nested() -> SchemaRef {
    schema(vec![
        required("list_of_lists_decimal", list(list(DECIMAL))),
        optional("optional_list_date", list(Date32)),
        required("dict_encoded_string", dictionary()),
        required("list_of_dict_encoded", list(dictionary())),
    ])
}

/// A batch and a schema, each as bytes of Arrow IPC.
pub fn embedded_arrow() -> SchemaRef {
    schema(vec![required("batch", Binary), required("schema", Binary)])
}

/// Enumerations and records inside containers.
pub fn nested_containers() -> SchemaRef {
    schema(vec![
        required("statuses", list(status())),
        required("points", list(point())),
        required("status_by_name", map(status())),
        required("frozen_statuses", list(status())),
        optional("tagged_status", status()),
        optional("tagged_point", point()),
        optional("tagged_batch", Binary),
    ])
}

/// The plain header of a stream.
pub fn conformance_header() -> SchemaRef {
    schema(vec![required("total_expected", Int64), required("description", Utf8)])
}

/// The header of a stream that has a value of every shape.
pub fn rich_header() -> SchemaRef {
    schema(vec![
        required("str_field", Utf8),
        required("bytes_field", Binary),
        required("int_field", Int64),
        required("float_field", Float64),
        required("bool_field", Boolean),
        required("list_of_int", list(Int64)),
        required("list_of_str", list(Utf8)),
        required("dict_field", map(Int64)),
        required("enum_field", status()),
        required("nested_point", point()),
        optional("optional_str", Utf8),
        optional("optional_int", Int64),
        optional("optional_nested", point()),
        required("list_of_nested", list(point())),
        required("nested_list", list(list(Int64))),
        required("annotated_int32", Int32),
        required("annotated_float32", Float32),
        required("dict_str_str", map(Utf8)),
    ])
}
