//! The protocol `test.Typed.v1`, which the harness also declares in Python: every type, alone, optional and nested.

use arrow_array::RecordBatch;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;
use vgi_rpc_protocol::arrow::schema::Schema;
use vgi_rpc_protocol::service::{Exchange, Producer, Stream, Turn};
use vgi_rpc_protocol::values::{Decimal, WideDecimal};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::{Enum, Record, service};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Enum)]
#[arrow(rename_all = "UPPERCASE")]
pub enum Color {
    #[arrow(value = "red one")]
    Red,
    Green,
}

#[derive(Clone, Debug, PartialEq, Record)]
pub struct Point {
    pub x: f64,
    pub y: f64,
}

/// A value of each type.
#[derive(Clone, Debug, PartialEq, Record)]
pub struct Plain {
    pub truth: bool,
    pub int8: i8,
    pub int16: i16,
    pub int32: i32,
    pub int64: i64,
    pub uint8: u8,
    pub uint16: u16,
    pub uint32: u32,
    pub uint64: u64,
    pub float32: f32,
    pub float64: f64,
    pub text: String,
    #[arrow(type = DataType::LargeUtf8)]
    pub large_text: String,
    #[arrow(type = DataType::Utf8View)]
    pub text_view: String,
    pub binary: Vec<u8>,
    #[arrow(type = DataType::LargeBinary)]
    pub large_binary: Vec<u8>,
    #[arrow(type = DataType::BinaryView)]
    pub binary_view: Vec<u8>,
    pub fixed: [u8; 4],
    pub instant: DateTime<Utc>,
    pub local: NaiveDateTime,
    #[arrow(type = DataType::Timestamp(TimeUnit::Second, Some("UTC".into())))]
    pub seconds: DateTime<Utc>,
    pub date: NaiveDate,
    pub time: NaiveTime,
    pub duration: TimeDelta,
    pub decimal: Decimal<20, 4>,
    pub wide_decimal: WideDecimal<50, 2>,
    pub id: Uuid,
    pub color: Color,
    pub point: Point,
    #[arrow(type = DataType::Binary)]
    pub encoded_point: Point,
}

/// A value of each type, all optional.
#[derive(Clone, Debug, PartialEq, Record)]
pub struct Absent {
    pub truth: Option<bool>,
    pub int8: Option<i8>,
    pub uint64: Option<u64>,
    pub float64: Option<f64>,
    pub text: Option<String>,
    #[arrow(type = DataType::LargeUtf8)]
    pub large_text: Option<String>,
    #[arrow(type = DataType::Utf8View)]
    pub text_view: Option<String>,
    pub binary: Option<Vec<u8>>,
    #[arrow(type = DataType::LargeBinary)]
    pub large_binary: Option<Vec<u8>>,
    #[arrow(type = DataType::BinaryView)]
    pub binary_view: Option<Vec<u8>>,
    pub fixed: Option<[u8; 4]>,
    pub instant: Option<DateTime<Utc>>,
    pub local: Option<NaiveDateTime>,
    pub date: Option<NaiveDate>,
    pub time: Option<NaiveTime>,
    pub duration: Option<TimeDelta>,
    pub decimal: Option<Decimal<20, 4>>,
    pub wide_decimal: Option<WideDecimal<50, 2>>,
    pub id: Option<Uuid>,
    pub color: Option<Color>,
    pub point: Option<Point>,
    #[arrow(type = DataType::Binary)]
    pub encoded_point: Option<Point>,
    pub items: Option<Vec<i64>>,
    pub array: Option<[f64; 2]>,
    pub mapping: Option<BTreeMap<String, i64>>,
    pub batch: Option<RecordBatch>,
    pub schema: Option<Schema>,
}

/// Nested values.
#[derive(Clone, Debug, PartialEq, Record)]
pub struct Nested {
    pub texts: Vec<String>,
    pub numbers: Vec<Option<i64>>,
    pub matrix: Vec<Vec<f64>>,
    pub blobs: Vec<Vec<u8>>,
    pub colors: Vec<Color>,
    pub points: Vec<Option<Point>>,
    pub instants: Vec<DateTime<Utc>>,
    pub decimals: Vec<Option<Decimal<20, 4>>>,
    pub distinct: BTreeSet<String>,
    pub distinct_bytes: BTreeSet<u8>,
    pub array: [f64; 2],
    pub arrays: Vec<Option<[u8; 4]>>,
    #[arrow(type = DataType::new_large_list(DataType::Int64, true))]
    pub large_list: Vec<i64>,
    pub mapping: BTreeMap<String, Option<i64>>,
    pub by_color: BTreeMap<Color, Vec<Option<Point>>>,
    pub batch: RecordBatch,
    pub schema: Schema,
    pub plain: Plain,
    pub absent: Vec<Option<Absent>>,
}

#[derive(Clone, Debug, PartialEq, Record)]
pub struct Number {
    pub n: i64,
}

#[derive(Clone, Debug, PartialEq, Record)]
pub struct Title {
    pub title: String,
}

#[service(name = "test.Typed.v1", version = "1.0.0")]
pub trait Typed {
    fn plain(&self) -> Plain;
    fn nested(&self) -> Nested;
    fn echo_plain(&self, plain: Plain) -> Plain;
    fn echo_absent(&self, absent: Absent) -> Absent;
    fn echo_nested(&self, nested: Nested) -> Nested;
    fn echo_point(&self, point: Option<Point>) -> Option<Point>;

    /// Every kind of parameter.
    #[allow(clippy::too_many_arguments)]
    fn parameters(
        &self,
        truth: bool,
        int8: i8,
        text: &str,
        #[arrow(type = DataType::LargeBinary)] large_binary: Option<Vec<u8>>,
        instant: DateTime<Utc>,
        decimal: Decimal<20, 4>,
        color: Color,
        colors: Vec<Color>,
        points: Vec<Point>,
        by_name: BTreeMap<String, Option<i64>>,
        #[arrow(default = 7)] weight: i64,
    ) -> Result<String, RpcError>;

    #[method(producer, output = Number, header = Title)]
    fn count(&self, end: i64) -> Result<Stream<Count>, RpcError>;

    #[method(producer, output = Plain)]
    fn plains(&self, count: i64) -> Result<Stream<Plains>, RpcError>;

    #[method(exchange, input = Number, output = Number)]
    fn multiply(&self, factor: i64) -> Result<Stream<Multiply>, RpcError>;
}

#[derive(Serialize, Deserialize)]
pub struct Count {
    pub next: i64,
    pub end: i64,
}

impl Producer for Count {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.next >= self.end {
            return turn.finish();
        }
        self.next += 1;
        turn.emit_rows(&[Number { n: self.next }])
    }
}

#[derive(Serialize, Deserialize)]
pub struct Plains {
    pub left: i64,
}

impl Producer for Plains {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.left == 0 {
            return turn.finish();
        }
        self.left -= 1;
        turn.emit_rows(&[super::samples::plain(), super::samples::plain()])
    }
}

#[derive(Serialize, Deserialize)]
pub struct Multiply {
    pub factor: i64,
}

impl Exchange for Multiply {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        let numbers = Number::rows_from_batch(input)?;
        turn.emit_rows(&numbers.iter().map(|Number { n }| Number { n: n * self.factor }).collect::<Vec<_>>())
    }
}
