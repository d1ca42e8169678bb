//! Finishes a column that was built, and creates its array.

use super::column::{ColumnBuilder, Values};
use super::error::ValueError;
use arrow_array::builder::{ArrayBuilder, GenericByteBuilder};
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal128Type, Decimal256Type, DurationMicrosecondType,
    DurationMillisecondType, DurationNanosecondType, DurationSecondType, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    ArrayRef, BooleanArray, FixedSizeBinaryArray, FixedSizeListArray, LargeListArray, ListArray, MapArray,
    NullArray, PrimitiveArray, StructArray,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, TimeUnit};
use std::sync::Arc;

impl ColumnBuilder {
    /// Returns the column of all values that were appended.
    ///
    /// # Errors
    /// If a field that is never null has a null.
    pub fn finish(self) -> Result<ArrayRef, ValueError> {
        finish(self)
    }
}

fn finish(column: ColumnBuilder) -> Result<ArrayRef, ValueError> {
    let ColumnBuilder { data_type, mut nulls, values } = column;
    let nulls = nulls.finish();
    Ok(match (values, data_type) {
        (Values::Null(count), _) => Arc::new(NullArray::new(count)),
        (Values::Boolean(mut values), _) => Arc::new(BooleanArray::new(values.finish(), nulls)),
        (Values::Int8(values), _) => primitive::<Int8Type>(values, nulls)?,
        (Values::Int16(values), _) => primitive::<Int16Type>(values, nulls)?,
        (Values::Int32(values), _) => primitive::<Int32Type>(values, nulls)?,
        (Values::Int64(values), _) => primitive::<Int64Type>(values, nulls)?,
        (Values::UInt8(values), _) => primitive::<UInt8Type>(values, nulls)?,
        (Values::UInt16(values), _) => primitive::<UInt16Type>(values, nulls)?,
        (Values::UInt32(values), _) => primitive::<UInt32Type>(values, nulls)?,
        (Values::UInt64(values), _) => primitive::<UInt64Type>(values, nulls)?,
        (Values::Float32(values), _) => primitive::<Float32Type>(values, nulls)?,
        (Values::Float64(values), _) => primitive::<Float64Type>(values, nulls)?,
        (Values::Time32(values), data_type) => time32(values, nulls, &data_type)?,
        (Values::Time64(values), data_type) => time64(values, nulls, data_type)?,
        (Values::Decimal128(values), DataType::Decimal128(precision, scale)) => {
            let decimals = PrimitiveArray::<Decimal128Type>::try_new(values.into(), nulls)?;
            Arc::new(decimals.with_precision_and_scale(precision, scale)?)
        }
        (Values::Decimal256(values), DataType::Decimal256(precision, scale)) => {
            let decimals = PrimitiveArray::<Decimal256Type>::try_new(values.into(), nulls)?;
            Arc::new(decimals.with_precision_and_scale(precision, scale)?)
        }
        (Values::Utf8(texts), _) => bytes(texts),
        (Values::LargeUtf8(texts), _) => bytes(texts),
        (Values::Utf8View(mut texts), _) => Arc::new(texts.finish()),
        (Values::Binary(values), _) => bytes(values),
        (Values::LargeBinary(values), _) => bytes(values),
        (Values::BinaryView(mut values), _) => Arc::new(values.finish()),
        (Values::FixedSizeBinary(values, _), DataType::FixedSizeBinary(size)) => {
            Arc::new(FixedSizeBinaryArray::try_new(size, Buffer::from_vec(values), nulls)?)
        }
        (Values::List(ends, items), DataType::List(item)) => {
            Arc::new(ListArray::try_new(item, offsets(ends), items.finish()?, nulls)?)
        }
        (Values::LargeList(ends, items), DataType::LargeList(item)) => {
            Arc::new(LargeListArray::try_new(item, offsets(ends), items.finish()?, nulls)?)
        }
        (Values::FixedSizeList(_, items, count), DataType::FixedSizeList(item, length)) => {
            let items = items.finish()?;
            Arc::new(FixedSizeListArray::try_new_with_length(item, length, items, nulls, count)?)
        }
        (Values::Map(ends, columns), DataType::Map(entries, is_sorted)) => {
            let DataType::Struct(fields) = entries.data_type() else { return Err(mislaid()) };
            let [keys, values] = *columns;
            let pairs = StructArray::try_new(fields.clone(), vec![keys.finish()?, values.finish()?], None)?;
            Arc::new(MapArray::try_new(entries, offsets(ends), pairs, nulls, is_sorted)?)
        }
        (Values::Struct(columns, count), DataType::Struct(fields)) => {
            let columns = columns.into_iter().map(finish).collect::<Result<Vec<_>, _>>()?;
            Arc::new(StructArray::try_new_with_length(fields, columns, nulls, count)?)
        }
        (Values::Dictionary(dictionary), _) => dictionary.finish()?,
        _ => return Err(mislaid()),
    })
}

/// Never returned, since a builder's layout and type are chosen together.
fn mislaid() -> ValueError {
    ArrowError::SchemaError("the column was not built as its type".into()).into()
}

fn offsets<O: arrow_array::OffsetSizeTrait>(ends: Vec<O>) -> OffsetBuffer<O> {
    OffsetBuffer::new(ScalarBuffer::from(ends))
}

fn primitive<T: ArrowPrimitiveType>(
    values: Vec<T::Native>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(PrimitiveArray::<T>::try_new(values.into(), nulls)?))
}

fn bytes<T: arrow_array::types::ByteArrayType>(mut builder: GenericByteBuilder<T>) -> ArrayRef {
    ArrayBuilder::finish(&mut builder)
}

fn time32(values: Vec<i32>, nulls: Option<NullBuffer>, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    match data_type {
        DataType::Date32 => primitive::<Date32Type>(values, nulls),
        DataType::Time32(TimeUnit::Second) => primitive::<Time32SecondType>(values, nulls),
        _ => primitive::<Time32MillisecondType>(values, nulls),
    }
}

fn time64(values: Vec<i64>, nulls: Option<NullBuffer>, data_type: DataType) -> Result<ArrayRef, ArrowError> {
    fn timestamp<T: arrow_array::types::ArrowTimestampType>(
        values: Vec<i64>,
        nulls: Option<NullBuffer>,
        zone: Option<Arc<str>>,
    ) -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(PrimitiveArray::<T>::try_new(values.into(), nulls)?.with_timezone_opt(zone)))
    }
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    match data_type {
        DataType::Timestamp(Second, zone) => timestamp::<TimestampSecondType>(values, nulls, zone),
        DataType::Timestamp(Millisecond, zone) => timestamp::<TimestampMillisecondType>(values, nulls, zone),
        DataType::Timestamp(Microsecond, zone) => timestamp::<TimestampMicrosecondType>(values, nulls, zone),
        DataType::Timestamp(Nanosecond, zone) => timestamp::<TimestampNanosecondType>(values, nulls, zone),
        DataType::Duration(Second) => primitive::<DurationSecondType>(values, nulls),
        DataType::Duration(Millisecond) => primitive::<DurationMillisecondType>(values, nulls),
        DataType::Duration(Microsecond) => primitive::<DurationMicrosecondType>(values, nulls),
        DataType::Duration(Nanosecond) => primitive::<DurationNanosecondType>(values, nulls),
        DataType::Time64(Nanosecond) => primitive::<Time64NanosecondType>(values, nulls),
        DataType::Time64(_) => primitive::<Time64MicrosecondType>(values, nulls),
        _ => primitive::<Date64Type>(values, nulls),
    }
}
