//! Reading Rust values from columns, and writing them.

use super::arrow_type::ArrowType;
use super::column::ColumnBuilder;
use super::error::{ValueError, type_name};
use super::value_ref::ValueRef;
use arrow_array::ArrayRef;
use arrow_schema::DataType;

/// A value that is read from a column. Text and bytes may borrow from it.
///
/// Lists, sets and maps copy the values that they read. From a column whose values share memory, such as dictionaries and views,
/// prefer `&str` or `&[u8]` to owned values.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a column",
    note = "the table in `vgi_rpc_protocol::values` has the types that are; derive `Record` for a struct, `Enum` for an enum"
)]
pub trait FromArrow<'a>: ArrowType + Sized {
    /// Reads one value.
    ///
    /// # Errors
    /// If the value is null and this type is not an `Option`, if the column has another type, or if the value has no counterpart
    /// in Rust, such as an unknown name of an enum variant.
    fn read(value: ValueRef<'a>) -> Result<Self, ValueError>;

    /// Returns whether an `Option` reads this as `None`.
    #[doc(hidden)]
    fn is_absent(value: ValueRef<'a>) -> bool {
        value.is_null()
    }

    /// Appends the values of several rows, none of which is absent.
    ///
    /// # Errors
    /// As [`read`](Self::read), with the row of the value in question.
    #[doc(hidden)]
    fn read_each(
        first: ValueRef<'a>,
        count: usize,
        values: &mut Vec<Self>,
    ) -> Result<(), (usize, ValueError)> {
        read_one_by_one(first, count, values)
    }

    /// Reads a list of these.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    #[doc(hidden)]
    fn read_list(value: ValueRef<'a>) -> Result<Vec<Self>, ValueError> {
        items(value, |items| items.collect())
    }
}

/// Reads the items of a list, with the item's index in errors.
pub(crate) fn items<'a, T: FromArrow<'a>, C>(
    value: ValueRef<'a>,
    collect: impl Fn(&mut dyn Iterator<Item = Result<T, ValueError>>) -> Result<C, ValueError>,
) -> Result<C, ValueError> {
    match (value.list(), value.decoded()) {
        (Some((column, rows)), _) => {
            value.bounds().charge(size_of::<T>().saturating_mul(rows.len()))?;
            let mut items = rows
                .enumerate()
                .map(|(index, row)| T::read(value.at(column, row)).map_err(|error| error.in_item(index)));
            collect(&mut items)
        }
        (None, Some(value)) => items(value, collect),
        (None, None) => Err(value.unexpected(type_name(&T::list_type()))),
    }
}

/// Appends the values of several rows, reading each separately.
pub(crate) fn read_one_by_one<'a, T: FromArrow<'a>>(
    first: ValueRef<'a>,
    count: usize,
    values: &mut Vec<T>,
) -> Result<(), (usize, ValueError)> {
    for index in 0..count {
        let value = first.at(first.column, first.row + index);
        values.push(T::read(value).map_err(|error| (index, error))?);
    }
    Ok(())
}

/// Appends each of these values separately.
pub(crate) fn write_one_by_one<'v, T: IntoArrow + 'v>(
    values: impl Iterator<Item = &'v T>,
    column: &mut ColumnBuilder,
) -> Result<(), (usize, ValueError)> {
    for (index, value) in values.enumerate() {
        value.write(column).map_err(|error| (index, error))?;
    }
    Ok(())
}

/// A value that is written to a column.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be written to a column",
    note = "the table in `vgi_rpc_protocol::values` has the types that are; derive `Record` for a struct, `Enum` for an enum"
)]
pub trait IntoArrow: ArrowType {
    /// Appends the value.
    ///
    /// # Errors
    /// If the column has another type, or has no room for the value.
    fn write(&self, column: &mut ColumnBuilder) -> Result<(), ValueError>;

    /// Appends each of these.
    ///
    /// # Errors
    /// As [`write`](Self::write), with the index of the value in question.
    #[doc(hidden)]
    fn write_each<'v>(
        values: impl ExactSizeIterator<Item = &'v Self>,
        column: &mut ColumnBuilder,
    ) -> Result<(), (usize, ValueError)>
    where
        Self: Sized + 'v,
    {
        write_one_by_one(values, column)
    }

    /// Appends a list of these.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    #[doc(hidden)]
    fn write_list(items: &[Self], column: &mut ColumnBuilder) -> Result<(), ValueError>
    where
        Self: Sized,
    {
        write_items(items.iter(), column)
    }

    /// Appends an array of these.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    #[doc(hidden)]
    fn write_array(items: &[Self], column: &mut ColumnBuilder) -> Result<(), ValueError>
    where
        Self: Sized,
    {
        Self::write_list(items, column)
    }

    /// Converts the value to a column of one row.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn to_column(&self, data_type: &DataType) -> Result<ArrayRef, ValueError> {
        let mut column = ColumnBuilder::new(data_type, 1)?;
        self.write(&mut column)?;
        column.finish()
    }

    /// Converts the value to a column of one row, which reuses the memory of large values.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn into_column(self, data_type: &DataType) -> Result<ArrayRef, ValueError>
    where
        Self: Sized,
    {
        self.to_column(data_type)
    }

    /// Converts a list of these to a column of one row.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    #[doc(hidden)]
    fn list_to_column(items: &[Self], data_type: &DataType) -> Result<ArrayRef, ValueError>
    where
        Self: Sized,
    {
        let mut column = ColumnBuilder::new(data_type, 1)?;
        Self::write_list(items, &mut column)?;
        column.finish()
    }

    /// Converts a list of these to a column of one row, which reuses the memory of the list if possible.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    #[doc(hidden)]
    fn list_into_column(items: Vec<Self>, data_type: &DataType) -> Result<ArrayRef, ValueError>
    where
        Self: Sized,
    {
        Self::list_to_column(&items, data_type)
    }
}

/// Appends a list of these values.
pub(crate) fn write_items<'v, T: IntoArrow + 'v>(
    items: impl ExactSizeIterator<Item = &'v T>,
    column: &mut ColumnBuilder,
) -> Result<(), ValueError> {
    column.append_list::<T>(items.len(), |column| append_items(items, column))
}

/// Appends these values, one by one.
pub(crate) fn append_items<'v, T: IntoArrow + 'v>(
    items: impl Iterator<Item = &'v T>,
    column: &mut ColumnBuilder,
) -> Result<(), ValueError> {
    for (index, item) in items.enumerate() {
        item.write(column).map_err(|error| error.in_item(index))?;
    }
    Ok(())
}
