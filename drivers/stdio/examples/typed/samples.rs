//! The sample values, which the harness also has in Python.

use super::declaration::{Absent, Color, Nested, Plain, Point};
use arrow_array::{Int64Array, RecordBatch};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;
use vgi_rpc_protocol::arrow::schema::{DataType, Field, Schema};
use vgi_rpc_protocol::values::{Decimal, WideDecimal};

fn instant() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_764_250_245_123_456).unwrap_or_default()
}

fn local() -> NaiveDateTime {
    DateTime::from_timestamp_micros(-1_500_001).unwrap_or_default().naive_utc()
}

pub fn plain() -> Plain {
    Plain {
        truth: true,
        int8: i8::MIN,
        int16: i16::MIN,
        int32: i32::MIN,
        int64: i64::MIN,
        uint8: u8::MAX,
        uint16: u16::MAX,
        uint32: u32::MAX,
        uint64: u64::MAX,
        float32: 1.5,
        float64: -2.25,
        text: "größer".into(),
        large_text: "large".into(),
        text_view: "a text that is longer than a view holds".into(),
        binary: vec![0, 255],
        large_binary: vec![],
        binary_view: vec![1; 20],
        fixed: [1, 2, 3, 4],
        instant: instant(),
        local: local(),
        seconds: DateTime::from_timestamp(1_764_250_245, 0).unwrap_or_default(),
        date: NaiveDate::from_ymd_opt(1969, 7, 20).unwrap_or_default(),
        time: NaiveTime::from_hms_micro_opt(23, 59, 58, 123_456).unwrap_or_default(),
        duration: TimeDelta::microseconds(-1_500_001),
        decimal: Decimal(-12_3456),
        wide_decimal: WideDecimal(arrow_buffer::i256::from_i128(12_345)),
        id: Uuid::from_u128(0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8),
        color: Color::Green,
        point: Point { x: 1.0, y: 2.0 },
        encoded_point: Point { x: 3.0, y: 4.0 },
    }
}

pub fn absent() -> Absent {
    Absent {
        truth: None,
        int8: None,
        uint64: None,
        float64: None,
        text: None,
        large_text: None,
        text_view: None,
        binary: None,
        large_binary: None,
        binary_view: None,
        fixed: None,
        instant: None,
        local: None,
        date: None,
        time: None,
        duration: None,
        decimal: None,
        wide_decimal: None,
        id: None,
        color: None,
        point: None,
        encoded_point: None,
        items: None,
        array: None,
        mapping: None,
        batch: None,
        schema: None,
    }
}

pub fn present() -> Absent {
    let plain = plain();
    Absent {
        truth: Some(plain.truth),
        int8: Some(plain.int8),
        uint64: Some(plain.uint64),
        float64: Some(plain.float64),
        text: Some(plain.text),
        large_text: Some(plain.large_text),
        text_view: Some(plain.text_view),
        binary: Some(plain.binary),
        large_binary: Some(plain.large_binary),
        binary_view: Some(plain.binary_view),
        fixed: Some(plain.fixed),
        instant: Some(plain.instant),
        local: Some(plain.local),
        date: Some(plain.date),
        time: Some(plain.time),
        duration: Some(plain.duration),
        decimal: Some(plain.decimal),
        wide_decimal: Some(plain.wide_decimal),
        id: Some(plain.id),
        color: Some(plain.color),
        point: Some(plain.point),
        encoded_point: Some(plain.encoded_point),
        items: Some(vec![1, 2]),
        array: Some([0.5, 1.5]),
        mapping: Some(BTreeMap::from([("a".into(), 1)])),
        batch: Some(batch()),
        schema: Some(schema()),
    }
}

fn schema() -> Schema {
    Schema::new(vec![Field::new("value", DataType::Int64, true)])
}

fn batch() -> RecordBatch {
    let values = Arc::new(Int64Array::from(vec![Some(1), None]));
    RecordBatch::try_new(Arc::new(schema()), vec![values])
        .unwrap_or_else(|_| RecordBatch::new_empty(schema().into()))
}

pub fn nested() -> Nested {
    let point = Point { x: 1.0, y: 2.0 };
    Nested {
        texts: vec!["a".into(), String::new()],
        numbers: vec![Some(1), None],
        matrix: vec![vec![0.5], vec![], vec![1.5, 2.5]],
        blobs: vec![vec![0, 255], vec![]],
        colors: vec![Color::Green, Color::Red, Color::Green],
        points: vec![Some(point.clone()), None],
        instants: vec![instant()],
        decimals: vec![Some(Decimal(-12_3456)), None],
        distinct: BTreeSet::from(["a".into(), "b".into()]),
        distinct_bytes: BTreeSet::from([0, 255]),
        array: [0.5, 1.5],
        arrays: vec![Some([1, 2, 3, 4]), None],
        large_list: vec![1, 2],
        mapping: BTreeMap::from([("a".into(), Some(1)), ("b".into(), None)]),
        by_color: BTreeMap::from([(Color::Red, vec![Some(point), None]), (Color::Green, vec![])]),
        batch: batch(),
        schema: schema(),
        plain: plain(),
        absent: vec![Some(absent()), None, Some(present())],
    }
}
