//! The declared schema of the exchange, and batches with it.

use arrow_array::builder::{ListBuilder, StringBuilder, StringDictionaryBuilder};
use arrow_array::types::{Int16Type, Int32Type};
use arrow_array::{
    ArrayRef, Decimal128Array, Float64Array, ListArray, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use std::sync::Arc;

const PRECISION: u8 = 18;
const SCALE: i8 = 4;
const TIME_ZONE: &str = "UTC";

/// `TYPED_EXCHANGE_SCHEMA` of the reference's worker: order, types and nullability are exact.
pub fn schema() -> SchemaRef {
    let category = DataType::Dictionary(DataType::Int16.into(), DataType::Utf8.into());
    Arc::new(Schema::new(vec![
        Field::new("nullable_float", DataType::Float64, true),
        Field::new_list("tags", Field::new_list_field(DataType::Utf8, true), true),
        Field::new("category", category, true),
        Field::new("event_time", DataType::Timestamp(TimeUnit::Microsecond, Some(TIME_ZONE.into())), true),
        Field::new("amount", DataType::Decimal128(PRECISION, SCALE), true),
        Field::new_struct("nested", nested(), true),
    ]))
}

fn nested() -> Fields {
    Fields::from(vec![
        Field::new("name", DataType::Utf8, true),
        Field::new_list("scores", Field::new_list_field(DataType::Int32, true), true),
    ])
}

/// Returns one row with a null in every column.
///
/// # Errors
/// If the columns do not match the schema.
pub fn nulls() -> Result<RecordBatch, ArrowError> {
    let schema = schema();
    let columns = schema.fields().iter().map(|field| new_null_array(field.data_type(), 1)).collect();
    RecordBatch::try_new(schema, columns)
}

/// Returns no rows, with the full schema.
pub fn no_rows() -> RecordBatch {
    RecordBatch::new_empty(schema())
}

/// Returns one row with a value in every column, and nulls inside these.
///
/// # Errors
/// If the columns do not match the schema.
pub fn values() -> Result<RecordBatch, ArrowError> {
    let mut tags = ListBuilder::new(StringBuilder::new());
    tags.append_value([Some("red"), None, Some("")]);
    let mut category = StringDictionaryBuilder::<Int16Type>::new();
    category.append("gold")?;
    let scores = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None, Some(i32::MIN)])]);
    let name = StringArray::from(vec!["Zoë"]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Float64Array::from(vec![-0.5])),
        Arc::new(tags.finish()),
        Arc::new(category.finish()),
        Arc::new(TimestampMicrosecondArray::from(vec![1_767_225_600_123_456]).with_timezone(TIME_ZONE)),
        Arc::new(Decimal128Array::from(vec![-123_456_789]).with_precision_and_scale(PRECISION, SCALE)?),
        Arc::new(StructArray::try_new(nested(), vec![Arc::new(name), Arc::new(scores)], None)?),
    ];
    RecordBatch::try_new(schema(), columns)
}
