//! The records in binary columns and stream headers, and their enumeration.

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};
use vgi_rpc_protocol::values::Decimal;
use vgi_rpc_protocol::{Enum, Record};

/// The progress of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Enum)]
#[arrow(rename_all = "UPPERCASE")]
pub enum Status {
    #[arrow(value = "pending")]
    Pending,
    #[arrow(value = "active")]
    Active,
    #[arrow(value = "closed")]
    Closed,
}

/// A point in the plane.
#[derive(Clone, Debug, Record)]
pub struct Point {
    pub x: f64,
    pub y: f64,
}

/// Two points with a name.
#[derive(Debug, Record)]
pub struct BoundingBox {
    top_left: Point,
    bottom_right: Point,
    label: String,
}

/// Every shape of value that a record may have.
#[derive(Debug, Record)]
pub struct AllTypes {
    str_field: String,
    bytes_field: Vec<u8>,
    int_field: i64,
    float_field: f64,
    bool_field: bool,
    list_of_int: Vec<i64>,
    list_of_str: Vec<String>,
    dict_field: BTreeMap<String, i64>,
    enum_field: Status,
    nested_point: Point,
    optional_str: Option<String>,
    optional_int: Option<i64>,
    optional_nested: Option<Point>,
    list_of_nested: Vec<Point>,
    annotated_int32: i32,
    annotated_float32: f32,
    nested_list: Vec<Vec<i64>>,
    dict_str_str: BTreeMap<String, String>,
}

/// Every width of value that a record may have.
#[derive(Debug, Record)]
pub struct WideTypes {
    int8_field: i8,
    int16_field: i16,
    int32_field: i32,
    uint8_field: u8,
    uint16_field: u16,
    uint32_field: u32,
    uint64_field: u64,
    float32_field: f32,
    date_field: NaiveDate,
    timestamp_field: NaiveDateTime,
    timestamp_utc_field: DateTime<Utc>,
    time_field: NaiveTime,
    duration_field: TimeDelta,
    decimal_field: Decimal<20, 4>,
    #[arrow(type = DataType::LargeUtf8)]
    large_string_field: String,
    #[arrow(type = DataType::LargeBinary)]
    large_binary_field: Vec<u8>,
    fixed_binary_field: [u8; 8],
}

/// Wide types inside containers.
#[derive(Debug, Record)]
pub struct ContainerWideTypes {
    list_decimal: Vec<Decimal<20, 4>>,
    list_date: Vec<NaiveDate>,
    list_timestamp: Vec<NaiveDateTime>,
    optional_date: Option<NaiveDate>,
    optional_decimal: Option<Decimal<20, 4>>,
    optional_timestamp: Option<NaiveDateTime>,
    dict_str_decimal: BTreeMap<String, Decimal<20, 4>>,
    frozenset_int: BTreeSet<i64>,
    list_optional_int: Vec<Option<i64>>,
}

/// Containers inside containers, and dictionary-encoded text.
#[derive(Debug, Record)]
pub struct DeepNested {
    list_of_lists_decimal: Vec<Vec<Decimal<20, 4>>>,
    optional_list_date: Option<Vec<NaiveDate>>,
    #[arrow(type = DataType::Dictionary(DataType::Int16.into(), DataType::Utf8.into()))]
    dict_encoded_string: String,
    #[arrow(type = DataType::new_list(DataType::Dictionary(DataType::Int16.into(), DataType::Utf8.into()), true))]
    list_of_dict_encoded: Vec<String>,
}

/// A batch and a schema, each as bytes of Arrow IPC.
#[derive(Debug, Record)]
pub struct EmbeddedArrow {
    batch: RecordBatch,
    schema: Schema,
}

/// Enumerations and records inside containers.
#[derive(Debug, Record)]
pub struct NestedContainers {
    pub statuses: Vec<Status>,
    pub points: Vec<Point>,
    pub status_by_name: BTreeMap<String, Status>,
    pub frozen_statuses: BTreeSet<Status>,
    pub tagged_status: Option<Status>,
    pub tagged_point: Option<Point>,
    pub tagged_batch: Option<RecordBatch>,
}

/// The plain header of a stream.
#[derive(Debug, Record)]
pub struct ConformanceHeader {
    pub total_expected: i64,
    pub description: String,
}

/// The header of a stream that has a value of every shape.
#[derive(Debug, Record)]
pub struct RichHeader {
    pub str_field: String,
    pub bytes_field: Vec<u8>,
    pub int_field: i64,
    pub float_field: f64,
    pub bool_field: bool,
    pub list_of_int: Vec<i64>,
    pub list_of_str: Vec<String>,
    pub dict_field: BTreeMap<String, i64>,
    pub enum_field: Status,
    pub nested_point: Point,
    pub optional_str: Option<String>,
    pub optional_int: Option<i64>,
    pub optional_nested: Option<Point>,
    pub list_of_nested: Vec<Point>,
    pub nested_list: Vec<Vec<i64>>,
    pub annotated_int32: i32,
    pub annotated_float32: f32,
    pub dict_str_str: BTreeMap<String, String>,
}
