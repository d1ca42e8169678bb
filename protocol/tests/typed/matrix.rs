//! Every Rust type read from every Arrow type: nothing panics, and the result is what the type declares that it reads.

use super::services::{Color, Point};
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, RunArray, StringArray, new_null_array};
use arrow_buffer::i256;
use arrow_schema::{DataType, Field, IntervalUnit, Schema, TimeUnit, UnionFields, UnionMode};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_protocol::values::{
    ArrowType, ColumnBuilder, Decimal, FromArrow, IntoArrow, ValueRef, WideDecimal, can_read,
};

/// Returns every Arrow type, including nested ones.
fn types() -> Vec<DataType> {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    let mut types = vec![
        DataType::Null,
        DataType::Boolean,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
        DataType::UInt64,
        DataType::Float16,
        DataType::Float32,
        DataType::Float64,
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Utf8View,
        DataType::Binary,
        DataType::LargeBinary,
        DataType::BinaryView,
        DataType::FixedSizeBinary(16),
        DataType::FixedSizeBinary(0),
        DataType::Date32,
        DataType::Date64,
        DataType::Time32(Second),
        DataType::Time32(Millisecond),
        DataType::Time64(Microsecond),
        DataType::Time64(Nanosecond),
        DataType::Interval(IntervalUnit::MonthDayNano),
        DataType::Decimal32(5, 2),
        DataType::Decimal64(5, 2),
        DataType::Decimal128(5, 2),
        DataType::Decimal256(5, 2),
    ];
    for unit in [Second, Millisecond, Microsecond, Nanosecond] {
        types.extend([
            DataType::Duration(unit),
            DataType::Timestamp(unit, None),
            DataType::Timestamp(unit, Some("+05:30".into())),
        ]);
    }
    let fields = vec![Field::new("x", DataType::Float64, false), Field::new("y", DataType::Float64, true)];
    types.push(DataType::Struct(fields.clone().into()));
    types.push(DataType::Struct(Vec::<Field>::new().into()));
    types.push(DataType::Union(UnionFields::from_fields(fields), UnionMode::Sparse));
    for item in types.clone() {
        let field = Arc::new(Field::new("item", item.clone(), true));
        types.extend([
            DataType::List(field.clone()),
            DataType::LargeList(field.clone()),
            DataType::ListView(field.clone()),
            DataType::FixedSizeList(field.clone(), 2),
            DataType::Dictionary(Box::new(DataType::Int16), Box::new(item.clone())),
        ]);
        let entry = vec![Field::new("key", DataType::Utf8, false), Field::new("value", item, true)];
        let entries = Field::new("entries", DataType::Struct(entry.into()), false);
        types.push(DataType::Map(Arc::new(entries), false));
    }
    types
}

/// Returns columns of a null and, for types that can be built here, of a value.
fn column(data_type: &DataType) -> Vec<ArrayRef> {
    let mut columns = vec![new_null_array(data_type, 1)];
    if let Some(value) = written(data_type) {
        columns.push(value);
    }
    columns
}

/// Returns a column with a value that is not null.
fn written(data_type: &DataType) -> Option<ArrayRef> {
    fn of<T: IntoArrow>(value: T, data_type: &DataType) -> Option<ArrayRef> {
        T::writes(data_type).then(|| value.into_column(data_type).ok()).flatten()
    }
    let time = DateTime::<Utc>::from_timestamp(1, 0).unwrap();
    None.or_else(|| of(true, data_type))
        .or_else(|| of(1_i8, data_type))
        .or_else(|| of(1_u8, data_type))
        .or_else(|| of(1.5_f32, data_type))
        .or_else(|| of("2", data_type))
        .or_else(|| of(vec![7_u8; 16], data_type))
        .or_else(|| of(time, data_type))
        .or_else(|| of(time.naive_utc(), data_type))
        .or_else(|| of(time.date_naive(), data_type))
        .or_else(|| of(time.time(), data_type))
        .or_else(|| of(TimeDelta::seconds(1), data_type))
        .or_else(|| of(Decimal::<5, 2>(1), data_type))
        .or_else(|| of(WideDecimal::<5, 2>(i256::from_i128(1)), data_type))
        .or_else(|| of(vec![1_i8, 2], data_type))
        .or_else(|| of(vec![1_u16, 2], data_type))
        .or_else(|| of(vec![1.5_f32, 2.5], data_type))
        .or_else(|| of(vec![true, false], data_type))
        .or_else(|| of(vec![time, time], data_type))
        .or_else(|| of(vec![time.date_naive(), time.date_naive()], data_type))
        .or_else(|| of(vec![vec![7_u8; 16], vec![8_u8; 16]], data_type))
        .or_else(|| of([1_i8, 2], data_type))
        .or_else(|| of(["a", "b"], data_type))
        .or_else(|| of(vec!["a", "b"], data_type))
        .or_else(|| of(BTreeMap::from([("a", 1_i64)]), data_type))
}

fn check<T: ArrowType + for<'a> FromArrow<'a>>(column: &ArrayRef) {
    let value = ValueRef::new(column, 0).unwrap();
    let read = T::read(value);
    let readable = can_read::<T>(column.data_type());
    let name = std::any::type_name::<T>();
    match &read {
        Ok(_) => assert!(readable, "{name} is read from {}", column.data_type()),
        Err(error) => assert!(error.to_string().contains("expected "), "{error}"),
    }
    assert!(!value.is_null() || read.is_err() || T::NULLABLE, "{name} is read from a null");
    // An option reads every null as `None`, whatever the type.
    assert_eq!(value.is_null(), matches!(Option::<T>::read(value), Ok(None)) && !is_empty(value), "{name}");
    // A type that declares that it can be written can be built.
    if T::writes(column.data_type()) {
        assert!(ColumnBuilder::new(column.data_type(), 1).is_ok(), "{name}: {}", column.data_type());
    }
}

/// Whether there are no bytes, which encode no batch.
fn is_empty(value: ValueRef<'_>) -> bool {
    !value.is_null() && <&[u8]>::read(value).is_ok_and(<[u8]>::is_empty)
}

fn check_all(column: &ArrayRef) {
    check::<bool>(column);
    check::<i8>(column);
    check::<i16>(column);
    check::<i32>(column);
    check::<i64>(column);
    check::<u8>(column);
    check::<u16>(column);
    check::<u32>(column);
    check::<u64>(column);
    check::<f32>(column);
    check::<f64>(column);
    check::<String>(column);
    check::<Vec<u8>>(column);
    check::<[u8; 16]>(column);
    check::<bytes::Bytes>(column);
    check::<DateTime<Utc>>(column);
    check::<NaiveDateTime>(column);
    check::<NaiveDate>(column);
    check::<NaiveTime>(column);
    check::<TimeDelta>(column);
    check::<Duration>(column);
    check::<Decimal<5, 2>>(column);
    check::<WideDecimal<5, 2>>(column);
    check::<Vec<i64>>(column);
    check::<Vec<Option<String>>>(column);
    check::<[f64; 2]>(column);
    check::<BTreeSet<String>>(column);
    check::<BTreeMap<String, Option<i64>>>(column);
    check::<Point>(column);
    check::<Vec<Option<Point>>>(column);
    check::<Color>(column);
    check::<Int64Array>(column);
    check::<StringArray>(column);
    check::<RecordBatch>(column);
    check::<Schema>(column);
    #[cfg(feature = "uuid")]
    check::<uuid::Uuid>(column);
}

#[test]
fn every_rust_type_is_read_from_every_arrow_type_or_refused() {
    let types = types();
    assert!(types.len() > 300, "{}", types.len());
    let mut values = 0;
    for data_type in &types {
        for column in column(data_type) {
            values += usize::from(!ValueRef::new(&column, 0).unwrap().is_null());
            check_all(&column);
        }
    }
    assert!(values > 60, "{values} columns have a value");
}

#[test]
fn runs_are_read_as_what_they_show() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
    let ends = arrow_array::Int32Array::from(vec![2, 3]);
    let runs: ArrayRef = Arc::new(RunArray::<Int32Type>::try_new(&ends, &texts).unwrap());
    for row in 0..3 {
        check_all(&runs.slice(row, 1));
    }
    let ends = Int64Array::from(vec![1]);
    let numbers = Int64Array::from(vec![5]);
    let runs: ArrayRef = Arc::new(RunArray::<Int64Type>::try_new(&ends, &numbers).unwrap());
    check_all(&runs);
    assert_eq!(i64::read(ValueRef::new(&runs, 0).unwrap()).unwrap(), 5);
}
