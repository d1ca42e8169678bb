//! Casts between booleans, integers and floats. A cast that would lose a fraction or a digit of an integer is refused.

use super::by_arrow::by_arrow;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int32Type, Int64Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

/// Integers up to this size convert to `float64` and back.
const EXACT_IN_DOUBLE: u64 = 1 << 53;
/// Integers up to this size convert to `float32` and back.
const EXACT_IN_FLOAT: u64 = 1 << 24;

/// Casts a column of booleans, integers or floats to another such type.
pub(super) fn convert(column: &ArrayRef, target: &DataType) -> Result<ArrayRef, String> {
    match (column.data_type(), target) {
        (DataType::Float16 | DataType::Float32 | DataType::Float64, target) if target.is_integer() => {
            refuse_fractions(column, target)?;
        }
        (DataType::Int32, DataType::Float16 | DataType::Float32) => {
            refuse_beyond(column.as_primitive::<Int32Type>(), EXACT_IN_FLOAT, |value| {
                value.unsigned_abs().into()
            })?;
        }
        (DataType::UInt32, DataType::Float16 | DataType::Float32) => {
            refuse_beyond(column.as_primitive::<UInt32Type>(), EXACT_IN_FLOAT, u64::from)?;
        }
        (DataType::Int64, DataType::Float16 | DataType::Float32 | DataType::Float64) => {
            let most = if *target == DataType::Float32 { EXACT_IN_FLOAT } else { EXACT_IN_DOUBLE };
            refuse_beyond(column.as_primitive::<Int64Type>(), most, i64::unsigned_abs)?;
        }
        (DataType::UInt64, DataType::Float16 | DataType::Float32 | DataType::Float64) => {
            let most = if *target == DataType::Float32 { EXACT_IN_FLOAT } else { EXACT_IN_DOUBLE };
            refuse_beyond(column.as_primitive::<UInt64Type>(), most, |value| value)?;
        }
        _ => {}
    }
    by_arrow(column, target)
}

fn refuse_fractions(column: &ArrayRef, target: &DataType) -> Result<(), String> {
    let refuse = |value: f64| {
        if value.trunc() == value {
            return Ok(());
        }
        Err(format!("expected a number that {target} can hold, got {value}"))
    };
    match column.data_type() {
        DataType::Float16 => {
            column.as_primitive::<Float16Type>().iter().flatten().try_for_each(|value| refuse(value.to_f64()))
        }
        DataType::Float32 => {
            column.as_primitive::<Float32Type>().iter().flatten().try_for_each(|value| refuse(value.into()))
        }
        _ => column.as_primitive::<Float64Type>().iter().flatten().try_for_each(refuse),
    }
}

fn refuse_beyond<T: ArrowPrimitiveType>(
    column: &arrow_array::PrimitiveArray<T>,
    most: u64,
    size: impl Fn(T::Native) -> u64,
) -> Result<(), String> {
    match column.iter().flatten().find(|value| size(*value) > most) {
        Some(value) => {
            Err(format!("expected an integer of at most {most}, which a float holds, got {value:?}"))
        }
        None => Ok(()),
    }
}
