//! Values that are Arrow data themselves: batches and schemas, which are sent as bytes, and typed arrays, which are lists.

use super::arrow_type::{ArrowType, item_field, item_type};
use super::bytes::{is_binary, read, shared};
use super::column::ColumnBuilder;
use super::error::ValueError;
use super::traits::{FromArrow, IntoArrow, write_items};
use super::value_ref::ValueRef;
use crate::ipc::{self, EncodedSchema, Metadata, ReadError};
use crate::ipc::{MessageError, decode_batch_with};
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, ListArray, PrimitiveArray, RecordBatch, StringArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Schema, SchemaRef};
use bytes::Bytes;
use std::sync::Arc;

/// Returns the bytes of a value, counted in the budget if they are copied.
fn owned(value: ValueRef<'_>) -> Result<Bytes, ValueError> {
    let bytes = read(value)?;
    match shared(value) {
        Some(bytes) => Ok(bytes),
        None => Ok(value
            .bounds()
            .account()
            .reserve(bytes.len())
            .map_err(ValueError::failed)?
            .hold(bytes.to_vec())),
    }
}

/// Reads a batch that is sent as an IPC stream in bytes. It is decoded within the limits of the value.
pub(crate) fn read_batch(value: ValueRef<'_>) -> Result<RecordBatch, ValueError> {
    let bounds = value.bounds();
    let bytes = owned(value)?;
    // The same bytes may be decoded for many values.
    bounds.charge(bytes.len())?;
    match decode_batch_with(bytes, bounds.limits(), bounds.account()) {
        Ok((batch, _)) => Ok(batch),
        Err(ReadError::Message(MessageError::OverBudget(error))) => Err(ValueError::failed(error)),
        Err(error) => {
            Err(ValueError::new("an Arrow IPC stream of one batch", format!("other bytes: {error}")))
        }
    }
}

impl ArrowType for RecordBatch {
    fn data_type() -> DataType {
        DataType::Binary
    }
    fn reads(data_type: &DataType) -> bool {
        is_binary(data_type)
    }
}

/// An `Option` is also `None` if there are no bytes.
impl<'a> FromArrow<'a> for RecordBatch {
    fn read(value: ValueRef<'a>) -> Result<Self, ValueError> {
        read_batch(value)
    }
    fn is_absent(value: ValueRef<'a>) -> bool {
        value.is_null() || read(value).is_ok_and(<[u8]>::is_empty)
    }
}

impl IntoArrow for RecordBatch {
    fn write(&self, column: &mut ColumnBuilder) -> Result<(), ValueError> {
        ipc::encode_batch(self, &Metadata::new())?.write(column)
    }
    fn to_column(&self, data_type: &DataType) -> Result<ArrayRef, ValueError> {
        ipc::encode_batch(self, &Metadata::new())?.into_column(data_type)
    }
}

impl ArrowType for SchemaRef {
    fn data_type() -> DataType {
        DataType::Binary
    }
    fn reads(data_type: &DataType) -> bool {
        is_binary(data_type)
    }
}

/// An `Option` is also `None` if there are no bytes.
impl<'a> FromArrow<'a> for SchemaRef {
    fn read(value: ValueRef<'a>) -> Result<Self, ValueError> {
        let bytes = owned(value)?;
        // The same bytes may be decoded for many values.
        value.bounds().charge(bytes.len())?;
        ipc::decode_schema(bytes, value.bounds().limits())
            .map_err(|error| ValueError::new("the IPC message of a schema", format!("other bytes: {error}")))
    }
    fn is_absent(value: ValueRef<'a>) -> bool {
        value.is_null() || read(value).is_ok_and(<[u8]>::is_empty)
    }
}

impl IntoArrow for SchemaRef {
    fn write(&self, column: &mut ColumnBuilder) -> Result<(), ValueError> {
        EncodedSchema::new(self.clone())?.message().clone().write(column)
    }
}

impl ArrowType for Schema {
    fn data_type() -> DataType {
        DataType::Binary
    }
    fn reads(data_type: &DataType) -> bool {
        is_binary(data_type)
    }
}

impl<'a> FromArrow<'a> for Schema {
    fn read(value: ValueRef<'a>) -> Result<Self, ValueError> {
        SchemaRef::read(value).map(Arc::unwrap_or_clone)
    }
    fn is_absent(value: ValueRef<'a>) -> bool {
        SchemaRef::is_absent(value)
    }
}

impl IntoArrow for Schema {
    fn write(&self, column: &mut ColumnBuilder) -> Result<(), ValueError> {
        Arc::new(self.clone()).write(column)
    }
}

/// A typed array is a list of its values, and shares the memory of the list that it is read from. As a whole column, it is the
/// column itself: a handler returns an `Int64Array` of one value for an `Int64`.
macro_rules! array {
    ($array:ty, $item:ty, $type:expr) => {
        impl ArrowType for $array {
            fn data_type() -> DataType {
                DataType::List(item_field::<Item<$item>>())
            }
            fn reads(data_type: &DataType) -> bool {
                item_type(data_type).is_some_and(|item| *item == $type)
            }
            fn writes(data_type: &DataType) -> bool {
                *data_type == $type
                    || matches!(data_type, DataType::List(item) | DataType::LargeList(item) if *item.data_type() == $type)
            }
        }

        impl<'a> FromArrow<'a> for $array {
            fn read(value: ValueRef<'a>) -> Result<Self, ValueError> {
                match (value.list(), value.decoded()) {
                    (Some((column, rows)), _) => match column.as_any().downcast_ref::<Self>() {
                        Some(array) => Ok(array.slice(rows.start, rows.len())),
                        None => Err(value.mismatch::<Self>()),
                    },
                    (None, Some(value)) => Self::read(value),
                    (None, None) => Err(value.mismatch::<Self>()),
                }
            }
        }

        impl IntoArrow for $array {
            fn write(&self, column: &mut ColumnBuilder) -> Result<(), ValueError> {
                let values: Vec<Option<Item<$item>>> = self.iter().map(|value| value.map(Item)).collect();
                write_items(values.iter(), column)
            }
            fn into_column(self, data_type: &DataType) -> Result<ArrayRef, ValueError> {
                match data_type {
                    own if *own == $type => Ok(Arc::new(self)),
                    DataType::List(item) if *item.data_type() == $type && i32::try_from(self.len()).is_ok() => {
                        let offsets = OffsetBuffer::from_lengths([self.len()]);
                        Ok(Arc::new(ListArray::try_new(item.clone(), offsets, Arc::new(self), None)?))
                    }
                    _ => {
                        let mut column = ColumnBuilder::new(data_type, 1)?;
                        self.write(&mut column)?;
                        column.finish()
                    }
                }
            }
        }
    };
}

/// An item of a typed array, in which `u8` is a number.
struct Item<T>(T);

impl<T: ArrowType> ArrowType for Item<T> {
    fn data_type() -> DataType {
        T::data_type()
    }
    fn writes(data_type: &DataType) -> bool {
        T::writes(data_type)
    }
}

impl<T: IntoArrow> IntoArrow for Item<T> {
    fn write(&self, column: &mut ColumnBuilder) -> Result<(), ValueError> {
        self.0.write(column)
    }
}

array!(PrimitiveArray<Int8Type>, i8, DataType::Int8);
array!(PrimitiveArray<Int16Type>, i16, DataType::Int16);
array!(PrimitiveArray<Int32Type>, i32, DataType::Int32);
array!(PrimitiveArray<Int64Type>, i64, DataType::Int64);
array!(PrimitiveArray<UInt8Type>, u8, DataType::UInt8);
array!(PrimitiveArray<UInt16Type>, u16, DataType::UInt16);
array!(PrimitiveArray<UInt32Type>, u32, DataType::UInt32);
array!(PrimitiveArray<UInt64Type>, u64, DataType::UInt64);
array!(PrimitiveArray<Float32Type>, f32, DataType::Float32);
array!(PrimitiveArray<Float64Type>, f64, DataType::Float64);
array!(BooleanArray, bool, DataType::Boolean);
array!(StringArray, &str, DataType::Utf8);
array!(BinaryArray, &[u8], DataType::Binary);
