//! Casts by way of the `arrow-cast` crate, and buffers under another type.

use arrow_array::{Array, ArrayRef, make_array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::DataType;

/// Casts by way of the `arrow-cast` crate, where its rules are the reference's.
pub(super) fn by_arrow(column: &dyn Array, target: &DataType) -> Result<ArrayRef, String> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, target, &options).map_err(|error| error.to_string())
}

/// The same buffers under another type of the same layout.
pub(super) fn reinterpret(column: &dyn Array, target: &DataType) -> Result<ArrayRef, String> {
    let data = column.to_data().into_builder().data_type(target.clone());
    data.build().map(make_array).map_err(|error| error.to_string())
}
