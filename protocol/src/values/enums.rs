//! Enums without data, which are sent as the names of their variants in a dictionary of text.

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

    /// Returns the variant's name.
    fn name(&self) -> &'static str;

    /// Returns the variant with this name or this value: Python's enums may be written by their values.
    fn of_name(name: &str) -> Option<Self>;
}

/// Returns the Arrow type of an enum: 16-bit keys of a dictionary of texts.
pub fn data_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int16), Box::new(DataType::Utf8))
}

/// Returns whether an enum can be read from columns of this type: any text.
pub fn reads(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => str::reads(values),
        other => str::reads(other),
    }
}

/// Reads a variant by its name.
///
/// # Errors
/// If it is null, not text, or not the name of a variant.
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
/// If the column is not one of text.
pub fn write<E: Enum>(value: E, column: &mut ColumnBuilder) -> Result<(), ValueError> {
    value.name().write(column)
}
