//! Values behind references and boxes, and values that may be absent: they have the type of what they hold.

use super::arrow_type::ArrowType;
use super::column::ColumnBuilder;
use super::error::ValueError;
use super::traits::{FromArrow, IntoArrow};
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

/// Text and bytes, where they lie.
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
        <&str>::read(value).map(Self::from)
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
