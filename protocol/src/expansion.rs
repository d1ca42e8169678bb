//! What the macros of `vgi-rpc-macros` expand to. Nothing here is for people.

pub use crate::client::params::{ParamsRow, result};
pub use crate::values::{enums, records};
pub use arrow_array::ArrayRef;
pub use arrow_schema::{DataType, SchemaRef};

use crate::values::{ArrowType, Record};
use arrow_schema::{Field, Schema};
use std::sync::Arc;

/// The names that are in scope where an Arrow type is declared.
pub mod data_types {
    pub use arrow_schema::{DataType, Field, Fields, IntervalUnit, TimeUnit};
    pub use std::sync::Arc;
}

/// A schema of these fields.
pub fn schema(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}

/// The schema of a record.
pub fn record_schema<R: Record>() -> SchemaRef {
    R::schema()
}

/// How a parameter or a result is declared.
pub fn parameter<T: ArrowType>(name: &str, data_type: Option<DataType>, nullable: Option<bool>) -> Field {
    Field::new(name, data_type.unwrap_or_else(T::parameter_type), nullable.unwrap_or(T::NULLABLE))
}
