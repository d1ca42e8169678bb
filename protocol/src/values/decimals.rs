//! Decimal numbers, and UUIDs: values of a fixed number of bytes.

use super::arrow_type::ArrowType;
use super::column::{ColumnBuilder, Values};
use super::error::ValueError;
use super::traits::{FromArrow, IntoArrow};
use super::value_ref::ValueRef;
use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Decimal256Type, DecimalType};
use arrow_buffer::i256;
use arrow_schema::DataType;

macro_rules! decimal {
    ($(#[$note:meta])* $name:ident, $native:ty, $arrow:ty, $type:ident) => {
        $(#[$note])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name<const PRECISION: u8, const SCALE: i8>(pub $native);

        impl<const PRECISION: u8, const SCALE: i8> ArrowType for $name<PRECISION, SCALE> {
            fn data_type() -> DataType {
                DataType::$type(PRECISION, SCALE)
            }
        }

        impl<'a, const PRECISION: u8, const SCALE: i8> FromArrow<'a> for $name<PRECISION, SCALE> {
            fn read(value: ValueRef<'a>) -> Result<Self, ValueError> {
                match value.column.as_primitive_opt::<$arrow>() {
                    Some(numbers) if numbers.is_valid(value.row) && Self::reads(value.data_type()) => {
                        Ok(Self(numbers.value(value.row)))
                    }
                    _ => match value.decoded() {
                        Some(value) => Self::read(value),
                        None => Err(value.mismatch::<Self>()),
                    },
                }
            }
        }

        impl<const PRECISION: u8, const SCALE: i8> IntoArrow for $name<PRECISION, SCALE> {
            fn write(&self, column: &mut ColumnBuilder) -> Result<(), ValueError> {
                match &mut column.values {
                    Values::$type(values) if column.data_type == Self::data_type() => values.push(self.0),
                    _ => return Err(column.mismatch::<Self>()),
                }
                <$arrow>::validate_decimal_precision(self.0, PRECISION, SCALE)?;
                column.nulls.append_non_null();
                Ok(())
            }
        }
    };
}

decimal! {
    /// A decimal number of at most 38 digits: the unscaled number, with `SCALE` digits after the point.
    ///
    /// `Decimal::<20, 4>(12_3456)` is 12.3456.
    Decimal, i128, Decimal128Type, Decimal128
}

decimal! {
    /// A decimal number of at most 76 digits: the unscaled number, with `SCALE` digits after the point.
    WideDecimal, i256, Decimal256Type, Decimal256
}

#[cfg(feature = "uuid")]
mod uuids {
    use super::super::bytes::is_binary;
    use super::{ArrowType, ColumnBuilder, DataType, FromArrow, IntoArrow, ValueError, ValueRef};
    use uuid::Uuid;

    /// 16 bytes. A field may also be declared as text, which is written with hyphens.
    impl ArrowType for Uuid {
        fn data_type() -> DataType {
            DataType::FixedSizeBinary(16)
        }
        fn reads(data_type: &DataType) -> bool {
            match data_type {
                DataType::FixedSizeBinary(size) => *size == 16,
                other => is_binary(other) || str::reads(other),
            }
        }
        fn writes(data_type: &DataType) -> bool {
            Self::reads(data_type)
        }
    }

    impl<'a> FromArrow<'a> for Uuid {
        fn read(value: ValueRef<'a>) -> Result<Self, ValueError> {
            if let Ok(text) = <&str>::read(value) {
                return Self::try_parse(text)
                    .map_err(|_| ValueError::new("the text of a UUID", "another text"));
            }
            let bytes = <&[u8]>::read(value).map_err(|_| value.mismatch::<Self>())?;
            Self::from_slice(bytes)
                .map_err(|_| ValueError::new("the 16 bytes of a UUID", format!("{} bytes", bytes.len())))
        }
    }

    impl IntoArrow for Uuid {
        fn write(&self, column: &mut ColumnBuilder) -> Result<(), ValueError> {
            if str::reads(column.data_type()) {
                return self.hyphenated().encode_lower(&mut Self::encode_buffer()).write(column);
            }
            self.as_bytes().as_slice().write(column)
        }
    }
}
