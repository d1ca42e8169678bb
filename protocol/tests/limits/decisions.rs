//! What the format leaves open or specified differently in an older version: each case is decided as in pyarrow.

use super::*;
use arrow_array::builder::{Int64Builder, ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, Int64Array, StringArray, StructArray, UnionArray};
use arrow_ipc::FieldNode;
use arrow_schema::{UnionFields, UnionMode};
use vgi_rpc_protocol::reflection::type_token;

fn written(column: &ArrayRef, version: MetadataVersion, codec: Option<CompressionType>) -> Vec<u8> {
    let options = IpcWriteOptions::try_new(8, false, version).unwrap().try_with_compression(codec).unwrap();
    let batch = RecordBatch::try_from_iter_with_nullable([("value", column.clone(), true)]).unwrap();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

/// Returns the bytes of a field node.
fn node(len: i64, nulls: i64) -> [u8; 16] {
    FieldNode::new(len, nulls).0
}

/// Replaces the first occurrence of these bytes.
#[track_caller]
fn replace(stream: &mut [u8], from: &[u8], to: &[u8]) {
    let at = stream.windows(from.len()).position(|window| window == from).expect("the bytes are there");
    stream[at..at + to.len()].copy_from_slice(to);
}

fn read(stream: Vec<u8>) -> Result<ArrayRef, ReadError> {
    decode_batch(stream.into(), &Limits::default()).map(|(batch, _)| batch.column(0).clone())
}

#[track_caller]
fn assert_refused(stream: Vec<u8>, says: &str) {
    let error = read(stream).expect_err("it is refused");
    assert!(matches!(error, ReadError::Message(_)) && error.to_string().contains(says), "{error}");
}

/// Returns a struct of a number and a text, which `arrow-ipc` decodes.
fn nested() -> ArrayRef {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, None]));
    let fields = Fields::from(vec![
        Field::new("number", DataType::Int64, true),
        Field::new("text", DataType::Utf8, true),
    ]);
    Arc::new(StructArray::new(fields, vec![numbers, texts], None))
}

#[test]
fn a_null_count_of_minus_one_is_counted_from_the_bitmap() {
    let flat: [ArrayRef; 3] = [
        Arc::new(Int64Array::from(vec![Some(1), None, Some(3)])),
        Arc::new(StringArray::from(vec![Some("a"), None, Some("c")])),
        Arc::new(arrow_array::BooleanArray::from(vec![Some(true), None, Some(false)])),
    ];
    for codec in codecs() {
        for column in &flat {
            let mut stream = written(column, MetadataVersion::V5, codec);
            replace(&mut stream, &node(3, 1), &node(3, -1));
            assert_eq!(&read(stream).unwrap(), column, "{codec:?}");
        }
        let mut stream = written(&nested(), MetadataVersion::V5, codec);
        replace(&mut stream, &node(3, 1), &node(3, -1));
        replace(&mut stream, &node(3, 2), &node(3, -1));
        assert_eq!(&read(stream).unwrap(), &nested(), "{codec:?}");
        let nulls: ArrayRef = Arc::new(arrow_array::NullArray::new(3));
        let mut stream = written(&nulls, MetadataVersion::V5, codec);
        replace(&mut stream, &node(3, 3), &node(3, -1));
        assert_eq!(&read(stream).unwrap(), &nulls, "{codec:?}");
    }
}

#[test]
fn without_a_bitmap_nothing_can_be_counted_and_other_counts_below_zero_are_none() {
    let plain = |column: ArrayRef| written(&column, MetadataVersion::V5, None);
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let mut stream = plain(numbers.clone());
    replace(&mut stream, &node(3, 0), &node(3, -1));
    assert_refused(stream, "1 bytes");
    let field = Arc::new(Field::new("number", DataType::Int64, true));
    let mut stream = plain(Arc::new(StructArray::from(vec![(field, numbers)])));
    replace(&mut stream, &[node(3, 0); 2].concat(), &[node(3, 0), node(3, -1)].concat());
    assert_refused(stream, "a validity bitmap of 1 bytes");
    for count in [-2, i64::MIN, 4] {
        for column in [flat_with_null(), nested()] {
            let mut stream = plain(column);
            replace(&mut stream, &node(3, 1), &node(3, count));
            assert_refused(stream, "0 to 3 nulls");
        }
    }
}

fn flat_with_null() -> ArrayRef {
    Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]))
}

fn unions() -> [ArrayRef; 2] {
    let fields = || {
        UnionFields::try_new(
            [0, 1],
            [Field::new("number", DataType::Int64, true), Field::new("text", DataType::Utf8, true)],
        )
        .unwrap()
    };
    let types = vec![0, 1, 0].into();
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
    let sparse = UnionArray::try_new(fields(), types, None, vec![numbers.clone(), texts]).unwrap();
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["b"]));
    let (types, offsets) = (vec![0, 1, 0].into(), vec![0, 0, 1].into());
    let dense = UnionArray::try_new(fields(), types, Some(offsets), vec![numbers, texts]).unwrap();
    assert!(matches!(sparse.data_type(), DataType::Union(_, UnionMode::Sparse)));
    [Arc::new(sparse), Arc::new(dense)]
}

#[test]
fn unions_of_the_format_before_version_5_are_read_if_they_have_no_nulls() {
    for codec in codecs() {
        for union in unions() {
            for version in [MetadataVersion::V4, MetadataVersion::V5] {
                // Compression was added in version 5.
                if codec.is_some() && version == MetadataVersion::V4 {
                    continue;
                }
                assert_eq!(&read(written(&union, version, codec)).unwrap(), &union, "{version:?} {codec:?}");
            }
        }
    }
    for union in unions() {
        let mut stream = written(&union, MetadataVersion::V4, None);
        replace(&mut stream, &node(3, 0), &node(3, 1));
        assert_refused(stream, "a union without nulls of its own");
        let mut stream = written(&union, MetadataVersion::V4, None);
        replace(&mut stream, &node(3, 0), &node(3, -1));
        assert_refused(stream, "a union without nulls of its own");
    }
}

#[test]
fn what_a_child_has_beyond_its_struct_is_not_part_of_it() {
    for codec in codecs() {
        for rows in [0, 1, 2] {
            let mut stream = written(&nested(), MetadataVersion::V5, codec);
            // The struct's node, which is the first, and the row count of the batch.
            let at = stream.windows(16).position(|window| window == node(3, 0)).unwrap();
            stream[at..at + 16].copy_from_slice(&node(rows, 0));
            let count = stream[..at].windows(8).rposition(|window| window == 3_i64.to_le_bytes()).unwrap();
            stream[count..count + 8].copy_from_slice(&rows.to_le_bytes());
            assert_eq!(&read(stream).unwrap(), &nested().slice(0, rows as usize), "{codec:?}");
        }
    }
}

#[test]
fn a_child_shorter_than_its_struct_is_refused() {
    let mut stream = written(&nested(), MetadataVersion::V5, None);
    replace(&mut stream, &node(3, 1), &node(2, 1));
    assert!(matches!(read(stream), Err(ReadError::Message(_))));
}

/// Patches the offsets of a column of one text of five bytes.
fn with_offsets(mut stream: Vec<u8>, width: usize) -> Vec<u8> {
    let offset = |value: i64| value.to_le_bytes()[..width].to_vec();
    let last =
        stream.windows(2 * width).rposition(|window| window == [offset(0), offset(5)].concat()).unwrap();
    stream[last..last + 2 * width].copy_from_slice(&[offset(5), offset(5)].concat());
    stream
}

#[test]
fn the_offset_of_a_text_column_without_rows_says_nothing() {
    let columns: [(ArrayRef, usize); 4] = [
        (Arc::new(StringArray::from(vec!["hello"])), 4),
        (Arc::new(arrow_array::LargeStringArray::from(vec!["hello"])), 8),
        (Arc::new(arrow_array::BinaryArray::from_vec(vec![b"hello"])), 4),
        (Arc::new(arrow_array::LargeBinaryArray::from_vec(vec![b"hello"])), 8),
    ];
    for (column, width) in columns {
        let mut stream = with_offsets(written(&column, MetadataVersion::V5, None), width);
        let at = stream.windows(16).position(|window| window == node(1, 0)).unwrap();
        stream[at..at + 16].copy_from_slice(&node(0, 0));
        let count = stream[..at].windows(8).rposition(|window| window == 1_i64.to_le_bytes()).unwrap();
        stream[count..count + 8].copy_from_slice(&[0; 8]);
        assert_eq!(&read(stream).unwrap(), &column.slice(0, 0));
    }
    // Within a list that has no texts.
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.append(true);
    let empty: ArrayRef = Arc::new(lists.finish());
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.append_value([Some("hello")]);
    let full: ArrayRef = Arc::new(lists.finish());
    let mut stream = with_offsets(written(&full, MetadataVersion::V5, None), 4);
    replace(&mut stream, &[node(1, 0), node(1, 0)].concat(), &[node(1, 0), node(0, 0)].concat());
    let list = [0_i32.to_le_bytes(), 1_i32.to_le_bytes()].concat();
    let at = stream.windows(8).rposition(|window| window == list).unwrap();
    stream[at..at + 8].fill(0);
    assert_eq!(&read(stream).unwrap(), &empty);
    let mut numbers = ListBuilder::new(Int64Builder::new());
    numbers.append(true);
    let empty: ArrayRef = Arc::new(numbers.finish());
    assert_eq!(&read(written(&empty, MetadataVersion::V5, None)).unwrap(), &empty);
}

#[test]
fn a_dictionary_stays_as_ordered_as_it_was_and_is_a_type_of_its_own_for_the_hash_only() {
    let column = colors(["red"]);
    for ordered in [false, true] {
        let field = Field::new("value", column.data_type().clone(), false).with_dict_is_ordered(ordered);
        let batch =
            RecordBatch::try_new(Arc::new(Schema::new(vec![field.clone()])), vec![column.clone()]).unwrap();
        let bytes = encode_batch(&batch, &Metadata::new()).unwrap();
        let (read, _) = decode_batch(bytes, &Limits::default()).unwrap();
        assert_eq!(read.schema().field(0).dict_is_ordered(), Some(ordered));
        assert_eq!(type_token(read.schema().field(0)).unwrap().ends_with(",ordered"), ordered);
        // The method declares an unordered dictionary.
        let turn = Pair::default().play(unary("echo_color", batch));
        assert!(matches!(turn.told[..], [Told::Output(..), Told::Finished]), "{:?}", turn.told);
    }
}
