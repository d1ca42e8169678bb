//! Casts text and bytes from one layout to another.

use super::by_arrow::by_arrow;
use super::table::Kind;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

/// Casts text and bytes to another layout. Bytes that become text are checked for valid UTF-8.
pub(super) fn sized_texts(column: &ArrayRef, target: &DataType) -> Result<ArrayRef, String> {
    let DataType::FixedSizeBinary(size) = target else {
        return match (Kind::of(column.data_type()), Kind::of(target)) {
            (Kind::FixedBytes, Kind::Text | Kind::TextView) => {
                by_arrow(&by_arrow(column, &DataType::LargeBinary)?, target)
            }
            _ => by_arrow(column, target),
        };
    };
    if let DataType::FixedSizeBinary(given) = column.data_type() {
        return Err(format!("expected values of {size} bytes, got {given}"));
    }
    by_arrow(&by_arrow(column, &DataType::LargeBinary)?, target)
}
