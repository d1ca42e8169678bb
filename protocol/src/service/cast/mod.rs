//! Casts a column to a declared type as the reference does, with the same values and the same refusals.
//!
//! The reference casts with Arrow's C++ library, whose rules are not those of the `arrow-cast` crate: it refuses what
//! would lose a fraction, a digit or a second, and it writes and reads other texts. `tests/casts/capture.py` records its
//! answers, and `matrix.rs` replays them here.
//!
//! | file | subject |
//! | --- | --- |
//! | `table` | which types are cast to which |
//! | `nested` | lists, structs, maps, dictionaries |
//! | `numbers`, `decimals`, `times` | values of fixed width |
//! | `parse`, `format` | values from text and to text |
//! | `bytes` | how much memory a cast takes |
//! | `held` | the reservation of what a cast has made |
//! | `nulls` | which rows are null |

mod bytes;
mod decimals;
mod format;
mod held;
#[cfg(test)]
mod matrix;
mod nested;
mod nulls;
mod numbers;
mod parse;
mod table;
mod times;

pub(crate) use bytes::cast_bytes;
pub(crate) use held::hold;
pub(crate) use nulls::{has_nulls, is_null_at};

use super::validate::same_type;
use arrow_array::{Array, ArrayRef, NullArray, make_array, new_empty_array, new_null_array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::DataType;
use std::sync::Arc;
use table::{Kind, is_supported};

/// Casts a column to a type; one that has it already stays as it is.
///
/// # Errors
/// A text that says what cannot be cast: types that are not cast to each other, or a value that does not fit.
pub(crate) fn cast(column: &ArrayRef, target: &DataType) -> Result<ArrayRef, String> {
    let source = column.data_type();
    if source == target {
        return Ok(column.clone());
    }
    if Kind::of(source) == Kind::Other && same_type(source, target) {
        return nested::rename(column, target);
    }
    if !is_supported(source, target) {
        return Err(format!("a cast from {source} to {target} is not supported"));
    }
    if column.is_empty() {
        return Ok(new_empty_array(target));
    }
    match (Kind::of(source), Kind::of(target)) {
        (Kind::Null, _) => Ok(new_null_array(target, column.len())),
        (_, Kind::Null) => Ok(Arc::new(NullArray::new(column.len()))),
        (Kind::List | Kind::FixedList | Kind::Map, Kind::List | Kind::FixedList | Kind::Map) => {
            nested::lists(column, target)
        }
        (Kind::Struct, _) => nested::structs(column, target),
        (Kind::Dictionary, _) => nested::from_dictionary(column, target),
        (_, Kind::Dictionary) => nested::to_dictionary(column, target),
        // Bytes are read as the text that they are.
        (Kind::Bytes | Kind::BytesView, Kind::Bool | Kind::Int | Kind::Float | Kind::Decimal) => {
            let text =
                if Kind::of(source) == Kind::Bytes { &DataType::LargeUtf8 } else { &DataType::Utf8View };
            parse::parse(&by_arrow(column, text)?, target)
        }
        (Kind::Text | Kind::TextView | Kind::Bytes | Kind::BytesView | Kind::FixedBytes, _)
            if Kind::of(target).is_sized() =>
        {
            nested::sized_texts(column, target)
        }
        (Kind::Text | Kind::TextView, _) => parse::parse(column, target),
        (_, Kind::Text | Kind::TextView) => format::format(column, target),
        (Kind::Decimal, _) | (_, Kind::Decimal) => decimals::convert(column, target),
        (Kind::Bool | Kind::Int | Kind::Float, Kind::Bool | Kind::Int | Kind::Float) => {
            numbers::convert(column, target)
        }
        _ => times::convert(column, target),
    }
}

/// Casts by way of the `arrow-cast` crate, where its rules are the reference's.
fn by_arrow(column: &dyn Array, target: &DataType) -> Result<ArrayRef, String> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, target, &options).map_err(|error| error.to_string())
}

/// The same buffers under another type of the same layout.
fn reinterpret(column: &dyn Array, target: &DataType) -> Result<ArrayRef, String> {
    let data = column.to_data().into_builder().data_type(target.clone());
    data.build().map(make_array).map_err(|error| error.to_string())
}
