//! Every type written and read: alone, null, and nested.

use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_buffer::i256;
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SubsecRound, TimeDelta, Utc};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_protocol::values::{ArrowType, Decimal, FromArrow, IntoArrow, ValueRef, WideDecimal};
use vgi_rpc_protocol::{Enum, Record};

/// Reads the value in the only row of a column.
fn read<T: for<'a> FromArrow<'a>>(column: &ArrayRef) -> T {
    T::read(ValueRef::new(column, 0).unwrap()).unwrap()
}

/// Writes a value as a column of this type and reads it again.
#[track_caller]
fn crosses_as<T>(value: T, data_type: &DataType)
where
    T: IntoArrow + Clone + Debug + PartialEq + for<'a> FromArrow<'a>,
{
    assert!(T::writes(data_type), "{data_type}");
    let column = value.clone().into_column(data_type).unwrap();
    assert_eq!((column.data_type(), column.len()), (data_type, 1));
    assert_eq!(read::<T>(&column), value);
}

/// Writes and reads a value: alone, as an option, and as an item and a value of other types.
#[track_caller]
fn crosses<T>(value: T)
where
    T: IntoArrow + Clone + Debug + PartialEq + for<'a> FromArrow<'a>,
{
    crosses_as(value.clone(), &T::data_type());
    crosses_as(value.clone(), &T::parameter_type());
    crosses_as(Some(value.clone()), &T::data_type());
    crosses_as(None::<T>, &T::data_type());
    crosses_as(None::<T>, &T::parameter_type());
    crosses_as(vec![Some(value.clone()), None], &Vec::<Option<T>>::data_type());
    crosses_as([Some(value.clone()), None], &<[Option<T>; 2]>::data_type());
    crosses_as(None::<[Option<T>; 2]>, &<[Option<T>; 2]>::data_type());
    crosses_as(BTreeMap::from([(1_i64, Some(value)), (2, None)]), &BTreeMap::<i64, Option<T>>::data_type());
}

#[test]
fn numbers_and_truth_values_cross() {
    crosses(true);
    crosses(i8::MIN);
    crosses(i16::MIN);
    crosses(i32::MIN);
    crosses(i64::MIN);
    crosses(u8::MAX);
    crosses(u16::MAX);
    crosses(u32::MAX);
    crosses(u64::MAX);
    crosses(1.5_f32);
    crosses(f64::NEG_INFINITY);
    crosses(vec![1.5, f64::MIN_POSITIVE]);
    crosses(Decimal::<20, 4>(-12_3456));
    crosses(WideDecimal::<50, 2>(i256::from_i128(i128::MAX)));
}

#[test]
fn text_and_bytes_cross_in_every_layout() {
    crosses("größer".to_owned());
    crosses(Arc::<str>::from("größer"));
    crosses(Box::new("größer".to_owned()));
    crosses(b"\0\xff".to_vec());
    crosses(Bytes::from_static(b"\0\xff"));
    crosses([1_u8, 2, 3, 4]);
    let dictionary = DataType::Dictionary(Box::new(DataType::Int16), Box::new(DataType::Utf8));
    for data_type in [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View, dictionary] {
        crosses_as("a text that is longer than a view holds".to_owned(), &data_type);
        crosses_as(None::<String>, &data_type);
        crosses_as(vec!["a".to_owned(), "b".to_owned()], &DataType::new_list(data_type, true));
    }
    for data_type in
        [DataType::Binary, DataType::LargeBinary, DataType::BinaryView, DataType::FixedSizeBinary(3)]
    {
        crosses_as(vec![1_u8, 0, 255], &data_type);
        crosses_as(None::<Vec<u8>>, &data_type);
        crosses_as(vec![Some(vec![1_u8, 0, 255]), None], &DataType::new_list(data_type, true));
    }
    crosses_as(vec![1_i64, 2], &DataType::new_large_list(DataType::Int64, true));
    #[cfg(feature = "uuid")]
    {
        let id = uuid::Uuid::from_u128(0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8);
        crosses(id);
        crosses_as(id, &DataType::Utf8);
        assert_eq!(
            read::<String>(&id.into_column(&DataType::Utf8).unwrap()),
            "67e55044-10b1-426f-9247-bb680e5fe0c8"
        );
    }
}

#[test]
fn text_and_numbers_are_borrowed_where_they_lie() {
    let column = "text".into_column(&DataType::Utf8).unwrap();
    let value = ValueRef::new(&column, 0).unwrap();
    assert_eq!(<&str>::read(value).unwrap().as_ptr(), column.to_data().buffers()[1].as_ptr());
    assert!(matches!(Cow::<str>::read(value).unwrap(), Cow::Borrowed("text")));
    let column = vec![1.0, 2.0].into_column(&Vec::<f64>::data_type()).unwrap();
    let slice = <&[f64]>::read(ValueRef::new(&column, 0).unwrap()).unwrap();
    assert_eq!(slice, [1.0, 2.0]);
    assert_eq!(slice.as_ptr().cast(), column.to_data().child_data()[0].buffers()[0].as_ptr());
    let array: arrow_array::PrimitiveArray<Float64Type> = read(&column);
    assert_eq!(array.values().as_ptr(), slice.as_ptr());
    // A large value passes its memory to the column.
    let bytes = vec![7_u8; 1 << 20];
    let start = bytes.as_ptr();
    assert_eq!(bytes.into_column(&DataType::Binary).unwrap().to_data().buffers()[1].as_ptr(), start);
    let numbers = vec![7_i64; 1 << 10];
    let start = numbers.as_ptr();
    let column = numbers.into_column(&Vec::<i64>::data_type()).unwrap();
    assert_eq!(column.to_data().child_data()[0].buffers()[0].as_ptr(), start.cast());
}

#[test]
fn sets_and_maps_cross() {
    crosses(BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    crosses(HashSet::from([1_u8, 2]));
    crosses(HashMap::from([("a".to_owned(), vec![1_i64]), ("b".to_owned(), vec![])]));
    crosses(BTreeMap::from([("a".to_owned(), BTreeMap::from([(1_i32, Some(1.5))]))]));
}

#[test]
fn times_cross_in_every_unit() {
    let time: DateTime<Utc> = "1969-12-31T23:59:58.123456Z".parse().unwrap();
    let date = NaiveDate::from_ymd_opt(1969, 7, 20).unwrap();
    let clock = NaiveTime::from_hms_micro_opt(23, 59, 58, 123_456).unwrap();
    crosses(time);
    crosses(time.naive_utc());
    crosses(date);
    crosses(clock);
    crosses(TimeDelta::microseconds(-1_500_001));
    crosses(Duration::from_micros(1_500_001));
    crosses_as(date, &DataType::Date64);
    for (unit, digits) in [
        (TimeUnit::Second, 0),
        (TimeUnit::Millisecond, 3),
        (TimeUnit::Microsecond, 6),
        (TimeUnit::Nanosecond, 9),
    ] {
        let zone = Some("Europe/Berlin".into());
        crosses_as(time.trunc_subsecs(digits), &DataType::Timestamp(unit, zone));
        crosses_as(time.naive_utc().trunc_subsecs(digits), &DataType::Timestamp(unit, None));
        let data_type = if digits < 6 { DataType::Time32(unit) } else { DataType::Time64(unit) };
        crosses_as(clock.trunc_subsecs(digits), &data_type);
        crosses_as(TimeDelta::seconds(-90), &DataType::Duration(unit));
        crosses_as(Duration::from_secs(90), &DataType::Duration(unit));
    }
    assert_eq!(NaiveDateTime::data_type(), DataType::Timestamp(TimeUnit::Microsecond, None));
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enum)]
#[arrow(rename_all = "SCREAMING_SNAKE_CASE")]
enum Status {
    #[arrow(value = "pending")]
    Pending,
    InProgress,
    #[arrow(rename = "over")]
    Closed,
}

#[test]
fn enums_cross_by_name() {
    crosses(Status::InProgress);
    crosses(BTreeMap::from([(Status::Pending, Status::Closed)]));
    assert_eq!(
        Status::data_type(),
        DataType::Dictionary(Box::new(DataType::Int16), Box::new(DataType::Utf8))
    );
    let names = vec![Status::Pending, Status::InProgress, Status::Closed, Status::Pending];
    let column = names.clone().into_column(&Vec::<Status>::data_type()).unwrap();
    assert_eq!(read::<Vec<String>>(&column), ["PENDING", "IN_PROGRESS", "over", "PENDING"]);
    assert_eq!(read::<Vec<Status>>(&column), names);
    // Python may write an enumeration's value instead of its name.
    let value: ArrayRef = Arc::new(StringArray::from(vec!["pending"]));
    assert_eq!(read::<Status>(&value), Status::Pending);
    let unknown: ArrayRef = Arc::new(StringArray::from(vec!["late"]));
    let error = Status::read(ValueRef::new(&unknown, 0).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), r#"expected one of ["PENDING", "IN_PROGRESS", "over"], got "late""#);
}

#[derive(Clone, Debug, PartialEq, Record)]
struct Point {
    x: f64,
    y: f64,
}

#[derive(Clone, Debug, PartialEq, Record)]
struct Shape {
    r#type: Status,
    #[arrow(rename = "outline")]
    points: Vec<Point>,
    center: Option<Point>,
    #[arrow(type = DataType::LargeUtf8)]
    label: String,
    #[arrow(type = DataType::Timestamp(TimeUnit::Nanosecond, None), nullable = true)]
    made: NaiveDateTime,
    #[arrow(type = DataType::Binary)]
    origin: Point,
    parts: HashMap<String, Option<Vec<u8>>>,
    #[arrow(default = 3)]
    weight: i64,
    #[arrow(skip)]
    cached: Option<f64>,
}

fn shape() -> Shape {
    Shape {
        r#type: Status::Closed,
        points: vec![Point { x: 0.0, y: 1.0 }, Point { x: 2.0, y: 3.0 }],
        center: None,
        label: "a".into(),
        made: "2026-11-27T12:00:00.000000001".parse().unwrap(),
        origin: Point { x: -1.0, y: -1.0 },
        parts: HashMap::from([("a".to_owned(), None)]),
        weight: 4,
        cached: None,
    }
}

#[test]
fn records_cross_as_structs_and_as_bytes() {
    crosses(Point { x: 1.0, y: 2.0 });
    crosses(shape());
    assert_eq!(
        (Shape::parameter_type(), Option::<Shape>::parameter_type()),
        (DataType::Binary, DataType::Binary)
    );
    assert!(matches!(Shape::data_type(), DataType::Struct(_)));
    let fields: Vec<_> =
        Shape::schema().fields().iter().map(|field| (field.name().clone(), field.is_nullable())).collect();
    let fields: Vec<_> = fields.iter().map(|(name, nullable)| (name.as_str(), *nullable)).collect();
    assert_eq!(
        fields,
        [
            ("type", false),
            ("outline", false),
            ("center", true),
            ("label", false),
            ("made", true),
            ("origin", false),
            ("parts", false),
            ("weight", false)
        ]
    );
    assert!(Arc::ptr_eq(&Shape::schema(), &Shape::schema()), "the schema is made once");
}

#[test]
fn records_are_rows_of_batches() {
    let rows = vec![shape(), Shape { center: Some(Point { x: 5.0, y: 6.0 }), ..shape() }];
    let batch = Shape::rows_to_batch(&rows).unwrap();
    assert_eq!(batch.schema(), Shape::schema());
    assert_eq!(Shape::rows_from_batch(&batch).unwrap(), rows);
    assert_eq!(Shape::rows_from_batch(&batch.slice(1, 1)).unwrap(), rows[1..]);
    // Columns are found by name, extra ones are ignored, and missing ones have their defaults.
    let reversed: Vec<usize> = (0..batch.num_columns() - 1).rev().collect();
    let reversed = Shape::rows_from_batch(&batch.project(&reversed).unwrap()).unwrap();
    assert_eq!(reversed[1], Shape { weight: 3, ..rows[1].clone() });
    assert_eq!(Shape::rows_to_batch(&[]).unwrap().num_rows(), 0);
    assert_eq!(Shape::rows_from_batch(&Shape::rows_to_batch(&[]).unwrap()).unwrap(), []);
}

#[derive(Clone, Debug, PartialEq, Record)]
struct Mixed {
    number: i64,
    maybe: Option<i64>,
    text: String,
    note: Option<String>,
    flag: bool,
    point: Option<Point>,
    #[arrow(skip, default = 7)]
    skipped: u8,
}

/// A similar record with fewer optional values.
#[derive(Debug, Record)]
struct Strict {
    #[arrow(default = -1)]
    further: i64,
    maybe: i64,
    text: String,
}

/// Returns more rows than are read at once.
fn mixed(rows: i64) -> Vec<Mixed> {
    let mixed = |number: i64| Mixed {
        number,
        maybe: (number % 3 != 0).then_some(number),
        text: format!("{number}"),
        note: (number % 7 != 0).then(|| format!("note {number}")),
        flag: number % 2 == 0,
        point: (number % 5 != 0).then_some(Point { x: number as f64, y: 0.0 }),
        skipped: 7,
    };
    (0..rows).map(mixed).collect()
}

#[test]
fn rows_with_and_without_nulls_are_those_that_were_written() {
    let rows = mixed(1000);
    let batch = Mixed::rows_to_batch(&rows).unwrap();
    assert_eq!(batch.column(1).null_count(), 334);
    assert_eq!(Mixed::rows_from_batch(&batch).unwrap(), rows);
    for (from, count) in [(0, 1), (1, 2), (255, 2), (256, 1), (300, 511), (999, 1)] {
        let read = Mixed::rows_from_batch(&batch.slice(from, count)).unwrap();
        assert_eq!(read, rows[from..from + count], "{count} from {from}");
    }
    let all: Vec<_> = rows.into_iter().filter(|row| row.maybe.is_some() && row.note.is_some()).collect();
    let batch = Mixed::rows_to_batch(&all).unwrap();
    assert_eq!((batch.column(1).null_count(), batch.column(3).null_count()), (0, 0));
    assert_eq!(Mixed::rows_from_batch(&batch).unwrap(), all);
}

#[test]
fn a_null_that_no_field_takes_is_named_by_its_row() {
    let mut rows: Vec<_> = mixed(1000).into_iter().filter(|row| row.maybe.is_some()).collect();
    rows[600].maybe = None;
    let batch = Mixed::rows_to_batch(&rows).unwrap();
    let error = Strict::rows_from_batch(&batch).unwrap_err();
    assert_eq!(error.to_string(), "field \"maybe\", row 600: expected Int64, got null of type Int64");
    let error = Strict::rows_from_batch(&batch.slice(590, 20)).unwrap_err();
    assert_eq!((error.field(), error.row()), ("maybe", Some(10)));
    let read = Strict::rows_from_batch(&batch.slice(0, 600)).unwrap();
    assert!(read.iter().zip(&rows).all(|(read, row)| Some(read.maybe) == row.maybe && read.text == row.text));
    assert!(
        read.iter().all(|read| read.further == -1),
        "a default stands in for each row of a missing field"
    );
}

#[test]
fn a_value_that_does_not_fit_is_named_by_its_row() {
    #[derive(Record)]
    struct Priced {
        #[arrow(type = DataType::FixedSizeBinary(3))]
        code: Option<Vec<u8>>,
    }
    let codes = (0..10).map(|row| match row {
        2 | 5 => None,
        7 => Some(vec![1; 4]),
        _ => Some(vec![1; 3]),
    });
    let rows: Vec<_> = codes.map(|code| Priced { code }).collect();
    let error = Priced::rows_to_batch(&rows).unwrap_err();
    assert_eq!((error.field(), error.row()), ("code", Some(7)), "{error}");
}

#[test]
fn a_null_struct_hides_fields_that_are_never_null() {
    let rows = vec![Some(Point { x: 1.0, y: 2.0 }), None, Some(Point { x: 3.0, y: 4.0 })];
    let column = rows.clone().into_column(&Vec::<Option<Point>>::data_type()).unwrap();
    column.to_data().validate_full().unwrap();
    assert_eq!(read::<Vec<Option<Point>>>(&column), rows);
    let points = column.to_data().child_data()[0].clone();
    assert_eq!(points.child_data()[0].null_count(), 0);
    let all = vec![None::<Shape>, Some(shape())];
    let column = all.clone().into_column(&Vec::<Option<Shape>>::data_type()).unwrap();
    column.to_data().validate_full().unwrap();
    assert_eq!(read::<Vec<Option<Shape>>>(&column), all);
}

#[test]
fn batches_and_schemas_cross_as_bytes_and_no_bytes_are_none() {
    let batch =
        RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)]).unwrap();
    crosses(batch.clone());
    crosses(batch.schema());
    crosses(Schema::new(vec![Field::new("text", DataType::Utf8, true)]));
    let empty = Vec::<u8>::new().into_column(&DataType::Binary).unwrap();
    assert_eq!(read::<Option<RecordBatch>>(&empty), None);
    assert_eq!(read::<Option<Schema>>(&empty), None);
    let error = RecordBatch::read(ValueRef::new(&empty, 0).unwrap()).unwrap_err();
    assert!(error.to_string().starts_with("expected an Arrow IPC stream of one batch, got "), "{error}");
}

#[test]
fn typed_arrays_cross_as_lists() {
    let numbers = Int64Array::from(vec![Some(1), None]);
    assert_eq!(<Int64Array as ArrowType>::data_type(), DataType::new_list(DataType::Int64, true));
    crosses(numbers.clone());
    crosses(StringArray::from(vec![Some("a"), None]));
    let column = numbers.clone().into_column(&<Int64Array as ArrowType>::data_type()).unwrap();
    assert_eq!(read::<Vec<Option<i64>>>(&column), [Some(1), None]);
    let shared: arrow_array::PrimitiveArray<Int64Type> = read(&column);
    assert_eq!(shared.values().as_ptr(), numbers.values().as_ptr());
}

/// User functions with the same names as functions in a derived record's expansion.
mod names_of_the_user {
    use vgi_rpc_protocol::Record;

    fn records() -> Vec<String> {
        vec!["records".into()]
    }

    fn fields() -> i64 {
        1
    }

    fn column_0() -> i64 {
        2
    }

    fn value_0() -> i64 {
        3
    }

    #[derive(Debug, PartialEq, Record)]
    pub struct Named {
        pub n: i64,
        #[arrow(default = records())]
        pub names: Vec<String>,
        #[arrow(default = fields())]
        pub one: i64,
        #[arrow(default = column_0())]
        pub two: i64,
        #[arrow(skip, default = value_0())]
        pub three: i64,
    }
}

#[test]
fn defaults_are_what_the_user_names() {
    let batch = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![0])) as ArrayRef)]).unwrap();
    let expected = names_of_the_user::Named { n: 0, names: vec!["records".into()], one: 1, two: 2, three: 3 };
    assert_eq!(names_of_the_user::Named::from_batch(&batch).unwrap(), expected);
    assert_eq!(names_of_the_user::Named::rows_from_batch(&batch).unwrap(), [expected]);
}
