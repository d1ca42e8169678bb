//! Columns of one value, which Arrow's constructors do not make from plain ones.

use super::types::{coordinates, list_item, map_entries};
use arrow_array::types::Int16Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, DictionaryArray, Float64Array, ListArray, MapArray, RecordBatch,
    StringArray, StructArray,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow_schema::{ArrowError, DataType, SchemaRef};
use std::sync::Arc;
use vgi_rpc_protocol::wire::error::RpcError;

/// The names of the enumeration `Status`, in order.
pub const STATUSES: [&str; 3] = ["PENDING", "ACTIVE", "CLOSED"];

/// A batch of these columns.
pub fn batch(schema: SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch, RpcError> {
    RecordBatch::try_new(schema, columns).map_err(arrow_error)
}

/// An error of Arrow's, as the error of a call.
pub fn arrow_error(error: ArrowError) -> RpcError {
    RpcError::from_error("ArrowError", &error)
}

/// One value of bytes, which are not copied. They must be fewer than 2 GiB.
pub fn binary(bytes: impl Into<Buffer>) -> ArrayRef {
    let bytes = bytes.into();
    Arc::new(BinaryArray::new(OffsetBuffer::from_lengths([bytes.len()]), bytes, None))
}

/// One list of these values.
pub fn list(values: ArrayRef) -> ArrayRef {
    let item = list_item(values.data_type().clone());
    Arc::new(ListArray::new(item, OffsetBuffer::from_lengths([values.len()]), values, None))
}

/// One map from these keys to these values.
pub fn map<const N: usize>(keys: [&str; N], values: ArrayRef) -> ArrayRef {
    let entries = map_entries(values.data_type().clone());
    let DataType::Struct(fields) = entries.data_type().clone() else {
        unreachable!("the entries of a map are structs")
    };
    let keys = Arc::new(StringArray::from_iter_values(keys));
    let pairs = StructArray::new(fields, vec![keys, values], None);
    Arc::new(MapArray::new(entries, OffsetBuffer::from_lengths([N]), pairs, None, false))
}

/// Texts as references into a dictionary.
pub fn dictionary<'a>(texts: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(texts.into_iter().collect::<DictionaryArray<Int16Type>>())
}

/// One point, or null.
pub fn point(at: Option<(f64, f64)>) -> ArrayRef {
    let (x, y) = at.unwrap_or_default();
    let column = |value| Arc::new(Float64Array::from(vec![value])) as ArrayRef;
    let nulls = at.is_none().then(|| NullBuffer::new_null(1));
    Arc::new(StructArray::new(coordinates(), vec![column(x), column(y)], nulls))
}
