//! Columns that are far larger when read than in memory.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int32Type};
use arrow_array::{
    ArrayRef, DictionaryArray, FixedSizeBinaryArray, FixedSizeListArray, Int8Array, Int32Array, ListArray,
    NullArray, RecordBatch, RecordBatchOptions, RunArray, StringArray, UInt8Array,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Schema};
use std::sync::Arc;
use vgi_rpc_protocol::Record;
use vgi_rpc_protocol::client::result;
use vgi_rpc_protocol::ipc::{Metadata, encode_batch};
use vgi_rpc_protocol::service::Args;
use vgi_rpc_protocol::values::{ArrowType, IntoArrow, ValueError};

#[derive(Debug, PartialEq, Record)]
struct Numbers {
    v: Vec<Option<i64>>,
}

#[derive(Debug, PartialEq, Record)]
struct Texts {
    v: Vec<String>,
}

#[derive(Debug, PartialEq, Record)]
struct Number {
    n: Option<i64>,
}

#[derive(Debug, PartialEq, Record)]
struct Inner {
    bytes: Vec<u8>,
}

#[derive(Debug, PartialEq, Record)]
struct Node {
    n: i64,
    #[arrow(type = DataType::Binary)]
    next: Option<Box<Node>>,
}

/// Returns one list of all these items.
fn list(items: ArrayRef) -> ArrayRef {
    let field = Arc::new(Field::new("item", items.data_type().clone(), true));
    Arc::new(ListArray::new(field, OffsetBuffer::from_lengths([items.len()]), items, None))
}

fn row(name: &str, column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([(name, column, true)]).unwrap()
}

#[track_caller]
fn assert_too_much<T: std::fmt::Debug>(read: Result<T, ValueError>) {
    let error = read.unwrap_err().to_string();
    assert!(error.contains("expected values of at most "), "{error}");
}

#[test]
fn items_that_take_no_memory_are_bounded() {
    const MANY: usize = 20_000_000;
    let field = Arc::new(Field::new("item", DataType::Int64, true));
    let nothing = FixedSizeListArray::try_new_with_length(
        field,
        0,
        arrow_array::new_empty_array(&DataType::Int64),
        None,
        MANY,
    );
    let ends = Int32Array::from(vec![MANY as i32]);
    let runs = RunArray::<Int32Type>::try_new(&ends, &arrow_array::Int64Array::from(vec![7])).unwrap();
    for items in [Arc::new(NullArray::new(MANY)) as ArrayRef, Arc::new(runs)] {
        assert_too_much(Numbers::from_batch(&row("v", list(items))));
    }
    assert_too_much(result::<Vec<Vec<i64>>, ValueError>(&row("result", list(Arc::new(nothing.unwrap())))));
    let bytes = encode_batch(&row("v", list(Arc::new(NullArray::new(MANY)))), &Metadata::new()).unwrap();
    let args = Args::new(row("p", Arc::new(arrow_array::BinaryArray::from(vec![&bytes[..]]))));
    let error = args.get::<Numbers>("p").unwrap_err();
    assert!(error.message().contains("expected values of at most "), "{error}");
}

#[test]
fn rows_that_take_no_memory_are_bounded() {
    assert_too_much(Number::rows_from_batch(&row("n", Arc::new(NullArray::new(i32::MAX as usize)))));
    let options = RecordBatchOptions::new().with_row_count(Some(i32::MAX as usize));
    let none = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap();
    assert_too_much(Number::rows_from_batch(&none));
}

#[test]
fn texts_that_share_memory_are_bounded() {
    let texts = StringArray::from(vec!["x".repeat(1 << 20)]);
    let keys = Int8Array::from(vec![0; 4000]);
    let dictionary = DictionaryArray::<Int8Type>::new(keys, Arc::new(texts.clone()));
    let runs = RunArray::<Int32Type>::try_new(&Int32Array::from(vec![4000]), &texts).unwrap();
    for items in [Arc::new(dictionary) as ArrayRef, Arc::new(runs)] {
        assert_too_much(Texts::from_batch(&row("v", list(items))));
    }
    // The names of an enumeration, repeated for each key.
    let names = StringArray::from(vec!["a name of twenty-four b."]);
    let dictionary = DictionaryArray::<Int8Type>::new(Int8Array::from(vec![0; 1_000_000]), Arc::new(names));
    assert_eq!(Texts::from_batch(&row("v", list(Arc::new(dictionary)))).unwrap().v.len(), 1_000_000);
}

#[derive(Debug, PartialEq, Record)]
struct Shared {
    v: Vec<Arc<str>>,
}

#[test]
fn shared_texts_and_schemas_are_bounded() {
    let texts = StringArray::from(vec!["x".repeat(1 << 20)]);
    let dictionary = DictionaryArray::<Int8Type>::new(Int8Array::from(vec![0; 4000]), Arc::new(texts));
    assert_too_much(Shared::from_batch(&row("v", list(Arc::new(dictionary)))));
    let fields: Vec<_> = (0..2000).map(|n| Field::new(format!("field {n}"), DataType::Int64, true)).collect();
    let schema = vec![Schema::new(fields)].into_column(&Vec::<Schema>::data_type()).unwrap();
    let message = schema.as_list::<i32>().values().clone();
    let many = DictionaryArray::<Int8Type>::new(Int8Array::from(vec![0; 20_000]), message);
    assert_too_much(result::<Vec<Schema>, ValueError>(&row("result", list(Arc::new(many)))));
}

#[test]
fn columns_that_share_memory_or_have_none_allow_no_more() {
    let texts = StringArray::from(vec!["x".repeat(1 << 16)]);
    let dictionary =
        Arc::new(DictionaryArray::<Int8Type>::new(Int8Array::from(vec![0; 4000]), Arc::new(texts)));
    let body = arrow_buffer::Buffer::from(vec![0_u8; 1 << 20]);
    let read = |further: usize| {
        let nothing = |_| {
            let nothing = body.slice_with_length(0, 0);
            Arc::new(FixedSizeBinaryArray::try_new_with_len(0, nothing, None, 4000).unwrap()) as ArrayRef
        };
        let further = (0..further).map(nothing).enumerate().map(|(n, column)| (format!("c{n}"), column));
        let columns = further.chain([("text".to_owned(), dictionary.clone() as ArrayRef)]);
        Text::rows_from_batch(&RecordBatch::try_from_iter(columns).unwrap())
    };
    assert_too_much(read(0));
    assert_too_much(read(100));
}

#[derive(Debug, PartialEq, Record)]
struct Text {
    text: String,
}

#[test]
fn honest_rows_are_read_however_little_they_took() {
    #[derive(Debug, PartialEq, Record)]
    struct Wide {
        small: u8,
        #[arrow(default)]
        one: String,
        #[arrow(default)]
        other: String,
        #[arrow(default)]
        third: String,
    }
    let small = row("small", Arc::new(UInt8Array::from(vec![1; 100_000])));
    assert_eq!(Wide::rows_from_batch(&small).unwrap().len(), 100_000);
    let labels = StringArray::from(vec!["a label of a hundred characters ".repeat(3)]);
    let labels = DictionaryArray::<Int8Type>::new(Int8Array::from(vec![0; 100_000]), Arc::new(labels));
    assert_eq!(Text::rows_from_batch(&row("text", Arc::new(labels))).unwrap().len(), 100_000);
}

#[test]
fn records_that_share_bytes_are_not_decoded_for_ever() {
    let encoded =
        encode_batch(&Inner { bytes: vec![0; 1 << 20] }.to_batch().unwrap(), &Metadata::new()).unwrap();
    let values = arrow_array::BinaryArray::from(vec![&encoded[..]]);
    let keys = Int8Array::from(vec![0; 1_000_000]);
    let dictionary = DictionaryArray::<Int8Type>::new(keys, Arc::new(values));
    assert_too_much(result::<Vec<Inner>, ValueError>(&row("result", list(Arc::new(dictionary)))));
}

#[test]
fn records_in_one_another_are_bounded() {
    let nested = |depth: i64| {
        (0..depth).fold(None, |inner: Option<Vec<u8>>, n| {
            let next = arrow_array::BinaryArray::from(vec![inner.as_deref()]);
            let columns: [(&str, ArrayRef); 2] =
                [("n", Arc::new(arrow_array::Int64Array::from(vec![n]))), ("next", Arc::new(next))];
            let batch = RecordBatch::try_from_iter_with_nullable(
                columns.map(|(name, column)| (name, column, name == "next")),
            );
            Some(encode_batch(&batch.unwrap(), &Metadata::new()).unwrap().to_vec())
        })
    };
    let get = |depth| {
        let column = arrow_array::BinaryArray::from(vec![nested(depth).as_deref()]);
        Args::new(row("p", Arc::new(column))).get::<Node>("p")
    };
    assert_eq!(get(20).unwrap().n, 19);
    let error = get(300).unwrap_err();
    assert!(error.message().contains("at most 32 records"), "{error}");
}

#[test]
fn what_takes_as_much_as_it_shows_is_read_whole() {
    let many = UInt8Array::from(vec![7; 8 << 20]);
    assert_eq!(result::<Vec<u8>, ValueError>(&row("result", list(Arc::new(many)))).unwrap().len(), 8 << 20);
    let texts = StringArray::from_iter_values((0..200_000).map(|n| n.to_string()));
    let read = result::<Vec<String>, ValueError>(&row("result", list(Arc::new(texts)))).unwrap();
    assert_eq!(read[199_999], "199999");
}
