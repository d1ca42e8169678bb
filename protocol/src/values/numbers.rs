//! Numbers and booleans.
//!
//! A number is read only from its own type, and written to its own or to a wider one that can represent all of its values: the
//! literal `42`, which is an `i32`, can be the result of a method that is declared to return an `Int64`.

use super::arrow_type::ArrowType;
use super::column::{ColumnBuilder, Values};
use super::error::ValueError;
use super::traits::{FromArrow, IntoArrow, append_items, items, read_one_by_one, write_one_by_one};
use super::value_ref::ValueRef;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{Array, ArrayRef, BooleanArray, ListArray, PrimitiveArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::DataType;
use std::sync::Arc;

macro_rules! number {
    ($native:ty, $arrow:ty, $type:ident $(, $wider:ident $wide:ty)*) => {
        impl ArrowType for $native {
            fn data_type() -> DataType {
                DataType::$type
            }
            fn reads(data_type: &DataType) -> bool {
                matches!(data_type, DataType::$type)
            }
            fn writes(data_type: &DataType) -> bool {
                matches!(data_type, DataType::$type $(| DataType::$wider)*)
            }
            number!(@bytes $type);
        }

        impl<'a> FromArrow<'a> for $native {
            #[inline]
            fn read(value: ValueRef<'a>) -> Result<Self, ValueError> {
                match value.column.as_primitive_opt::<$arrow>() {
                    Some(numbers) if numbers.is_valid(value.row) => Ok(numbers.value(value.row)),
                    _ => match value.decoded() {
                        Some(value) => Self::read(value),
                        None => Err(value.mismatch::<Self>()),
                    },
                }
            }
            fn read_each(
                first: ValueRef<'a>,
                count: usize,
                values: &mut Vec<Self>,
            ) -> Result<(), (usize, ValueError)> {
                let numbers = first.column.as_primitive_opt::<$arrow>();
                let present = numbers.filter(|numbers| numbers.null_count() == 0);
                match present.and_then(|numbers| numbers.values().get(first.row..first.row + count)) {
                    Some(numbers) => values.extend_from_slice(numbers),
                    None => read_one_by_one(first, count, values)?,
                }
                Ok(())
            }
            fn read_list(value: ValueRef<'a>) -> Result<Vec<Self>, ValueError> {
                number!(@read_list value, $type);
                // Numbers that are contiguous in memory are copied together.
                match <&[$native]>::read(value) {
                    Ok(numbers) => {
                        value.bounds().charge(size_of_val(numbers))?;
                        Ok(numbers.to_vec())
                    }
                    Err(_) => items(value, |items| items.collect()),
                }
            }
        }

        impl IntoArrow for $native {
            #[inline]
            fn write(&self, column: &mut ColumnBuilder) -> Result<(), ValueError> {
                match &mut column.values {
                    Values::$type(values) => values.push(*self),
                    $(Values::$wider(values) => values.push(<$wide>::from(*self)),)*
                    _ => return Err(column.mismatch::<Self>()),
                }
                column.nulls.append_non_null();
                Ok(())
            }
            fn write_each<'v>(
                values: impl ExactSizeIterator<Item = &'v Self>,
                column: &mut ColumnBuilder,
            ) -> Result<(), (usize, ValueError)> {
                let Values::$type(slots) = &mut column.values else {
                    return write_one_by_one(values, column);
                };
                column.nulls.append_n_non_nulls(values.len());
                slots.extend(values.copied());
                Ok(())
            }
            fn to_column(&self, data_type: &DataType) -> Result<ArrayRef, ValueError> {
                if *data_type == DataType::$type {
                    return Ok(Arc::new(PrimitiveArray::<$arrow>::from(vec![*self])));
                }
                let mut column = ColumnBuilder::new(data_type, 1)?;
                self.write(&mut column)?;
                column.finish()
            }
            number!(@write_list $native, $arrow, $type);
        }

        number!(@slices $native, $arrow, $type);
    };

    // Lists of bytes are binary: see `bytes`.
    (@bytes UInt8) => {
        fn list_type() -> DataType {
            DataType::Binary
        }
        fn array_type(length: i32) -> DataType {
            DataType::FixedSizeBinary(length)
        }
        fn list_reads(data_type: &DataType) -> bool {
            super::bytes::is_binary(data_type)
        }
        fn list_writes(data_type: &DataType) -> bool {
            super::bytes::is_binary(data_type)
        }
    };
    (@bytes $type:ident) => {};
    (@read_list $value:ident, UInt8) => {
        if let Ok(bytes) = super::bytes::read($value) {
            $value.bounds().charge(bytes.len())?;
            return Ok(bytes.to_vec());
        }
    };
    (@read_list $value:ident, $type:ident) => {};
    (@write_list $native:ty, $arrow:ty, UInt8) => {
        fn write_list(items: &[Self], column: &mut ColumnBuilder) -> Result<(), ValueError> {
            super::bytes::write(items, column)
        }
        fn list_into_column(items: Vec<Self>, data_type: &DataType) -> Result<ArrayRef, ValueError> {
            super::bytes::into_column(items.into(), data_type)
        }
    };
    (@write_list $native:ty, $arrow:ty, $type:ident) => {
        fn write_list(items: &[Self], column: &mut ColumnBuilder) -> Result<(), ValueError> {
            column.append_list::<Self>(items.len(), |column| match &mut column.values {
                Values::$type(values) => {
                    values.extend_from_slice(items);
                    column.nulls.append_n_non_nulls(items.len());
                    Ok(())
                }
                _ => append_items(items.iter(), column),
            })
        }
        fn list_to_column(items: &[Self], data_type: &DataType) -> Result<ArrayRef, ValueError> {
            Self::list_into_column(items.to_vec(), data_type)
        }
        fn list_into_column(items: Vec<Self>, data_type: &DataType) -> Result<ArrayRef, ValueError> {
            match data_type {
                DataType::List(item) if *item.data_type() == DataType::$type && i32::try_from(items.len()).is_ok() => {
                    let offsets = OffsetBuffer::from_lengths([items.len()]);
                    let values = Arc::new(PrimitiveArray::<$arrow>::from(items));
                    Ok(Arc::new(ListArray::try_new(item.clone(), offsets, values, None)?))
                }
                _ => {
                    let mut column = ColumnBuilder::new(data_type, 1)?;
                    Self::write_list(&items, &mut column)?;
                    column.finish()
                }
            }
        }
    };
    (@slices $native:ty, $arrow:ty, UInt8) => {};
    (@slices $native:ty, $arrow:ty, $type:ident) => {
        /// Borrows the numbers of a list. A list with nulls cannot be read in this way.
        impl<'a> FromArrow<'a> for &'a [$native] {
            fn read(value: ValueRef<'a>) -> Result<Self, ValueError> {
                let Some((column, rows)) = value.list() else {
                    return match value.decoded() {
                        Some(value) => Self::read(value),
                        None => Err(value.mismatch::<Self>()),
                    };
                };
                let numbers = column.as_primitive_opt::<$arrow>().ok_or_else(|| value.mismatch::<Self>())?;
                if let Some(nulls) = numbers.nulls()
                    && nulls.slice(rows.start, rows.len()).null_count() > 0
                {
                    return Err(ValueError::new("a list without nulls", "one with nulls"));
                }
                numbers.values().get(rows).ok_or_else(|| value.mismatch::<Self>())
            }
        }
    };
}

number!(i8, Int8Type, Int8, Int16 i16, Int32 i32, Int64 i64);
number!(i16, Int16Type, Int16, Int32 i32, Int64 i64);
number!(i32, Int32Type, Int32, Int64 i64);
number!(i64, Int64Type, Int64);
number!(u8, UInt8Type, UInt8, UInt16 u16, UInt32 u32, UInt64 u64, Int16 i16, Int32 i32, Int64 i64);
number!(u16, UInt16Type, UInt16, UInt32 u32, UInt64 u64, Int32 i32, Int64 i64);
number!(u32, UInt32Type, UInt32, UInt64 u64, Int64 i64);
number!(u64, UInt64Type, UInt64);
number!(f32, Float32Type, Float32, Float64 f64);
number!(f64, Float64Type, Float64);

impl ArrowType for bool {
    fn data_type() -> DataType {
        DataType::Boolean
    }
}

impl<'a> FromArrow<'a> for bool {
    fn read(value: ValueRef<'a>) -> Result<Self, ValueError> {
        match value.column.as_boolean_opt() {
            Some(values) if values.is_valid(value.row) => Ok(values.value(value.row)),
            _ => match value.decoded() {
                Some(value) => Self::read(value),
                None => Err(value.mismatch::<Self>()),
            },
        }
    }
}

impl IntoArrow for bool {
    fn write(&self, column: &mut ColumnBuilder) -> Result<(), ValueError> {
        let Values::Boolean(values) = &mut column.values else { return Err(column.mismatch::<Self>()) };
        values.append(*self);
        column.nulls.append_non_null();
        Ok(())
    }
    fn to_column(&self, data_type: &DataType) -> Result<ArrayRef, ValueError> {
        match data_type {
            DataType::Boolean => Ok(Arc::new(BooleanArray::from(vec![*self]))),
            _ => Err(ValueError::of_types(data_type, &DataType::Boolean)),
        }
    }
}
