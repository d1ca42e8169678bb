//! Converts parameters to values for Sentry.

use serde_json::{Map, Number, Value};
use vgi_rpc_protocol::arrow::array::cast::AsArray;
use vgi_rpc_protocol::arrow::array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use vgi_rpc_protocol::arrow::array::{Array, ArrayRef, RecordBatch};
use vgi_rpc_protocol::arrow::schema::{DataType, Schema};

/// The maximum size of a value in bytes.
const MAX_VALUE_BYTES: usize = 1024;
/// The maximum number of characters of a tag.
const MAX_TAG_CHARACTERS: usize = 200;
/// The maximum number of parameters that are converted.
const MAX_PARAMETERS: usize = 64;

/// Returns the declared parameters that are strings, numbers, booleans, or lists of these. Values are truncated to 1 KiB. Columns
/// that the method does not declare are omitted, because they may have any name. The request is refused because of them, but only
/// later.
pub(crate) fn of_row(declared: &Schema, row: &RecordBatch) -> Map<String, Value> {
    let names = declared.fields().iter().map(|field| field.name()).take(MAX_PARAMETERS);
    names.filter_map(|name| Some((name.clone(), value(row.column_by_name(name)?)?))).collect()
}

/// Returns a declared parameter that is a string or bytes, as text: bytes as hex digits. If it has more than 1 KiB, it is not an
/// id.
pub(crate) fn id(declared: &Schema, row: &RecordBatch, name: &str) -> Option<String> {
    declared.column_with_name(name)?;
    let column = row.column_by_name(name)?;
    if column.is_empty() || column.is_null(0) {
        return None;
    }
    let text = |text: &str| (text.len() <= MAX_VALUE_BYTES).then(|| text.to_owned());
    let hex = |bytes: &[u8]| {
        let digits = || bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        (bytes.len() <= MAX_VALUE_BYTES).then(digits)
    };
    match column.data_type() {
        DataType::Utf8 => text(column.as_string::<i32>().value(0)),
        DataType::LargeUtf8 => text(column.as_string::<i64>().value(0)),
        DataType::Binary => hex(column.as_binary::<i32>().value(0)),
        DataType::LargeBinary => hex(column.as_binary::<i64>().value(0)),
        DataType::FixedSizeBinary(_) => hex(column.as_fixed_size_binary().value(0)),
        _ => None,
    }
}

/// Converts a value to a tag; `None` for lists.
pub(crate) fn tag(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        _ => return None,
    };
    Some(text.chars().take(MAX_TAG_CHARACTERS).collect())
}

/// Truncates a text to the maximum of a tag.
pub(crate) fn cut(text: &str) -> String {
    beginning(text, MAX_VALUE_BYTES)
}

/// Truncates a text to this many bytes, between characters.
fn beginning(text: &str, bytes: usize) -> String {
    let end = (0..=text.len().min(bytes)).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default().to_owned()
}

/// Returns the first value of a column.
fn value(column: &ArrayRef) -> Option<Value> {
    if column.is_empty() || column.is_null(0) {
        return None;
    }
    let list = match column.data_type() {
        DataType::List(_) => column.as_list::<i32>().value(0),
        DataType::LargeList(_) => column.as_list::<i64>().value(0),
        _ => return scalar(column, 0),
    };
    let mut left = MAX_VALUE_BYTES;
    let mut values = Vec::new();
    for index in 0..list.len() {
        // A null would result in a list of two types.
        let value = scalar(&list, index)?;
        let Some(rest) = left.checked_sub(value.to_string().len()) else { break };
        left = rest;
        values.push(value);
    }
    (!values.is_empty()).then_some(Value::Array(values))
}

fn scalar(column: &ArrayRef, index: usize) -> Option<Value> {
    if column.is_null(index) {
        return None;
    }
    macro_rules! number {
        ($type:ty) => {
            column.as_primitive::<$type>().value(index).into()
        };
    }
    Some(match column.data_type() {
        DataType::Boolean => column.as_boolean().value(index).into(),
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float32 => {
            Value::Number(Number::from_f64(column.as_primitive::<Float32Type>().value(index).into())?)
        }
        DataType::Float64 => {
            Value::Number(Number::from_f64(column.as_primitive::<Float64Type>().value(index))?)
        }
        DataType::Utf8 => cut(column.as_string::<i32>().value(index)).into(),
        DataType::LargeUtf8 => cut(column.as_string::<i64>().value(index)).into(),
        _ => return None,
    })
}
