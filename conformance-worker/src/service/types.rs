//! The Arrow types of the service's signatures.

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use std::sync::Arc;

pub use arrow_schema::DataType::{
    Binary, Boolean, Date32, Float32, Float64, Int8, Int16, Int32, Int64, LargeBinary, LargeUtf8, UInt8,
    UInt16, UInt32, UInt64, Utf8,
};

/// A decimal of 20 digits, 4 of them after the point.
pub const DECIMAL: DataType = DataType::Decimal128(20, 4);
/// A time of day.
pub const TIME: DataType = DataType::Time64(TimeUnit::Microsecond);
/// A span of time.
pub const DURATION: DataType = DataType::Duration(TimeUnit::Microsecond);
/// A date with a time of day, in no particular zone.
pub const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// An instant.
pub fn timestamp_utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// A list of nullable values.
pub fn list(item: DataType) -> DataType {
    DataType::List(list_item(item))
}

/// The field of a list's values.
pub fn list_item(item: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", item, true))
}

/// A map from text to nullable values.
pub fn map(value: DataType) -> DataType {
    DataType::Map(map_entries(value), false)
}

/// The field of a map's entries.
pub fn map_entries(value: DataType) -> Arc<Field> {
    let entry = Fields::from(vec![Field::new("key", Utf8, false), Field::new("value", value, true)]);
    Arc::new(Field::new("entries", DataType::Struct(entry), false))
}

/// Dictionary-encoded text.
pub fn dictionary() -> DataType {
    DataType::Dictionary(Box::new(Int16), Box::new(Utf8))
}

/// A nullable field.
pub fn optional(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

/// A schema of these fields.
pub fn schema(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}
