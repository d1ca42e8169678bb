//! Null slots of text columns may contain any bytes; other slots may not.

use super::*;
use arrow_array::builder::{
    BinaryBuilder, BinaryViewBuilder, FixedSizeListBuilder, LargeBinaryBuilder, LargeListBuilder, ListBuilder,
};
use arrow_array::types::Int8Type;
use arrow_array::{ArrayRef, BinaryArray, DictionaryArray, Int8Array, LargeBinaryArray, StructArray};
use arrow_buffer::NullBuffer;
use arrow_schema::FieldRef;

const JUNK: &[u8] = b"\xff\xfe";
/// Part of a character.
const HALF: &[u8] = b"\xc3";
const NULLS: [bool; 4] = [true, false, true, false];

/// Returns the type with text in place of bytes: the layouts are the same.
fn as_text(of: &DataType) -> DataType {
    let child = |field: &FieldRef| Arc::new(Field::clone(field).with_data_type(as_text(field.data_type())));
    match of {
        DataType::Binary => DataType::Utf8,
        DataType::LargeBinary => DataType::LargeUtf8,
        DataType::BinaryView => DataType::Utf8View,
        DataType::List(item) => DataType::List(child(item)),
        DataType::LargeList(item) => DataType::LargeList(child(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(child(item), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(child).collect()),
        DataType::Dictionary(keys, values) => DataType::Dictionary(keys.clone(), Box::new(as_text(values))),
        other => other.clone(),
    }
}

/// Reads a column of bytes whose schema declares text.
fn read(column: &ArrayRef, compression: Option<CompressionType>) -> Result<RecordBatch, ReadError> {
    let write = |column: Option<&ArrayRef>, data_type: &DataType| {
        let schema = Arc::new(Schema::new(vec![Field::new("value", data_type.clone(), true)]));
        let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options).unwrap();
        if let Some(column) = column {
            writer.write(&RecordBatch::try_new(schema, vec![column.clone()]).unwrap()).unwrap();
        }
        writer.into_inner().unwrap()
    };
    let schema_len = |stream: &[u8]| 8 + u32::from_le_bytes(stream[4..8].try_into().unwrap()) as usize;
    let (text, bytes) = (write(None, &as_text(column.data_type())), write(Some(column), column.data_type()));
    let stream = [&text[..schema_len(&text)], &bytes[schema_len(&bytes)..]].concat();
    let mut reader = Reader::new(Limits::default());
    reader.receive(stream.into());
    assert!(matches!(reader.next_item(), Ok(Some(Item::Schema(_)))));
    reader.next_item().map(|item| match item {
        Some(Item::Batch(batch, _)) => batch,
        other => panic!("{other:?}"),
    })
}

/// Checks that the column is read with and without compression, and is formatted as these values.
#[track_caller]
fn assert_reads(column: &ArrayRef, values: &str) {
    for compression in codecs() {
        let batch = read(column, compression).unwrap_or_else(|error| panic!("{compression:?}: {error}"));
        let text: String = format!("{:?}", batch.column(0)).split_whitespace().collect();
        assert!(text.contains(values), "{compression:?}: {values} in {text}");
        assert_eq!(batch.column(0).null_count(), column.null_count());
    }
}

fn binary(values: [&[u8]; 4]) -> BinaryArray {
    let values = BinaryArray::from_iter_values(values);
    let (offsets, bytes, _) = values.into_parts();
    BinaryArray::new(offsets, bytes, Some(NULLS.to_vec().into()))
}

#[test]
fn bytes_under_nulls_are_not_looked_at() {
    for under in [JUNK, HALF] {
        let column = binary([b"a", under, "é".as_bytes(), under]);
        assert_reads(&(Arc::new(column.clone()) as ArrayRef), "\"a\",null,\"é\",null");
        let (offsets, bytes, nulls) = column.into_parts();
        let offsets = arrow_buffer::OffsetBuffer::new(offsets.iter().map(|at| i64::from(*at)).collect());
        let large: ArrayRef = Arc::new(LargeBinaryArray::new(offsets, bytes, nulls));
        assert_reads(&large, "\"a\",null,\"é\",null");
    }
}

#[test]
fn views_under_nulls_are_not_looked_at() {
    let mut builder = BinaryViewBuilder::new();
    [&b"a"[..], b"\xff and more than twelve bytes of it", "é and more than twelve bytes".as_bytes(), JUNK]
        .into_iter()
        .for_each(|value| builder.append_value(value));
    let (views, buffers, _) = builder.finish().into_parts();
    let nulls = Some(NullBuffer::from(NULLS.to_vec()));
    let column: ArrayRef = Arc::new(arrow_array::BinaryViewArray::new(views, buffers, nulls));
    assert_reads_views(&column);
}

/// Checks a column of views whose buffers contain junk that no valid view refers to.
#[track_caller]
fn assert_reads_views(column: &ArrayRef) {
    assert_reads(column, "\"a\",null,\"éandmorethantwelvebytes\",null");
}

#[test]
fn slots_below_nulls_are_not_looked_at() {
    let texts: ArrayRef = Arc::new(BinaryArray::from_iter_values([&b"a"[..], JUNK, b"b", JUNK]));
    let field = Arc::new(Field::new("text", DataType::Binary, false));
    let nulls = Some(NullBuffer::from(NULLS.to_vec()));
    let column: ArrayRef = Arc::new(StructArray::new(vec![field].into(), vec![texts], nulls.clone()));
    assert_reads(&column, "StructArray");

    let mut lists = ListBuilder::new(BinaryBuilder::new());
    let mut large = LargeListBuilder::new(LargeBinaryBuilder::new());
    let mut fixed = FixedSizeListBuilder::new(BinaryBuilder::new(), 1);
    for value in [&b"a"[..], JUNK, b"b", JUNK] {
        lists.append_value([Some(value)]);
        large.append_value([Some(value)]);
        fixed.values().append_value(value);
        fixed.append(true);
    }
    let (item, offsets, values, _) = lists.finish().into_parts();
    assert_reads(
        &(Arc::new(arrow_array::ListArray::new(item, offsets, values, nulls.clone())) as _),
        "\"b\"",
    );
    let (item, offsets, values, _) = large.finish().into_parts();
    let column: ArrayRef = Arc::new(arrow_array::LargeListArray::new(item, offsets, values, nulls.clone()));
    assert_reads(&column, "\"b\"");
    let (item, size, values, _) = fixed.finish().into_parts();
    let column: ArrayRef = Arc::new(arrow_array::FixedSizeListArray::new(item, size, values, nulls));
    assert_reads(&column, "\"b\"");
}

#[test]
fn nulls_inside_a_dictionary_are_not_looked_at() {
    let values: ArrayRef = Arc::new(binary([b"a", JUNK, b"b", HALF]));
    let keys = Int8Array::from(vec![0, 1, 2]);
    let column: ArrayRef = Arc::new(DictionaryArray::<Int8Type>::new(keys, values));
    assert_reads(&column, "\"a\",null,\"b\",null");
}

#[test]
fn bytes_in_other_slots_are_refused() {
    for values in [[b"a", JUNK, JUNK, b"b"], [JUNK, b"a", b"b", b"c"]] {
        let column: ArrayRef = Arc::new(binary(values));
        for compression in codecs() {
            let result = read(&column, compression);
            assert!(matches!(result, Err(ReadError::Message(MessageError::Arrow(_)))), "{result:?}");
        }
    }
    // A character that begins in a value and ends in a null slot is invalid.
    let split: ArrayRef = Arc::new(binary([HALF, b"\xa9", b"b", b"c"]));
    assert!(read(&split, None).is_err());
    let whole: ArrayRef = Arc::new(BinaryArray::from_iter_values([JUNK]));
    assert!(read(&whole, None).is_err(), "without nulls");
}
