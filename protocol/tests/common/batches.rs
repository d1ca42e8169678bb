//! Batches for requests, inputs and expectations, built in one line each.

use arrow_array::types::{Int8Type, Int16Type, Int32Type};
use arrow_array::{
    Array, ArrayRef, DictionaryArray, Float32Array, Float64Array, Int32Array, Int64Array, ListArray,
    MapArray, RecordBatch, RecordBatchOptions, StringArray, StructArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use std::sync::Arc;

/// Returns one row of non-nullable parameters.
pub fn row<const N: usize>(columns: [(&str, ArrayRef); N]) -> RecordBatch {
    fields(columns.map(|(name, column)| (Field::new(name, column.data_type().clone(), false), column)))
}

/// Returns one batch with these fields.
pub fn fields<const N: usize>(columns: [(Field, ArrayRef); N]) -> RecordBatch {
    let (fields, columns): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// Returns a batch without columns, with this many rows.
pub fn no_columns(rows: usize) -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap()
}

pub fn schema<const N: usize>(fields: [(&str, DataType); N]) -> SchemaRef {
    let fields: Vec<_> =
        fields.into_iter().map(|(name, data_type)| Field::new(name, data_type, false)).collect();
    Arc::new(Schema::new(fields))
}

pub fn text(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}

pub fn texts<const N: usize>(values: [Option<&str>; N]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

pub fn int(value: i64) -> ArrayRef {
    ints([value])
}

pub fn ints<const N: usize>(values: [i64; N]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

pub fn ints32<const N: usize>(values: [i32; N]) -> ArrayRef {
    Arc::new(Int32Array::from(values.to_vec()))
}

pub fn floats<const N: usize>(values: [f64; N]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

pub fn floats32<const N: usize>(values: [f32; N]) -> ArrayRef {
    Arc::new(Float32Array::from(values.to_vec()))
}

/// Returns a `dictionary<int8, utf8>`.
pub fn colors<const N: usize>(values: [&str; N]) -> ArrayRef {
    Arc::new(values.into_iter().collect::<DictionaryArray<Int8Type>>())
}

pub fn color_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8))
}

pub fn point_type() -> DataType {
    DataType::Struct(Fields::from(vec![
        Field::new("x", DataType::Float64, false),
        Field::new("name", DataType::Utf8, true),
    ]))
}

pub fn point(x: f64, name: Option<&str>) -> ArrayRef {
    let DataType::Struct(fields) = point_type() else { unreachable!() };
    Arc::new(StructArray::new(fields, vec![floats([x]), texts([name])], None))
}

/// Returns the type of a list whose items have their own dictionary.
pub fn labels_type() -> DataType {
    let item = DataType::Dictionary(Box::new(DataType::Int16), Box::new(DataType::Utf8));
    DataType::List(Arc::new(Field::new("item", item, true)))
}

/// Returns one row of `labels_type`.
pub fn labels<const N: usize>(values: [Option<&str>; N]) -> ArrayRef {
    let items: DictionaryArray<Int16Type> = values.into_iter().collect();
    let DataType::List(item) = labels_type() else { unreachable!() };
    Arc::new(ListArray::new(item, OffsetBuffer::from_lengths([N]), Arc::new(items), None))
}

pub fn counts_type() -> DataType {
    let entries = DataType::Struct(Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Int64, true),
    ]));
    DataType::Map(Arc::new(Field::new("entries", entries, false)), false)
}

/// Returns one row of `counts_type`.
pub fn counts<const N: usize>(entries: [(&str, i64); N]) -> ArrayRef {
    let DataType::Map(field, sorted) = counts_type() else { unreachable!() };
    let DataType::Struct(fields) = field.data_type() else { unreachable!() };
    let keys: ArrayRef = Arc::new(StringArray::from_iter_values(entries.map(|(key, _)| key)));
    let values: ArrayRef = Arc::new(Int64Array::from_iter_values(entries.map(|(_, value)| value)));
    let entries = StructArray::new(fields.clone(), vec![keys, values], None);
    let offsets = OffsetBuffer::from_lengths([entries.len()]);
    Arc::new(MapArray::new(field.clone(), offsets, entries, None, sorted))
}

/// Returns one row of `list<list<int32>>`.
pub fn matrix<const N: usize, const M: usize>(rows: [[i32; M]; N]) -> ArrayRef {
    let inner = ListArray::from_iter_primitive::<Int32Type, _, _>(rows.map(|row| Some(row.map(Some))));
    let item = Arc::new(Field::new("item", inner.data_type().clone(), true));
    Arc::new(ListArray::new(item, OffsetBuffer::from_lengths([N]), Arc::new(inner), None))
}
