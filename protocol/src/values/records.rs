//! Records: Rust structs whose fields are columns, named and in order.
//!
//! A record is a row of a batch, a `Struct` inside other types, and as a parameter or a result an IPC stream of one row in a
//! `Binary` column, like Python's dataclasses.

use super::arrow_type::{ArrowType, can_read};
use super::arrow_values::read_batch;
use super::bytes::is_binary;
use super::column::ColumnBuilder;
use super::error::{ValueError, type_name};
use super::traits::{FromArrow, IntoArrow};
use super::value_ref::{ReadBounds, ReadMeter, ValueRef};
use crate::ipc::{self, Metadata};
use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Fields, SchemaRef};

/// The number of rows that are read together, column by column: this copies a column's values in one go, while the values that
/// wait for the other columns take little memory.
const ROWS_AT_ONCE: usize = 256;

/// A struct whose fields are columns. `#[derive(Record)]` implements it.
#[diagnostic::on_unimplemented(message = "`{Self}` is not a record", note = "derive `Record` for it")]
pub trait Record: Sized {
    /// Returns a schema with a field for each column, in order. It is created once.
    fn schema() -> SchemaRef;

    /// Returns why the record cannot be used: a field's declared type does not fit its Rust type.
    fn field_problem() -> Option<String>;

    /// Reads each field by its name.
    ///
    /// # Errors
    /// If a field is missing or cannot be read.
    fn read_fields(fields: &mut FieldReader<'_>) -> Result<Self, ValueError>;

    /// Reads each field of all rows by its name, and appends the records. By default it reads row by row; a derived record reads
    /// column by column.
    ///
    /// # Errors
    /// If a field is missing or cannot be read.
    fn read_rows(fields: &mut FieldReader<'_>, records: &mut Vec<Self>) -> Result<(), ValueError> {
        for row in fields.row..fields.row + fields.rows {
            let mut fields = FieldReader { row, rows: 1, next: 0, ..*fields };
            records.push(Self::read_fields(&mut fields).map_err(|error| error.in_row(row))?);
        }
        Ok(())
    }

    /// Writes each field, in the order of the schema.
    ///
    /// # Errors
    /// If a field cannot be written.
    fn write_fields(&self, fields: &mut FieldWriter<'_>) -> Result<(), ValueError>;

    /// Writes each field of all rows, in the order of the schema.
    ///
    /// # Errors
    /// If a field cannot be written.
    fn write_rows(rows: &[Self], fields: &mut FieldWriter<'_>) -> Result<(), ValueError>;

    /// Converts the record to a batch of one row.
    ///
    /// # Errors
    /// If a value does not fit its column.
    fn to_batch(&self) -> Result<RecordBatch, ValueError> {
        Self::rows_to_batch(std::slice::from_ref(self))
    }

    /// Converts records to the rows of a batch.
    ///
    /// # Errors
    /// If a value does not fit its column.
    fn rows_to_batch(rows: &[Self]) -> Result<RecordBatch, ValueError> {
        let schema = Self::schema();
        let builders = schema.fields().iter().map(|field| ColumnBuilder::new(field.data_type(), rows.len()));
        let mut columns = builders.collect::<Result<Vec<_>, _>>()?;
        Self::write_rows(rows, &mut FieldWriter { columns: columns.iter_mut() })?;
        let columns = columns.into_iter().map(ColumnBuilder::finish).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
    }

    /// Reads the record in the only row of a batch. Extra columns are ignored.
    ///
    /// # Errors
    /// If there is not exactly one row, or a field is missing or cannot be read.
    fn from_batch(batch: &RecordBatch) -> Result<Self, ValueError> {
        read_only_row(batch, ReadBounds::unbudgeted(batch, &ReadMeter::default()))
    }

    /// Reads the records in the rows of a batch. Extra columns are ignored.
    ///
    /// # Errors
    /// If a field is missing or cannot be read.
    fn rows_from_batch(batch: &RecordBatch) -> Result<Vec<Self>, ValueError> {
        let meter = ReadMeter::default();
        let bounds = ReadBounds::unbudgeted(batch, &meter);
        bounds.charge(size_of::<Self>().saturating_mul(batch.num_rows()))?;
        let mut records = Vec::with_capacity(batch.num_rows());
        for row in (0..batch.num_rows()).step_by(ROWS_AT_ONCE) {
            let mut fields = FieldReader::of_batch(batch, row, bounds);
            fields.rows = ROWS_AT_ONCE.min(batch.num_rows() - row);
            Self::read_rows(&mut fields, &mut records)?;
        }
        Ok(records)
    }
}

/// Reads the record in the only row of a batch.
pub(crate) fn read_only_row<R: Record>(batch: &RecordBatch, bounds: ReadBounds<'_>) -> Result<R, ValueError> {
    match batch.num_rows() {
        1 => R::read_fields(&mut FieldReader::of_batch(batch, 0, bounds)),
        rows => {
            let error = ValueError::new("a batch of one row", format!("one of {rows} rows"));
            Err(error.of_error_type("ValueError"))
        }
    }
}

/// The source of records' fields: rows of a batch, or a struct.
#[derive(Debug)]
pub struct FieldReader<'a> {
    fields: &'a Fields,
    columns: &'a [ArrayRef],
    row: usize,
    /// The number of rows that are read at once, starting with that one.
    rows: usize,
    bounds: ReadBounds<'a>,
    /// The index of the next field's column, if the columns are in the order of the record.
    next: usize,
}

impl<'a> FieldReader<'a> {
    fn of_batch(batch: &'a RecordBatch, row: usize, bounds: ReadBounds<'a>) -> Self {
        Self { fields: batch.schema_ref().fields(), columns: batch.columns(), row, rows: 1, bounds, next: 0 }
    }

    /// Returns how many rows [`read_each`](Self::read_each) reads.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Reads a field.
    ///
    /// # Errors
    /// If there is no field of this name, or it cannot be read.
    pub fn read<T: FromArrow<'a>>(&mut self, name: &str) -> Result<T, ValueError> {
        match self.find(name) {
            Some(column) => self.read_column(name, column),
            None => Err(missing(name)),
        }
    }

    /// Reads a field with a default, which is used if the field is missing.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_or<T: FromArrow<'a>>(
        &mut self,
        name: &str,
        default: impl FnOnce() -> T,
    ) -> Result<T, ValueError> {
        match self.find(name) {
            Some(column) => self.read_column(name, column),
            None => Ok(default()),
        }
    }

    /// Reads a field of each row.
    ///
    /// # Errors
    /// If there is no field of this name, or it cannot be read.
    pub fn read_each<T: FromArrow<'a>>(&mut self, name: &str) -> Result<std::vec::IntoIter<T>, ValueError> {
        match self.find(name) {
            Some(column) => self.read_rows_of(name, column),
            None => Err(missing(name)),
        }
    }

    /// Reads a field of each row with a default, which is used if the field is missing.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_each_or<T: FromArrow<'a>>(
        &mut self,
        name: &str,
        default: impl FnMut() -> T,
    ) -> Result<std::vec::IntoIter<T>, ValueError> {
        match self.find(name) {
            Some(column) => self.read_rows_of(name, column),
            None => Ok(std::iter::repeat_with(default).take(self.rows).collect::<Vec<_>>().into_iter()),
        }
    }

    #[inline]
    fn find(&mut self, name: &str) -> Option<&'a ArrayRef> {
        let is_next = self.fields.get(self.next).is_some_and(|field| field.name() == name);
        let index = if is_next { self.next } else { self.fields.find(name)?.0 };
        self.next = index + 1;
        self.columns.get(index)
    }

    #[inline]
    fn read_column<T: FromArrow<'a>>(&self, name: &str, column: &'a ArrayRef) -> Result<T, ValueError> {
        ValueRef::within(column, self.row, self.bounds)
            .and_then(T::read)
            .map_err(|error| error.in_field(name))
    }

    fn read_rows_of<T: FromArrow<'a>>(
        &self,
        name: &str,
        column: &'a ArrayRef,
    ) -> Result<std::vec::IntoIter<T>, ValueError> {
        let in_field = |error: ValueError| error.in_field(name);
        let mut values = Vec::with_capacity(self.rows);
        if let Some(last) = self.rows.checked_sub(1) {
            ValueRef::within(column, self.row + last, self.bounds).map_err(in_field)?;
            let first = ValueRef::within(column, self.row, self.bounds).map_err(in_field)?;
            T::read_each(first, self.rows, &mut values)
                .map_err(|(index, error)| in_field(error).in_row(self.row + index))?;
        }
        Ok(values.into_iter())
    }
}

#[cold]
fn missing(name: &str) -> ValueError {
    ValueError::new("the field", "none of this name").of_error_type("ValueError").in_field(name)
}

/// The destination of records' fields.
#[derive(Debug)]
pub struct FieldWriter<'a> {
    columns: std::slice::IterMut<'a, ColumnBuilder>,
}

impl FieldWriter<'_> {
    /// Writes the next field. The name is for errors.
    ///
    /// # Errors
    /// If there is no further column, or the value does not fit.
    pub fn write<T: IntoArrow + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), ValueError> {
        value.write(self.next(name)?).map_err(|error| error.in_field(name))
    }

    /// Writes the next field of several rows. The name is for errors.
    ///
    /// # Errors
    /// If there is no further column, or a value does not fit.
    pub fn write_each<'v, T: IntoArrow + 'v>(
        &mut self,
        name: &str,
        values: impl ExactSizeIterator<Item = &'v T>,
    ) -> Result<(), ValueError> {
        let count = values.len();
        T::write_each(values, self.next(name)?).map_err(|(row, error)| {
            let error = error.in_field(name);
            if count > 1 { error.in_row(row) } else { error }
        })
    }

    fn next(&mut self, name: &str) -> Result<&mut ColumnBuilder, ValueError> {
        let none = || ValueError::new("a struct of fewer fields", "one more").in_field(name);
        self.columns.next().ok_or_else(none)
    }
}

/// Returns the declaration of a record's field.
pub fn field<T: ArrowType>(name: &str, data_type: Option<DataType>, nullable: Option<bool>) -> Field {
    Field::new(name, data_type.unwrap_or_else(T::data_type), nullable.unwrap_or(T::NULLABLE))
}

/// Returns why a field with this declaration cannot represent a `T`, or why `T` cannot be used at all.
pub fn problem<T: ArrowType>(field: &Field) -> Option<String> {
    misfit::<T>(field).or_else(T::problem)
}

/// Returns why a field with this declaration cannot represent a `T`.
pub fn misfit<T: ArrowType>(field: &Field) -> Option<String> {
    let data_type = field.data_type();
    let fits = T::writes(data_type) && can_read::<T>(data_type);
    (!fits).then(|| {
        format!(
            "{:?} is declared as {}, which does not hold its Rust type, that of {}",
            field.name(),
            type_name(data_type),
            type_name(&T::data_type())
        )
    })
}

/// Returns the type of a record inside other types.
pub fn data_type<R: Record>() -> DataType {
    DataType::Struct(R::schema().fields().clone())
}

/// Returns whether records can be read from columns of this type.
pub fn reads<R: Record>(data_type: &DataType) -> bool {
    match data_type {
        DataType::Struct(_) => true,
        other => is_binary(other),
    }
}

/// Returns whether records can be written to columns of this type.
pub fn writes<R: Record>(data_type: &DataType) -> bool {
    match data_type {
        DataType::Struct(fields) => fields == R::schema().fields(),
        other => is_binary(other),
    }
}

/// Reads a record from a struct, or from the bytes of its IPC stream.
///
/// # Errors
/// If it is null, or a field is missing or cannot be read.
pub fn read<R: Record + ArrowType>(value: ValueRef<'_>) -> Result<R, ValueError> {
    let bounds = value.bounds();
    match value.data_type() {
        DataType::Struct(fields) if !value.is_null() => {
            let columns = value.column.as_struct().columns();
            R::read_fields(&mut FieldReader { fields, columns, row: value.row, rows: 1, bounds, next: 0 })
        }
        data_type if is_binary(data_type) && !value.is_null() => {
            // Checked before the bytes are decoded.
            let bounds = bounds.deeper()?;
            read_only_row(&read_batch(value)?, bounds)
        }
        _ => match value.decoded() {
            Some(value) => read(value),
            None => Err(value.mismatch::<R>()),
        },
    }
}

/// Writes a record to a struct, or as the bytes of its IPC stream.
///
/// # Errors
/// If a field cannot be written.
pub fn write<R: Record + ArrowType>(record: &R, column: &mut ColumnBuilder) -> Result<(), ValueError> {
    if is_binary(column.data_type()) {
        return encode(record)?.write(column);
    }
    let mismatch = column.mismatch::<R>();
    match column.next_struct() {
        Some(columns) => record.write_fields(&mut FieldWriter { columns: columns.iter_mut() }),
        None => Err(mismatch),
    }
}

/// Converts a record to a column of one row.
///
/// # Errors
/// If a field cannot be written.
pub fn to_column<R: Record + ArrowType>(record: &R, data_type: &DataType) -> Result<ArrayRef, ValueError> {
    if is_binary(data_type) {
        return encode(record)?.into_column(data_type);
    }
    let mut column = ColumnBuilder::new(data_type, 1)?;
    write(record, &mut column)?;
    column.finish()
}

fn encode<R: Record>(record: &R) -> Result<bytes::Bytes, ValueError> {
    Ok(ipc::encode_batch(&record.to_batch()?, &Metadata::new())?)
}
