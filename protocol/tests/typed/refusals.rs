//! Errors for values that do not fit: they name the place, the expected type and the actual one.

use arrow_array::types::Int8Type;
use arrow_array::{
    Array, ArrayRef, DictionaryArray, Int8Array, Int32Array, Int64Array, NullArray, RecordBatch, RunArray,
    StringArray, StructArray, UInt8Array,
};
use arrow_schema::{DataType, Field, TimeUnit};
use chrono::{DateTime, NaiveDate, Utc};
use std::collections::HashMap;
use std::sync::Arc;
use vgi_rpc_protocol::service::{Method, Protocol, Service};
use vgi_rpc_protocol::values::{ArrowType, ColumnBuilder, Decimal, FromArrow, IntoArrow, ValueRef, can_read};
use vgi_rpc_protocol::{Record, service};

fn refusal<T: for<'a> FromArrow<'a> + std::fmt::Debug>(column: impl Array + 'static) -> String {
    let column: ArrayRef = Arc::new(column);
    T::read(ValueRef::new(&column, 0).unwrap()).unwrap_err().to_string()
}

#[test]
fn numbers_are_read_from_their_own_type_alone() {
    assert_eq!(refusal::<i32>(Int64Array::from(vec![1])), "expected Int32, got Int64");
    assert_eq!(refusal::<i64>(Int32Array::from(vec![1])), "expected Int64, got Int32");
    assert_eq!(refusal::<u8>(Int8Array::from(vec![1])), "expected UInt8, got Int8");
    assert_eq!(refusal::<i64>(Int64Array::from(vec![None])), "expected Int64, got null of type Int64");
    assert_eq!(
        refusal::<String>(StringArray::from(vec![None::<&str>])),
        "expected Utf8, got null of type Utf8"
    );
    assert_eq!(
        refusal::<Decimal<5, 2>>(arrow_array::Decimal128Array::from(vec![1])),
        "expected Decimal128(5, 2), got Decimal128(38, 10)"
    );
}

#[test]
fn numbers_are_written_to_wider_types_and_never_to_narrower_ones() {
    assert!(
        i32::writes(&DataType::Int64) && u32::writes(&DataType::Int64) && f32::writes(&DataType::Float64)
    );
    for narrower in [DataType::Int16, DataType::UInt64, DataType::Float64, DataType::Utf8] {
        assert!(!i32::writes(&narrower), "{narrower}");
        assert!(1_i32.into_column(&narrower).is_err(), "{narrower}");
    }
    let column = 7_u8.into_column(&DataType::Int64).unwrap();
    assert_eq!(i64::read(ValueRef::new(&column, 0).unwrap()).unwrap(), 7);
    assert!(!i64::writes(&DataType::Timestamp(TimeUnit::Second, None)));
}

#[test]
fn times_are_not_rounded() {
    let time: DateTime<Utc> = "2026-11-27T12:00:00.000000001Z".parse().unwrap();
    let error = time.into_column(&DateTime::<Utc>::data_type()).unwrap_err().to_string();
    assert!(error.contains("got a finer value; round it first"), "{error}");
    let late = NaiveDate::from_ymd_opt(2300, 1, 1).unwrap().and_hms_opt(0, 0, 0).unwrap();
    let error = late.into_column(&DataType::Timestamp(TimeUnit::Nanosecond, None)).unwrap_err().to_string();
    assert!(error.contains("got a value beyond it"), "{error}");
    // A number that is not a time of day, and one that is not a date.
    let clock: ArrayRef = Arc::new(arrow_array::Time64MicrosecondArray::from(vec![-1]));
    assert!(chrono::NaiveTime::read(ValueRef::new(&clock, 0).unwrap()).is_err());
    let date: ArrayRef = Arc::new(arrow_array::Date32Array::from(vec![i32::MAX]));
    assert!(NaiveDate::read(ValueRef::new(&date, 0).unwrap()).is_err());
    let date: ArrayRef = Arc::new(arrow_array::Date64Array::from(vec![1]));
    assert!(NaiveDate::read(ValueRef::new(&date, 0).unwrap()).is_err());
    assert!(DateTime::<Utc>::reads(&DateTime::<Utc>::data_type()));
    assert!(!DateTime::<Utc>::reads(&DataType::Timestamp(TimeUnit::Second, None)));
}

#[test]
fn nulls_are_seen_through_dictionaries_and_runs() {
    let texts = Arc::new(StringArray::from(vec![Some("red"), None]));
    for (key, text) in [(Some(0), Some("red")), (Some(1), None), (None, None)] {
        let column: ArrayRef = Arc::new(
            DictionaryArray::<Int8Type>::try_new(Int8Array::from(vec![key]), texts.clone()).unwrap(),
        );
        let value = ValueRef::new(&column, 0).unwrap();
        assert_eq!(Option::<&str>::read(value).unwrap(), text);
        assert_eq!(String::read(value).ok().as_deref(), text);
    }
    let runs =
        RunArray::try_new(&Int32Array::from(vec![1, 3]), &Int64Array::from(vec![None, Some(5)])).unwrap();
    let column: ArrayRef = Arc::new(runs);
    let read = |row| Option::<i64>::read(ValueRef::new(&column, row).unwrap()).unwrap();
    assert_eq!([read(0), read(1), read(2)], [None, Some(5), Some(5)]);
    assert!(can_read::<i64>(column.data_type()) && !can_read::<i32>(column.data_type()));
    let nothing: ArrayRef = Arc::new(NullArray::new(1));
    assert_eq!(Option::<i64>::read(ValueRef::new(&nothing, 0).unwrap()).unwrap(), None);
    assert!(ValueRef::new(&nothing, 1).is_err());
}

#[derive(Clone, Debug, PartialEq, Record)]
struct Inner {
    numbers: Vec<HashMap<String, i64>>,
}

#[derive(Clone, Debug, PartialEq, Record)]
struct Outer {
    inner: Vec<Inner>,
}

#[derive(Clone, Debug, PartialEq, Record)]
struct Lenient {
    numbers: Vec<HashMap<String, Option<i64>>>,
}

#[derive(Clone, Debug, PartialEq, Record)]
struct OfLenient {
    inner: Vec<Lenient>,
}

#[test]
fn errors_lead_to_the_value() {
    let lenient = |value| Lenient { numbers: vec![HashMap::new(), HashMap::from([("a".into(), value)])] };
    let rows = vec![
        OfLenient { inner: vec![lenient(Some(1))] },
        OfLenient { inner: vec![lenient(Some(1)), lenient(None)] },
    ];
    let batch = OfLenient::rows_to_batch(&rows).unwrap();
    assert_eq!(batch.schema(), Outer::schema());
    let error = Outer::rows_from_batch(&batch).unwrap_err();
    assert_eq!(
        error.to_string(),
        "field \"inner[1].numbers[1][0]\", row 1: expected Int64, got null of type Int64"
    );
    assert_eq!((error.field(), error.row()), ("inner[1].numbers[1][0]", Some(1)));
    let missing =
        RecordBatch::try_from_iter([("other", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap();
    let error = Outer::from_batch(&missing).unwrap_err();
    assert_eq!(error.to_string(), "field \"inner\": expected the field, got none of this name");
    let error = Outer::from_batch(&Outer::rows_to_batch(&[]).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "expected a batch of one row, got one of 0 rows");
}

#[test]
fn lengths_and_bytes_that_do_not_fit_are_refused() {
    let fixed = DataType::FixedSizeBinary(3);
    assert_eq!(vec![1_u8].into_column(&fixed).unwrap_err().to_string(), "expected 3 bytes, got 1");
    let column = vec![1_i64, 2].into_column(&Vec::<i64>::data_type()).unwrap();
    let error = <[i64; 3]>::read(ValueRef::new(&column, 0).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "expected 3 items, got 2");
    assert!(Decimal::<3, 0>(1000).into_column(&Decimal::<3, 0>::data_type()).is_err());
    let keys = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    let texts: Vec<String> = (0..129).map(|number| number.to_string()).collect();
    assert!(texts[..128].to_vec().into_column(&DataType::new_list(keys.clone(), true)).is_ok());
    let error = texts.into_column(&DataType::new_list(keys, true)).unwrap_err().to_string();
    assert!(error.contains("at most 128 distinct texts"), "{error}");
    let record = b"no stream".to_vec().into_column(&DataType::Binary).unwrap();
    assert!(Inner::read(ValueRef::new(&record, 0).unwrap()).is_err());
    let union = DataType::Union(arrow_schema::UnionFields::empty(), arrow_schema::UnionMode::Sparse);
    assert!(ColumnBuilder::new(&union, 0).is_err());
}

#[test]
fn an_absent_value_of_a_required_field_is_refused() {
    #[derive(Record)]
    struct Strict {
        #[arrow(nullable = false)]
        value: Option<i64>,
    }
    assert!(!Strict::schema().field(0).is_nullable());
    let batch = Strict { value: Some(1) }.to_batch().unwrap();
    assert_eq!(Strict::from_batch(&batch).unwrap().value, Some(1));
    assert!(Strict { value: None }.to_batch().is_err());
    let fields = vec![Field::new("value", DataType::UInt8, false)];
    let structs =
        StructArray::try_new(fields.into(), vec![Arc::new(UInt8Array::from(vec![1]))], None).unwrap();
    let error = refusal::<Inner>(structs);
    assert!(error.contains("expected the field, got none of this name"), "{error}");
}

#[test]
fn types_that_do_not_fit_are_found_when_the_service_is_built() {
    #[derive(Record)]
    struct Mistaken {
        #[arrow(type = DataType::Utf8)]
        number: i64,
    }
    let build =
        |method| Service::builder("id").protocol(Protocol::new("test.Typed.v1").method(method)).build();
    let text = |method| build(method).unwrap_err().to_string();
    let method = || Method::new("method");
    assert!(text(method().returns(DataType::Int32).unary(|_, _| Ok(1_i64))).contains("returns Int64"));
    assert!(
        text(method().returns(DataType::Int64).unary(|_, _| Ok(Some(1_i64))))
            .contains("an optional value for a required result")
    );
    assert!(text(method().unary(|_, _| Ok(1_i64))).contains("void method returns Int64"));
    assert!(text(method().returns(DataType::Int64).unary(|_, _| Ok(()))).contains("returns no value"));
    let expected = "\"number\" is declared as Utf8, which does not hold its Rust type, that of Int64";
    assert!(text(method().typed_param::<Vec<Mistaken>>("rows").unary(|_, _| Ok(()))).contains(expected));
    assert!(text(method().record_params::<Mistaken>().unary(|_, _| Ok(()))).contains(expected));
    let result = method().typed_result::<Mistaken>().unary(|_, _| Ok(Mistaken { number: 1 }));
    assert!(text(result).contains(expected));
    assert!(build(method().returns(DataType::Int64).unary(|_, _| Ok(1))).is_ok());
    assert!(build(method().returns(DataType::Int64).unary(|_, _| Ok(Int64Array::from(vec![1])))).is_ok());
    let column = |_: &_, _: &mut _| Ok(Arc::new(Int64Array::from(vec![1])) as ArrayRef);
    assert!(build(method().returns(DataType::Int64).unary(column)).is_ok());
}

#[test]
fn a_declared_type_that_client_and_server_do_not_share_is_found_when_the_service_is_built() {
    #[service(name = "test.Mistaken.v1")]
    trait Mistaken {
        // Such a value could be written, but not read again.
        #[method(type = DataType::Int64)]
        fn widened(&self) -> i32 {
            1
        }
    }
    struct Worker;
    impl Mistaken for Worker {}
    let error =
        Service::builder("id").protocol(MistakenProtocol::serve(Worker)).build().unwrap_err().to_string();
    assert!(
        error.contains("\"result\" is declared as Int64, which does not hold its Rust type, that of Int32"),
        "{error}"
    );
}
