//! Text: `str`, `String` and characters of dictionaries.

use super::arrow_type::ArrowType;
use super::column::{ColumnBuilder, Values};
use super::error::ValueError;
use super::traits::{FromArrow, IntoArrow, read_one_by_one};
use super::value_ref::ValueRef;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, LargeStringArray, StringArray};
use arrow_schema::DataType;
use std::sync::Arc;

/// Checks that `more` bytes fit in addition to the existing ones with 32-bit offsets.
pub(super) fn fits_32(held: usize, more: usize) -> Result<(), ValueError> {
    match held.checked_add(more) {
        Some(bytes) if i32::try_from(bytes).is_ok() => Ok(()),
        _ => Err(ValueError::new("at most 2147483647 bytes in a column of 32-bit offsets", "more")),
    }
}

impl ArrowType for str {
    fn data_type() -> DataType {
        DataType::Utf8
    }
    fn reads(data_type: &DataType) -> bool {
        matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
    }
    fn writes(data_type: &DataType) -> bool {
        match data_type {
            DataType::Dictionary(_, values) => Self::reads(values),
            plain => Self::reads(plain),
        }
    }
}

impl<'a> FromArrow<'a> for &'a str {
    fn read(value: ValueRef<'a>) -> Result<Self, ValueError> {
        let (column, row) = (value.column, value.row);
        if column.is_valid(row) {
            match column.data_type() {
                DataType::Utf8 => return Ok(column.as_string::<i32>().value(row)),
                DataType::LargeUtf8 => return Ok(column.as_string::<i64>().value(row)),
                DataType::Utf8View => return Ok(column.as_string_view().value(row)),
                _ => {}
            }
        }
        match value.decoded() {
            Some(value) => Self::read(value),
            None => Err(value.mismatch::<str>()),
        }
    }
    fn read_each(
        first: ValueRef<'a>,
        count: usize,
        values: &mut Vec<Self>,
    ) -> Result<(), (usize, ValueError)> {
        match first.column.as_string_opt::<i32>() {
            Some(texts) if texts.null_count() == 0 => {
                values.extend((first.row..first.row + count).map(|row| texts.value(row)));
                Ok(())
            }
            _ => read_one_by_one(first, count, values),
        }
    }
}

impl IntoArrow for str {
    fn write(&self, column: &mut ColumnBuilder) -> Result<(), ValueError> {
        match &mut column.values {
            Values::Utf8(texts) => {
                fits_32(texts.values_slice().len(), self.len())?;
                texts.append_value(self);
            }
            Values::LargeUtf8(texts) => texts.append_value(self),
            Values::Utf8View(texts) => {
                fits_32(0, self.len())?;
                texts.append_value(self);
            }
            Values::Dictionary(dictionary) => dictionary.append(self)?,
            _ => return Err(column.mismatch::<Self>()),
        }
        Ok(())
    }
    fn to_column(&self, data_type: &DataType) -> Result<ArrayRef, ValueError> {
        match data_type {
            DataType::Utf8 => {
                fits_32(0, self.len())?;
                Ok(Arc::new(StringArray::from_iter_values([self])))
            }
            DataType::LargeUtf8 => Ok(Arc::new(LargeStringArray::from_iter_values([self]))),
            _ => {
                let mut column = ColumnBuilder::new(data_type, 1)?;
                self.write(&mut column)?;
                column.finish()
            }
        }
    }
}

impl ArrowType for String {
    fn data_type() -> DataType {
        DataType::Utf8
    }
    fn reads(data_type: &DataType) -> bool {
        str::reads(data_type)
    }
    fn writes(data_type: &DataType) -> bool {
        str::writes(data_type)
    }
}

impl<'a> FromArrow<'a> for String {
    fn read(value: ValueRef<'a>) -> Result<Self, ValueError> {
        let text = <&str>::read(value)?;
        value.bounds().charge(text.len())?;
        Ok(text.to_owned())
    }
    fn read_each(
        first: ValueRef<'a>,
        count: usize,
        values: &mut Vec<Self>,
    ) -> Result<(), (usize, ValueError)> {
        let mut texts = Vec::with_capacity(count);
        <&str>::read_each(first, count, &mut texts)?;
        for (index, text) in texts.into_iter().enumerate() {
            first.bounds().charge(text.len()).map_err(|error| (index, error))?;
            values.push(text.to_owned());
        }
        Ok(())
    }
}

impl IntoArrow for String {
    fn write(&self, column: &mut ColumnBuilder) -> Result<(), ValueError> {
        self.as_str().write(column)
    }
    fn to_column(&self, data_type: &DataType) -> Result<ArrayRef, ValueError> {
        self.as_str().to_column(data_type)
    }
}
