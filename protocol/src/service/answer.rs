//! What unary handlers return, as the one row of a response. WIRE_PROTOCOL 4 and 6.

use crate::wire::error::RpcError;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array,
    Int64Array, LargeBinaryArray, LargeStringArray, RecordBatch, RecordBatchOptions, StringArray, UInt8Array,
    UInt16Array, UInt32Array, UInt64Array, new_null_array,
};
use arrow_buffer::{Buffer, OffsetBuffer};
use arrow_schema::{DataType, Schema, SchemaRef};
use bytes::Bytes;
use std::sync::{Arc, LazyLock};

/// The response of a void method: no columns, no rows.
pub(crate) static VOID: LazyLock<RecordBatch> =
    LazyLock::new(|| RecordBatch::new_empty(Arc::new(Schema::empty())));

/// A value that a unary handler may return.
pub trait IntoAnswer {
    /// Lays the value out as one row of the result's schema.
    ///
    /// # Errors
    /// A `TypeError` that names both, when the value does not have the result's type.
    fn into_answer(self, schema: &SchemaRef) -> Result<RecordBatch, RpcError>;
}

/// A value that can become a column of one row.
pub trait IntoColumn {
    /// The column, or `None` when the value does not fit the type.
    fn into_column(self, data_type: &DataType) -> Option<ArrayRef>;
}

impl<T: IntoColumn> IntoAnswer for T {
    fn into_answer(self, schema: &SchemaRef) -> Result<RecordBatch, RpcError> {
        let [field] = &schema.fields()[..] else {
            return Err(RpcError::type_error("expected no return value of a void method, got one"));
        };
        let column = self.into_column(field.data_type()).ok_or_else(|| {
            let got = std::any::type_name::<T>();
            RpcError::type_error(format!("expected a return value of type {}, got {got}", field.data_type()))
        })?;
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        RecordBatch::try_new_with_options(schema.clone(), vec![column], &options)
            .map_err(|error| RpcError::type_error(format!("the return value does not fit its type: {error}")))
    }
}

impl IntoAnswer for () {
    fn into_answer(self, schema: &SchemaRef) -> Result<RecordBatch, RpcError> {
        if schema.fields().is_empty() {
            return Ok(VOID.clone());
        }
        Err(RpcError::type_error("expected a return value, got none"))
    }
}

impl IntoColumn for ArrayRef {
    fn into_column(self, _: &DataType) -> Option<ArrayRef> {
        Some(self)
    }
}

impl<T: IntoColumn> IntoColumn for Option<T> {
    fn into_column(self, data_type: &DataType) -> Option<ArrayRef> {
        match self {
            Some(value) => value.into_column(data_type),
            None => Some(new_null_array(data_type, 1)),
        }
    }
}

impl IntoColumn for &str {
    fn into_column(self, data_type: &DataType) -> Option<ArrayRef> {
        match data_type {
            DataType::Utf8 => Some(Arc::new(StringArray::from_iter_values([self]))),
            DataType::LargeUtf8 => Some(Arc::new(LargeStringArray::from_iter_values([self]))),
            // An enum of one value, which a dictionary of one entry holds.
            DataType::Dictionary(_, values) if matches!(**values, DataType::Utf8 | DataType::LargeUtf8) => {
                let value = self.into_column(values)?;
                arrow_cast::cast(&value, data_type).ok()
            }
            _ => None,
        }
    }
}

impl IntoColumn for String {
    fn into_column(self, data_type: &DataType) -> Option<ArrayRef> {
        self.as_str().into_column(data_type)
    }
}

impl IntoColumn for &[u8] {
    fn into_column(self, data_type: &DataType) -> Option<ArrayRef> {
        match data_type {
            DataType::Binary => Some(Arc::new(BinaryArray::from_iter_values([self]))),
            DataType::LargeBinary => Some(Arc::new(LargeBinaryArray::from_iter_values([self]))),
            _ => None,
        }
    }
}

impl IntoColumn for Vec<u8> {
    fn into_column(self, data_type: &DataType) -> Option<ArrayRef> {
        binary(Buffer::from_vec(self), data_type)
    }
}

impl IntoColumn for Bytes {
    fn into_column(self, data_type: &DataType) -> Option<ArrayRef> {
        binary(Buffer::from(self), data_type)
    }
}

/// One binary value that takes the buffer over.
fn binary(value: Buffer, data_type: &DataType) -> Option<ArrayRef> {
    let lengths = [value.len()];
    match data_type {
        // Offsets of 32 bits reach 2 GiB.
        DataType::Binary if i32::try_from(value.len()).is_ok() => {
            Some(Arc::new(BinaryArray::try_new(OffsetBuffer::from_lengths(lengths), value, None).ok()?))
        }
        DataType::LargeBinary => {
            Some(Arc::new(LargeBinaryArray::try_new(OffsetBuffer::from_lengths(lengths), value, None).ok()?))
        }
        _ => None,
    }
}

macro_rules! columns {
    ($($native:ty, $type:ident, $array:ty;)*) => {$(
        impl IntoColumn for $native {
            fn into_column(self, data_type: &DataType) -> Option<ArrayRef> {
                (*data_type == DataType::$type).then(|| Arc::new(<$array>::from(vec![self])) as ArrayRef)
            }
        }
    )*};
}

columns! {
    bool, Boolean, BooleanArray;
    i8, Int8, Int8Array;
    i16, Int16, Int16Array;
    i32, Int32, Int32Array;
    i64, Int64, Int64Array;
    u8, UInt8, UInt8Array;
    u16, UInt16, UInt16Array;
    u32, UInt32, UInt32Array;
    u64, UInt64, UInt64Array;
    f32, Float32, Float32Array;
    f64, Float64, Float64Array;
}
