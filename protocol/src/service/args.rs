//! The parameters of a call, and the values that handlers take from them. WIRE_PROTOCOL 4.

use super::cast::is_null_at;
use super::context::{Bounds, CallContext};
use crate::ipc::{MessageError, ReadError, decode_batch_with};
use crate::wire::error::RpcError;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use bytes::Bytes;
use std::sync::Arc;

/// One row of parameters, checked against the method's schema.
#[derive(Clone, Debug)]
pub struct Args {
    row: RecordBatch,
    /// Those of records that parameters hold; `None` for the default ones.
    bounds: Option<Arc<Bounds>>,
}

impl Args {
    /// Wraps a row of parameters.
    pub fn new(row: RecordBatch) -> Self {
        Self { row, bounds: None }
    }

    /// Holds the records in the parameters to the bounds of their call.
    pub(crate) fn within(self, context: &CallContext) -> Self {
        Self { bounds: Some(context.bounds.clone()), ..self }
    }

    /// The row: one column per parameter, in declaration order.
    pub fn row(&self) -> &RecordBatch {
        &self.row
    }

    /// A parameter as its Arrow column of one value.
    ///
    /// # Errors
    /// When there is no such parameter.
    pub fn column(&self, name: &str) -> Result<&ArrayRef, RpcError> {
        self.row
            .column_by_name(name)
            .ok_or_else(|| RpcError::type_error(format!("expected a parameter {name:?}, got none")))
    }

    /// A parameter's value: a number, a `bool`, a `&str`, a `&[u8]`, or an `Option` of one of these. An enum, which is a
    /// dictionary of texts, is read as a `&str`.
    ///
    /// # Errors
    /// When there is no such parameter, its type is another, or it is null and `T` is no `Option`.
    pub fn get<'a, T: FromArgument<'a>>(&'a self, name: &str) -> Result<T, RpcError> {
        let column = self.column(name)?;
        T::from_argument(column).ok_or_else(|| {
            let null = if is_null(column) { "null" } else { "a value" };
            RpcError::type_error(format!(
                "expected parameter {name:?} to be a {}, got {null} of type {}",
                T::NAME,
                column.data_type()
            ))
        })
    }

    /// A record parameter: the one-row batch that travels in a `binary` column as an IPC stream of its own.
    ///
    /// # Errors
    /// When there is no such parameter, it is not binary, or its bytes are no such stream within the call's limits and
    /// memory budget.
    pub fn record(&self, name: &str) -> Result<RecordBatch, RpcError> {
        let Bounds { limits, account, .. } = &*self.bounds.clone().unwrap_or_default();
        let value: &[u8] = self.get(name)?;
        let bytes = match shared(self.column(name)?) {
            Some(bytes) => bytes,
            None => account.reserve(value.len())?.hold(value.to_vec()),
        };
        match decode_batch_with(bytes, limits, account) {
            Ok((record, _)) => Ok(record),
            Err(ReadError::Message(MessageError::OverBudget(error))) => Err(error.into()),
            Err(error) => {
                Err(RpcError::type_error(format!("expected parameter {name:?} to be a record: {error}")))
            }
        }
    }
}

/// The first value of a binary column, sharing the column's memory; `None` for other types.
fn shared(column: &ArrayRef) -> Option<Bytes> {
    let (values, start, len) = match column.data_type() {
        DataType::Binary => {
            let column = column.as_binary::<i32>();
            (column.values(), *column.value_offsets().first()? as usize, column.value(0).len())
        }
        DataType::LargeBinary => {
            let column = column.as_binary::<i64>();
            (column.values(), usize::try_from(*column.value_offsets().first()?).ok()?, column.value(0).len())
        }
        _ => return None,
    };
    Some(values.slice_with_length(start, len).into())
}

/// A value that can be read from a column of one row.
pub trait FromArgument<'a>: Sized {
    /// What a person calls the type.
    const NAME: &'static str;
    /// The first row's value; `None` when it is null or the column has another type.
    fn from_argument(column: &'a ArrayRef) -> Option<Self>;
}

impl<'a, T: FromArgument<'a>> FromArgument<'a> for Option<T> {
    const NAME: &'static str = T::NAME;
    fn from_argument(column: &'a ArrayRef) -> Option<Self> {
        if is_null(column) { Some(None) } else { T::from_argument(column).map(Some) }
    }
}

impl<'a> FromArgument<'a> for bool {
    const NAME: &'static str = "bool";
    fn from_argument(column: &'a ArrayRef) -> Option<Self> {
        let values = column.as_boolean_opt()?;
        (!is_null(column)).then(|| values.value(0))
    }
}

impl<'a> FromArgument<'a> for &'a str {
    const NAME: &'static str = "string";
    fn from_argument(column: &'a ArrayRef) -> Option<Self> {
        if is_null(column) {
            return None;
        }
        match column.data_type() {
            DataType::Utf8 => Some(column.as_string::<i32>().value(0)),
            DataType::LargeUtf8 => Some(column.as_string::<i64>().value(0)),
            DataType::Utf8View => Some(column.as_string_view().value(0)),
            DataType::Dictionary(_, _) => {
                let dictionary = column.as_any_dictionary_opt()?;
                let key = *dictionary.normalized_keys().first()?;
                let values = dictionary.values().as_string_opt::<i32>()?;
                (key < values.len()).then(|| values.value(key))
            }
            _ => None,
        }
    }
}

impl<'a> FromArgument<'a> for &'a [u8] {
    const NAME: &'static str = "binary";
    fn from_argument(column: &'a ArrayRef) -> Option<Self> {
        if is_null(column) {
            return None;
        }
        match column.data_type() {
            DataType::Binary => Some(column.as_binary::<i32>().value(0)),
            DataType::LargeBinary => Some(column.as_binary::<i64>().value(0)),
            DataType::BinaryView => Some(column.as_binary_view().value(0)),
            DataType::FixedSizeBinary(_) => Some(column.as_fixed_size_binary().value(0)),
            _ => None,
        }
    }
}

macro_rules! numbers {
    ($($native:ty, $arrow:ty, $name:literal;)*) => {$(
        impl<'a> FromArgument<'a> for $native {
            const NAME: &'static str = $name;
            fn from_argument(column: &'a ArrayRef) -> Option<Self> {
                let values = column.as_primitive_opt::<$arrow>()?;
                (!is_null(column)).then(|| values.value(0))
            }
        }
    )*};
}

numbers! {
    i8, Int8Type, "int8";
    i16, Int16Type, "int16";
    i32, Int32Type, "int32";
    i64, Int64Type, "int64";
    u8, UInt8Type, "uint8";
    u16, UInt16Type, "uint16";
    u32, UInt32Type, "uint32";
    u64, UInt64Type, "uint64";
    f32, Float32Type, "float32";
    f64, Float64Type, "float64";
}

/// Whether the first row is null; a key of a dictionary that refers to a null is.
fn is_null(column: &ArrayRef) -> bool {
    is_null_at(column, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{DictionaryArray, Int8Array, Int32Array, Int64Array, NullArray, RunArray, StringArray};
    use std::sync::Arc;

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
