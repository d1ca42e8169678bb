//! Bytes: slices, `Vec<u8>`, arrays of `u8` and [`Bytes`].

use super::arrow_type::ArrowType;
use super::column::{ColumnBuilder, Values};
use super::error::ValueError;
use super::text::fits_32;
use super::traits::{FromArrow, IntoArrow};
use super::value_ref::ValueRef;
use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, BinaryArray, LargeBinaryArray};
use arrow_buffer::{Buffer, OffsetBuffer};
use arrow_schema::DataType;
use bytes::Bytes;
use std::sync::Arc;

/// Returns whether a type is one of bytes.
pub(super) fn is_binary(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)
    )
}

/// Reads bytes without copying.
pub(super) fn read(value: ValueRef<'_>) -> Result<&[u8], ValueError> {
    let (column, row) = (value.column, value.row);
    if column.is_valid(row) {
        match column.data_type() {
            DataType::Binary => return Ok(column.as_binary::<i32>().value(row)),
            DataType::LargeBinary => return Ok(column.as_binary::<i64>().value(row)),
            DataType::BinaryView => return Ok(column.as_binary_view().value(row)),
            DataType::FixedSizeBinary(_) => return Ok(column.as_fixed_size_binary().value(row)),
            _ => {}
        }
    }
    match value.decoded() {
        Some(value) => read(value),
        None => Err(value.unexpected("Binary")),
    }
}

/// Reads bytes as a handle to the column's memory, if that is possible: not for views and fixed sizes.
pub(super) fn shared(value: ValueRef<'_>) -> Option<Bytes> {
    let (column, row) = (value.column, value.row);
    let (values, start, length) = match column.data_type() {
        DataType::Binary => {
            let column = column.as_binary_opt::<i32>()?;
            let start = usize::try_from(*column.value_offsets().get(row)?).ok()?;
            (column.values(), start, column.value(row).len())
        }
        DataType::LargeBinary => {
            let column = column.as_binary_opt::<i64>()?;
            let start = usize::try_from(*column.value_offsets().get(row)?).ok()?;
            (column.values(), start, column.value(row).len())
        }
        _ => return None,
    };
    Some(values.slice_with_length(start, length).into())
}

/// Appends bytes.
pub(super) fn write(bytes: &[u8], column: &mut ColumnBuilder) -> Result<(), ValueError> {
    match &mut column.values {
        Values::Binary(values) => {
            fits_32(values.values_slice().len(), bytes.len())?;
            values.append_value(bytes);
        }
        Values::LargeBinary(values) => values.append_value(bytes),
        Values::BinaryView(values) => {
            fits_32(0, bytes.len())?;
            values.append_value(bytes);
        }
        Values::FixedSizeBinary(values, size) => {
            if bytes.len() != *size {
                return Err(ValueError::new(format!("{size} bytes"), bytes.len().to_string()));
            }
            values.extend_from_slice(bytes);
            column.nulls.append_non_null();
        }
        _ => return Err(ValueError::of_types(&column.data_type, &DataType::Binary)),
    }
    Ok(())
}

/// Returns a column of one value that reuses the value's memory.
pub(super) fn into_column(bytes: Bytes, data_type: &DataType) -> Result<ArrayRef, ValueError> {
    let lengths = [bytes.len()];
    match data_type {
        DataType::Binary => {
            fits_32(0, bytes.len())?;
            Ok(Arc::new(BinaryArray::try_new(
                OffsetBuffer::from_lengths(lengths),
                Buffer::from(bytes),
                None,
            )?))
        }
        DataType::LargeBinary => {
            let offsets = OffsetBuffer::from_lengths(lengths);
            Ok(Arc::new(LargeBinaryArray::try_new(offsets, Buffer::from(bytes), None)?))
        }
        _ => {
            let mut column = ColumnBuilder::new(data_type, 1)?;
            write(&bytes, &mut column)?;
            column.finish()
        }
    }
}

impl<'a> FromArrow<'a> for &'a [u8] {
    fn read(value: ValueRef<'a>) -> Result<Self, ValueError> {
        read(value)
    }
}

impl ArrowType for Bytes {
    fn data_type() -> DataType {
        DataType::Binary
    }
    fn reads(data_type: &DataType) -> bool {
        is_binary(data_type)
    }
}

/// Shares the memory of a `Binary` or `LargeBinary` column.
impl<'a> FromArrow<'a> for Bytes {
    fn read(value: ValueRef<'a>) -> Result<Self, ValueError> {
        let bytes = read(value)?;
        match shared(value) {
            Some(bytes) => Ok(bytes),
            None => {
                value.bounds().charge(bytes.len())?;
                Ok(Self::copy_from_slice(bytes))
            }
        }
    }
}

impl IntoArrow for Bytes {
    fn write(&self, column: &mut ColumnBuilder) -> Result<(), ValueError> {
        write(self, column)
    }
    fn into_column(self, data_type: &DataType) -> Result<ArrayRef, ValueError> {
        into_column(self, data_type)
    }
}
