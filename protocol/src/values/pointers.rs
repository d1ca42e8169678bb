//! Values behind references and boxes, and optional values: they have the type of their content.

use super::arrow_type::ArrowType;
use super::column::ColumnBuilder;
use super::error::ValueError;
use super::traits::{FromArrow, IntoArrow, read_one_by_one};
use super::value_ref::ValueRef;
use arrow_array::{ArrayRef, new_null_array};
use arrow_schema::DataType;
use std::borrow::Cow;
use std::sync::Arc;

macro_rules! same_type_as {
    ($inner:ty) => {
        const NO_RECORD_CONTAINS_ITSELF: () = <$inner>::NO_RECORD_CONTAINS_ITSELF;
        fn data_type() -> DataType {
            <$inner>::data_type()
        }
        fn parameter_type() -> DataType {
            <$inner>::parameter_type()
        }
        fn reads(data_type: &DataType) -> bool {
            <$inner>::reads(data_type)
        }
        fn writes(data_type: &DataType) -> bool {
            <$inner>::writes(data_type)
        }
        fn problem() -> Option<String> {
            <$inner>::problem()
        }
    };
}

impl<T: ArrowType> ArrowType for Option<T> {
    const NULLABLE: bool = true;
    same_type_as!(T);
}

impl<'a, T: FromArrow<'a>> FromArrow<'a> for Option<T> {
    fn read(value: ValueRef<'a>) -> Result<Self, ValueError> {
        if T::is_absent(value) { Ok(None) } else { T::read(value).map(Some) }
    }
    fn read_each(
        first: ValueRef<'a>,
        count: usize,
        values: &mut Vec<Self>,
    ) -> Result<(), (usize, ValueError)> {
        // For other types, the values of a dictionary, a run or a union may be null although no row is.
        let is_plain = first.data_type().is_primitive() || *first.data_type() == DataType::Utf8;
        if !is_plain || first.column.null_count() > 0 {
            return read_one_by_one(first, count, values);
        }
        let mut present = Vec::with_capacity(count);
        T::read_each(first, count, &mut present)?;
        values.extend(present.into_iter().map(Some));
        Ok(())
    }
}

impl<T: IntoArrow> IntoArrow for Option<T> {
    fn write(&self, column: &mut ColumnBuilder) -> Result<(), ValueError> {
        match self {
            Some(value) => value.write(column),
            None => {
                column.append_null();
                Ok(())
            }
        }
    }
    fn write_each<'v>(
        values: impl ExactSizeIterator<Item = &'v Self>,
        column: &mut ColumnBuilder,
    ) -> Result<(), (usize, ValueError)>
    where
        T: 'v,
    {
        // The values between two nulls are written together.
        let mut present = Vec::with_capacity(values.len());
        let mut written = 0;
        for value in values {
            match value {
                Some(value) => present.push(value),
                None => {
                    written += write_present(&mut present, written, column)? + 1;
                    column.append_null();
                }
            }
        }
        write_present(&mut present, written, column).map(drop)
    }
    fn to_column(&self, data_type: &DataType) -> Result<ArrayRef, ValueError> {
        match self {
            Some(value) => value.to_column(data_type),
            None => Ok(new_null_array(data_type, 1)),
        }
    }
    fn into_column(self, data_type: &DataType) -> Result<ArrayRef, ValueError> {
        match self {
            Some(value) => value.into_column(data_type),
            None => Ok(new_null_array(data_type, 1)),
        }
    }
}

/// Writes the present values after the first `written` ones, and returns their number.
fn write_present<T: IntoArrow>(
    present: &mut Vec<&T>,
    written: usize,
    column: &mut ColumnBuilder,
) -> Result<usize, (usize, ValueError)> {
    let count = present.len();
    T::write_each(present.drain(..), column).map_err(|(index, error)| (written + index, error))?;
    Ok(count)
}

macro_rules! pointers {
    ($($(#[$note:meta])* [$($generics:tt)*] $pointer:ty => $inner:ty;)*) => {$(
        impl<$($generics)*> ArrowType for $pointer
        where
            $inner: ArrowType,
        {
            const NULLABLE: bool = <$inner>::NULLABLE;
            same_type_as!($inner);
        }

        impl<$($generics)*> IntoArrow for $pointer
        where
            $inner: IntoArrow,
        {
            fn write(&self, column: &mut ColumnBuilder) -> Result<(), ValueError> {
                <$inner as IntoArrow>::write(self, column)
            }
            fn to_column(&self, data_type: &DataType) -> Result<ArrayRef, ValueError> {
                <$inner as IntoArrow>::to_column(self, data_type)
            }
        }
    )*};
}

pointers! {
    ['p, T: ?Sized] &'p T => T;
    [T] Box<T> => T;
    ['p, T: ToOwned + ?Sized] Cow<'p, T> => T;
}

impl<'a, T: FromArrow<'a>> FromArrow<'a> for Box<T> {
    fn read(value: ValueRef<'a>) -> Result<Self, ValueError> {
        T::read(value).map(Self::new)
    }
    fn is_absent(value: ValueRef<'a>) -> bool {
        T::is_absent(value)
    }
}

/// Borrows text and bytes.
impl<'a, T: ToOwned + ?Sized + ArrowType> FromArrow<'a> for Cow<'a, T>
where
    &'a T: FromArrow<'a>,
{
    fn read(value: ValueRef<'a>) -> Result<Self, ValueError> {
        <&T>::read(value).map(Cow::Borrowed)
    }
}

impl ArrowType for Arc<str> {
    same_type_as!(str);
}

impl<'a> FromArrow<'a> for Arc<str> {
    fn read(value: ValueRef<'a>) -> Result<Self, ValueError> {
        let text = <&str>::read(value)?;
        value.bounds().charge(text.len())?;
        Ok(Self::from(text))
    }
}

impl IntoArrow for Arc<str> {
    fn write(&self, column: &mut ColumnBuilder) -> Result<(), ValueError> {
        str::write(self, column)
    }
    fn to_column(&self, data_type: &DataType) -> Result<ArrayRef, ValueError> {
        str::to_column(self, data_type)
    }
}
