//! The parameters of a call, and how handlers read them. WIRE_PROTOCOL 4.

use crate::service::context::{Bounds, CallContext};
use crate::values::{FromArrow, ReadBounds, ReadMeter, Record, ValueError, ValueRef, records};
use crate::wire::error::RpcError;
use arrow_array::{ArrayRef, RecordBatch};
use std::sync::Arc;

/// One row of parameters, checked against the method's schema.
#[derive(Clone, Debug)]
pub struct Args {
    row: RecordBatch,
    /// Limits for records in parameters; `None` for the default limits.
    bounds: Option<Arc<Bounds>>,
    /// Memory of the values read so far.
    meter: ReadMeter,
}

impl Args {
    /// Wraps a row of parameters.
    pub fn new(row: RecordBatch) -> Self {
        Self { row, bounds: None, meter: ReadMeter::default() }
    }

    /// Applies the limits of a call to the records in the parameters.
    pub(crate) fn within(self, context: &CallContext) -> Self {
        Self { bounds: Some(context.bounds.clone()), ..self }
    }

    /// Returns the row: one column per parameter, in declaration order.
    pub fn row(&self) -> &RecordBatch {
        &self.row
    }

    /// Returns a parameter as its Arrow column of one value.
    ///
    /// # Errors
    /// If there is no such parameter.
    pub fn column(&self, name: &str) -> Result<&ArrayRef, RpcError> {
        self.row
            .column_by_name(name)
            .ok_or_else(|| RpcError::type_error(format!("expected a parameter {name:?}, got none")))
    }

    /// Returns a parameter's value as any type in the table of [`values`](crate::values): a number, a `&str`, a list, a record.
    /// Text, bytes and slices of numbers may be borrowed.
    ///
    /// ```
    /// use chrono::{DateTime, Utc};
    /// use vgi_rpc_protocol::Record;
    /// use vgi_rpc_protocol::client::Params;
    /// use vgi_rpc_protocol::service::Args;
    /// use vgi_rpc_protocol::values::Record as _;
    ///
    /// #[derive(Debug, PartialEq, Record)]
    /// struct Point {
    ///     x: f64,
    /// }
    ///
    /// let (since, weights) = (DateTime::<Utc>::UNIX_EPOCH, vec![0.5, 1.0]);
    /// let row = (("name", "a"), ("since", since), ("weights", weights), ("origin", Point { x: 1.0 }), ("limit", None::<u32>));
    /// let args = Args::new(row.to_row()?.into_owned());
    ///
    /// let name: String = args.get("name")?;
    /// let weights: Vec<f64> = args.get("weights")?;
    /// let borrowed: &[f64] = args.get("weights")?;
    /// let since: DateTime<Utc> = args.get("since")?;
    /// let origin: Point = args.get("origin")?;
    /// let limit: Option<u32> = args.get("limit")?;
    /// assert_eq!((name.as_str(), origin, limit), ("a", Point { x: 1.0 }, None));
    /// assert_eq!((since, &*weights), (DateTime::UNIX_EPOCH, borrowed));
    /// # Ok::<(), vgi_rpc_protocol::wire::error::RpcError>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such parameter, it has another type, or it is null and `T` is not an `Option`. A record that travels as
    /// bytes must be within the limits and the memory budget of the call.
    pub fn get<'a, T: FromArrow<'a>>(&'a self, name: &str) -> Result<T, RpcError> {
        self.read(self.column(name)?).map_err(|error| unreadable(name, error))
    }

    /// Returns the value of the parameter at this position, which is declared with this name.
    #[doc(hidden)]
    pub fn get_at<'a, T: FromArrow<'a>>(&'a self, position: usize, name: &str) -> Result<T, RpcError> {
        match self.row.columns().get(position) {
            Some(column) => self.read(column).map_err(|error| unreadable(name, error)),
            None => self.get(name),
        }
    }

    /// Returns all parameters as one record with a field of each name.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn to_record<R: Record>(&self) -> Result<R, RpcError> {
        Ok(records::read_only_row(&self.row, self.bounds())?)
    }

    fn read<'a, T: FromArrow<'a>>(&'a self, column: &'a ArrayRef) -> Result<T, ValueError> {
        ValueRef::within(column, 0, self.bounds()).and_then(T::read)
    }

    fn bounds(&self) -> ReadBounds<'_> {
        match &self.bounds {
            Some(bounds) => ReadBounds::new(&bounds.limits, &bounds.account, &self.row, &self.meter),
            None => ReadBounds::unbudgeted(&self.row, &self.meter),
        }
    }
}

fn unreadable(name: &str, error: ValueError) -> RpcError {
    error.in_parameter(name).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{DictionaryArray, Int8Array, Int32Array, Int64Array, NullArray, RunArray, StringArray};

    fn args(column: ArrayRef) -> Args {
        Args::new(RecordBatch::try_from_iter_with_nullable([("value", column, true)]).unwrap())
    }

    fn dictionary(key: Option<i8>) -> ArrayRef {
        let values = Arc::new(StringArray::from(vec![Some("red"), None]));
        Arc::new(DictionaryArray::new(Int8Array::from(vec![key]), values))
    }

    #[test]
    fn a_key_that_refers_to_a_null_is_a_null() {
        for (key, value) in [(Some(0), Some("red")), (Some(1), None), (None, None)] {
            let args = args(dictionary(key));
            assert_eq!(args.get::<Option<&str>>("value").unwrap(), value);
            match (args.get::<&str>("value"), value) {
                (Ok(got), Some(value)) => assert_eq!(got, value),
                (Err(error), None) => assert!(error.message().contains("got null"), "{}", error.message()),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_run_of_nulls_and_a_column_of_nulls_are_null() {
        let run = RunArray::try_new(&Int32Array::from(vec![1]), &Int64Array::from(vec![None])).unwrap();
        assert_eq!(args(Arc::new(run)).get::<Option<i64>>("value").unwrap(), None);
        assert_eq!(args(Arc::new(NullArray::new(1))).get::<Option<i64>>("value").unwrap(), None);
    }
}
