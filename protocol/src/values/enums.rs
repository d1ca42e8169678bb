//! Enums without data, which travel by the names of their variants in a dictionary of text.

use super::arrow_type::ArrowType;
use super::column::ColumnBuilder;
use super::error::ValueError;
use super::traits::{FromArrow, IntoArrow};
use super::value_ref::ValueRef;
use crate::wire::text::Limit;
use arrow_schema::DataType;

/// An enum whose variants have names on the wire. `#[derive(Enum)]` implements it.
pub trait Enum: Copy + 'static {
    /// The names, for errors.
    const NAMES: &'static [&'static str];

    /// The variant's name.
    fn name(&self) -> &'static str;

    /// The variant of this name, or of this value: Python's enums may be written by their values.
    fn of_name(name: &str) -> Option<Self>;
}

/// The Arrow type of an enum: 16-bit references into a dictionary of texts.
pub fn data_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int16), Box::new(DataType::Utf8))
}

/// Whether an enum is read from columns of this type: any text.
pub fn reads(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => str::reads(values),
        other => str::reads(other),
    }
}

/// Reads a variant by its name.
///
/// # Errors
/// When it is null, no text, or a text that is no variant's name.
pub fn read<E: Enum + ArrowType>(value: ValueRef<'_>) -> Result<E, ValueError> {
    let name = <&str>::read(value).map_err(|_| value.mismatch::<E>())?;
    E::of_name(name).ok_or_else(|| {
        ValueError::new(format!("one of {:?}", E::NAMES), format!("{:?}", Limit::bytes(200).shown(name)))
            .of_error_type("KeyError")
    })
}

/// Writes a variant by its name.
///
/// # Errors
/// When the column has no text.
pub fn write<E: Enum>(value: E, column: &mut ColumnBuilder) -> Result<(), ValueError> {
    value.name().write(column)
}
