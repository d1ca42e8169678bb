//! Builds the parameters of a call from Rust values.

use crate::values::{FromArrow, IntoArrow, ReadBounds, ReadMeter, Record, ValueError, ValueRef};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, Schema, SchemaRef};
use std::borrow::Cow;
use std::sync::Arc;

/// The parameters of a call: a tuple of names and values, a record with a field for each, or a batch of one row.
///
/// ```
/// use vgi_rpc_protocol::client::Params;
///
/// let row = (("name", "world"), ("times", 3_i64), ("mark", None::<String>)).to_row()?;
/// assert_eq!((row.num_columns(), row.num_rows()), (3, 1));
/// # Ok::<(), vgi_rpc_protocol::values::ValueError>(())
/// ```
pub trait Params {
    /// Returns the parameters as one row.
    ///
    /// # Errors
    /// If a value does not fit its column.
    fn to_row(&self) -> Result<Cow<'_, RecordBatch>, ValueError>;
}

impl Params for &RecordBatch {
    fn to_row(&self) -> Result<Cow<'_, RecordBatch>, ValueError> {
        Ok(Cow::Borrowed(self))
    }
}

impl<R: Record> Params for &R {
    fn to_row(&self) -> Result<Cow<'_, RecordBatch>, ValueError> {
        self.to_batch().map(Cow::Owned)
    }
}

fn parameter<T: IntoArrow>((name, value): &(&str, T)) -> Result<(Field, ArrayRef), ValueError> {
    let data_type = T::parameter_type();
    let column = value.to_column(&data_type).map_err(|error| error.in_parameter(name))?;
    Ok((Field::new(*name, data_type, T::NULLABLE), column))
}

fn row(parameters: Vec<(Field, ArrayRef)>) -> Result<Cow<'static, RecordBatch>, ValueError> {
    let (fields, columns): (Vec<_>, Vec<_>) = parameters.into_iter().unzip();
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    Ok(Cow::Owned(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?))
}

impl Params for () {
    fn to_row(&self) -> Result<Cow<'_, RecordBatch>, ValueError> {
        row(Vec::new())
    }
}

macro_rules! tuples {
    ($($name:ident)*) => {
        impl<$($name: IntoArrow),*> Params for ($((&str, $name),)*) {
            #[allow(non_snake_case, reason = "values are named as their types")]
            fn to_row(&self) -> Result<Cow<'_, RecordBatch>, ValueError> {
                let ($($name,)*) = self;
                row(vec![$(parameter($name)?),*])
            }
        }
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);

/// A row of parameters that a typed client fills. Its schema is created once.
#[derive(Debug)]
pub struct ParamsRow<'a> {
    schema: &'a SchemaRef,
    columns: Vec<ArrayRef>,
}

impl<'a> ParamsRow<'a> {
    /// Creates a row without values.
    pub fn new(schema: &'a SchemaRef) -> Self {
        Self { schema, columns: Vec::with_capacity(schema.fields().len()) }
    }

    /// Sets the next parameter.
    ///
    /// # Errors
    /// If it does not fit.
    pub fn push<T: IntoArrow>(&mut self, value: T) -> Result<(), ValueError> {
        let field = self.schema.fields().get(self.columns.len());
        let field = field.ok_or_else(|| ValueError::new("no further parameter", "one more"))?;
        let column =
            value.into_column(field.data_type()).map_err(|error| error.in_parameter(field.name()))?;
        self.columns.push(column);
        Ok(())
    }

    /// Returns the row.
    ///
    /// # Errors
    /// If a parameter is missing, or is null and must not be.
    pub fn finish(self) -> Result<RecordBatch, ValueError> {
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), self.columns, &options)?)
    }
}

/// Reads the value of a unary response.
///
/// ```
/// use vgi_rpc_protocol::client::{Params, result};
/// use vgi_rpc_protocol::values::ValueError;
///
/// let answer = (("result", "Hello"),).to_row()?;
/// assert_eq!(result::<String, ValueError>(&answer)?, "Hello");
/// # Ok::<(), ValueError>(())
/// ```
///
/// # Errors
/// If the response is not one row of one column, or its value is not a `T`.
pub fn result<T, E>(answer: &RecordBatch) -> Result<T, E>
where
    T: for<'a> FromArrow<'a>,
    E: From<ValueError>,
{
    match answer.columns() {
        [column] if answer.num_rows() == 1 => {
            let meter = ReadMeter::default();
            let bounds = ReadBounds::unbudgeted(answer, &meter);
            let value = ValueRef::within(column, 0, bounds).and_then(T::read);
            value.map_err(|error| error.in_result().into())
        }
        columns => {
            let got = format!("{} columns and {} rows", columns.len(), answer.num_rows());
            Err(ValueError::new("an answer of one value", got).into())
        }
    }
}
