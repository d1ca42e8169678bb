//! Claims that cost a peer nothing: lengths without data, rows and buffers without bytes.

use super::*;
use crate::common::batches::schema;
use crate::common::messages::Header;
use allocation_counter::measure;
use arrow_ipc::CompressionType;
use arrow_schema::{DataType, Field, Fields, UnionMode};
use std::sync::Arc;
use vgi_rpc_protocol::ipc::{EncodedSchema, MessageError};

const GIB: i64 = 1 << 30;

/// Returns a stream of one column with this batch.
fn stream(data_type: DataType, batch: &Bytes) -> Bytes {
    let schema = EncodedSchema::new(schema([("value", data_type)])).unwrap();
    [&schema.message()[..], batch].concat().into()
}

fn field(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", data_type, true))
}

/// Reads a stream that continues after these bytes, and has the reader lend memory for the rest. Returns the peak memory.
fn wait_for_more(bytes: &Bytes) -> u64 {
    let taken = measure(|| {
        let mut reader = Reader::new(Limits::default());
        reader.receive(bytes.clone());
        while reader.next_item().unwrap().is_some() {}
        for _ in 0..10 {
            reader.read_buf()[0] = 0;
            reader.advance(1);
            assert!(reader.next_item().unwrap().is_none());
        }
    });
    taken.bytes_max
}

#[test]
fn a_body_that_does_not_come_takes_little() {
    for len in [GIB / 1024, GIB, 4 * GIB] {
        let batch = Header::with_body(len).batch(len / 8, &[(len / 8, 0)], &[(0, 0), (0, len)]);
        let bytes = stream(DataType::Int64, &batch);
        assert_below(&format!("a body of {} MiB", len >> 20), wait_for_more(&bytes), MIB + 64 * KIB);
    }
}

#[test]
fn a_header_that_does_not_come_takes_little() {
    let len = Limits::default().max_header_bytes as u32;
    let bytes = [&[0xff; 4][..], &len.to_le_bytes()].concat();
    assert_below("a header of 8 MiB", wait_for_more(&bytes.into()), MIB + 64 * KIB);
}

/// Returns types whose values have no bytes, with the nodes of a column of this many rows.
fn without_bytes(rows: i64) -> Vec<(DataType, Vec<(i64, i64)>)> {
    let structure = DataType::Struct(Fields::from(vec![Field::new("none", DataType::Null, true)]));
    vec![
        (DataType::Null, vec![(rows, rows)]),
        (DataType::Struct(Fields::empty()), vec![(rows, 0)]),
        (structure, vec![(rows, 0), (rows, rows)]),
        (DataType::FixedSizeList(field(DataType::Null), 0), vec![(rows, 0), (0, 0)]),
        (DataType::FixedSizeList(field(DataType::Null), 1), vec![(rows, 0), (rows, rows)]),
    ]
}

/// Reads this many rows of a type.
fn read_rows(data_type: &DataType, nodes: &[(i64, i64)], rows: i64) -> Result<usize, ReadError> {
    // Every type but null has one buffer, for validity.
    let buffers = vec![(0, 0); usize::from(*data_type != DataType::Null)];
    let batch = Header::default().batch(rows, nodes, &buffers);
    let (taken, result) = read(&stream(data_type.clone(), &batch), Limits::default());
    assert_below(&format!("{rows} rows of {data_type}"), taken, 64 * KIB);
    result
}

#[test]
fn rows_without_bytes_are_counted_and_not_held() {
    let most = Limits::default().max_rows as i64;
    for (data_type, nodes) in without_bytes(most) {
        assert_eq!(read_rows(&data_type, &nodes, most), Ok(1), "{data_type}");
    }
    for rows in [most + 1, i64::MAX, -1] {
        for (data_type, nodes) in without_bytes(rows) {
            let result = read_rows(&data_type, &nodes, rows);
            let refused = matches!(result, Err(ReadError::Message(MessageError::Inconsistent { .. })));
            assert!(refused, "{rows} rows of {data_type}: {result:?}");
        }
    }
}

/// Nodes that are amended, because their nulls were not counted or they are longer than their parents.
#[test]
fn rows_without_bytes_that_are_amended_are_not_held() {
    let most = Limits::default().max_rows as i64;
    let structure = DataType::Struct(Fields::from(vec![Field::new("none", DataType::Null, true)]));
    let list = DataType::FixedSizeList(field(DataType::Null), 1);
    for (data_type, rows, nodes) in [
        (DataType::Null, most, vec![(most, -1)]),
        (structure.clone(), most, vec![(most, 0), (most, -1)]),
        (structure, 1, vec![(1, 0), (most, most)]),
        (list.clone(), most, vec![(most, 0), (most, -1)]),
        (list, 1, vec![(1, 0), (most, most)]),
    ] {
        assert_eq!(read_rows(&data_type, &nodes, rows), Ok(1), "{data_type} {nodes:?}");
    }
    // Without a bitmap there are no nulls to count.
    let result = read_rows(&DataType::Struct(Fields::empty()), &[(most, -1)], most);
    assert!(matches!(result, Err(ReadError::Message(MessageError::Inconsistent { .. }))), "{result:?}");
}

/// Lists of lists, where each level has many times the values of the level above.
#[test]
fn rows_that_multiply_level_by_level_are_refused() {
    let inner = DataType::FixedSizeList(field(DataType::Null), 1 << 16);
    let outer = DataType::FixedSizeList(field(inner), 1 << 16);
    for innermost in [1_i64 << 32, 5, 0, i64::MAX] {
        let nodes = [(1, 0), (1 << 16, 0), (innermost, 0)];
        let batch = Header::default().batch(1, &nodes, &[(0, 0); 2]);
        let (taken, result) = read(&stream(outer.clone(), &batch), Limits::default());
        assert!(matches!(result, Err(ReadError::Message(_))), "{innermost} values: {result:?}");
        assert_below("four thousand million nulls", taken, 64 * KIB);
    }
}

#[test]
fn wide_values_without_their_bytes_are_refused() {
    for width in [1 << 16, i32::MAX] {
        for rows in [1, 1 << 20, i64::from(i32::MAX)] {
            let batch = Header::with_body(8).batch(rows, &[(rows, 0)], &[(0, 0), (0, 8)]);
            let bytes = [&stream(DataType::FixedSizeBinary(width), &batch)[..], &[0; 8]].concat();
            let (taken, result) = read(&bytes.into(), Limits::default());
            assert!(matches!(result, Err(ReadError::Message(_))), "{rows} of {width}: {result:?}");
            assert_below("eight bytes as wide values", taken, 64 * KIB);
        }
    }
}

#[test]
fn buffers_of_views_that_are_not_there_are_refused() {
    for count in [-1, 1, 1_000_000, i64::MAX] {
        let header = Header { variadic_counts: Some(vec![count]), ..Header::default() };
        let batch = header.batch(0, &[(0, 0)], &[(0, 0); 2]);
        let (taken, result) = read(&stream(DataType::Utf8View, &batch), Limits::default());
        assert!(matches!(result, Err(ReadError::Message(MessageError::Inconsistent { .. }))), "{result:?}");
        assert_below(&format!("{count} buffers"), taken, 64 * KIB);
    }
}

/// As many empty buffers as a header can list.
#[test]
fn empty_buffers_of_views_take_about_what_lists_them() {
    let count = 500_000;
    let header = Header { variadic_counts: Some(vec![count]), ..Header::default() };
    let batch = header.batch(0, &[(0, 0)], &vec![(0, 0); 2 + count as usize]);
    let (taken, result) = read(&stream(DataType::BinaryView, &batch), Limits::default());
    assert_eq!(result, Ok(1));
    assert_below(&format!("{count} buffers in {} KiB", batch.len() / 1024), taken, 8 * batch.len() as u64);
}

/// Returns a stream of views that all refer to all of one text.
fn views_of_one(data_type: DataType, text: i32, views: i64) -> Bytes {
    let view = [text.to_le_bytes(), *b"xxxx", [0; 4], [0; 4]].concat();
    let body = [view.repeat(views as usize), vec![b'x'; text as usize]].concat();
    let header = Header { variadic_counts: Some(vec![1]), ..Header::with_body(body.len() as i64) };
    let buffers = [(0, 0), (0, 16 * views), (16 * views, i64::from(text))];
    let batch = header.batch(views, &[(views, 0)], &buffers);
    [&stream(data_type, &batch)[..], &body].concat().into()
}

/// Views that all refer to all of one long value cost only their own size if they are only passed on.
#[test]
fn views_of_one_long_value_take_their_bytes_once() {
    for (data_type, text, views) in
        [(DataType::BinaryView, 1 << 16, 10_000), (DataType::Utf8View, 1 << 11, 10_000)]
    {
        let bytes = views_of_one(data_type.clone(), text, views);
        let (taken, result) = read(&bytes, Limits::default());
        assert_eq!(result, Ok(1));
        let what = format!("{views} {data_type} of one value of {text} bytes");
        assert_below(&what, taken, 2 * bytes.len() as u64 + 64 * KIB);
    }
}

/// The text of each view is validated: too large a product of views and their lengths is refused.
#[test]
fn views_that_show_far_more_text_than_there_is_are_refused() {
    let bytes = views_of_one(DataType::Utf8View, 1 << 20, 60_000);
    let (_, result) = read(&bytes, Limits::default());
    let Err(ReadError::Message(MessageError::Inconsistent { expected, .. })) = result else {
        panic!("{result:?}")
    };
    assert!(expected.contains("views"), "{expected}");
}

/// Views in a compressed body are validated once it is laid out again, whether or not its nodes are amended.
#[test]
fn compressed_views_that_show_far_more_text_than_there_is_are_refused() {
    let (text, views) = (1 << 20, 60_000_usize);
    let view = [i32::to_le_bytes(text), *b"xxxx", [0; 4], [0; 4]].concat();
    let parts = [vec![0xff; views / 8], view.repeat(views), vec![b'x'; text as usize]];
    let (mut body, mut buffers) = (Vec::new(), Vec::new());
    for part in parts {
        buffers.push((body.len() as i64, 8 + part.len() as i64));
        // This length marks a buffer that is not compressed.
        body.extend((-1_i64).to_le_bytes());
        body.extend(part);
        body.resize(body.len().next_multiple_of(8), 0);
    }
    for nulls in [0, -1] {
        let header = Header {
            variadic_counts: Some(vec![1]),
            compression: Some(CompressionType::LZ4_FRAME),
            ..Header::with_body(body.len() as i64)
        };
        let batch = header.batch(views as i64, &[(views as i64, nulls)], &buffers);
        let bytes = [&stream(DataType::Utf8View, &batch)[..], &body].concat();
        let (_, result) = read(&bytes.into(), Limits::default());
        let Err(ReadError::Message(MessageError::Inconsistent { expected, .. })) = result else {
            panic!("{nulls} nulls: {result:?}")
        };
        assert!(expected.contains("views"), "{nulls} nulls: {expected}");
    }
}

/// One value as the columns of a batch: each would be validated, and copied if misaligned.
#[test]
fn buffers_that_are_the_same_bytes_are_refused() {
    let (columns, len) = (10_000, 64 << 10);
    let fields = |count| (0..count).map(|n| Field::new(format!("{n}"), DataType::Binary, true));
    let body = [&[0, 0, 0, 0], &i32::to_le_bytes(len)[..], &vec![0; len as usize]].concat();
    for (nested, aligned) in [(false, true), (false, false), (true, true), (true, false)] {
        let mut fields: Fields = fields(columns).collect();
        let mut nodes = vec![(1, 0); columns];
        let mut buffers = [(0, 0), (0, 8), (8, i64::from(len))].repeat(columns);
        if nested {
            fields = vec![Field::new("all", DataType::Struct(fields), true)].into();
            nodes.insert(0, (1, 0));
            buffers.insert(0, (0, 0));
        }
        let schema = EncodedSchema::new(Arc::new(arrow_schema::Schema::new(fields))).unwrap();
        let batch = Header::with_body(body.len() as i64).batch(1, &nodes, &buffers);
        let bytes = [&[0; 4], &schema.message()[..], &batch, &body].concat();
        let bytes = Bytes::from(bytes).slice(4..);
        let bytes = if aligned { Bytes::copy_from_slice(&bytes) } else { bytes };
        let (taken, result) = read(&bytes, Limits::default());
        let Err(ReadError::Message(MessageError::Inconsistent { expected, .. })) = result else {
            panic!("nested {nested}, aligned {aligned}: {result:?}")
        };
        assert!(expected.contains("share none"), "{expected}");
        assert_below("64 KiB as ten thousand columns", taken, 16 * MIB);
    }
}

/// Columns of nulls have no bitmap. Arrow makes one to compare them with their parent's.
#[test]
fn nulls_where_none_may_be_are_refused_before_they_are_written_out() {
    let null = |name: &str| Field::new(name, DataType::Null, false);
    let most = i64::from(i32::MAX);
    for nulls in [most, -1] {
        let structure = DataType::Struct(vec![null("child")].into());
        let batch = Header::default().batch(most, &[(most, 0), (most, nulls)], &[(0, 0)]);
        let (taken, result) = read(&stream(structure, &batch), Limits::default());
        assert!(matches!(result, Err(ReadError::Message(MessageError::Inconsistent { .. }))), "{result:?}");
        assert_below("a structure of nulls", taken, 64 * KIB);
    }

    // As many as other columns have bits are compared, and Arrow returns the error.
    let structure = DataType::Struct(vec![null("child")].into());
    let batch = Header::default().batch(1000, &[(1000, 0), (1000, 1000)], &[(0, 0)]);
    let (_, result) = read(&stream(structure, &batch), Limits::default());
    assert!(matches!(result, Err(ReadError::Message(MessageError::Arrow(_)))), "{result:?}");

    let children = (0..120).map(|n| (n, Arc::new(Field::new(format!("{n}"), DataType::Null, true))));
    let union = DataType::Union(children.collect(), UnionMode::Dense);
    let structure = DataType::Struct(vec![Field::new("child", union, false)].into());
    let nodes = [vec![(1, 0), (1, 0)], vec![(1 << 22, 1 << 22); 120]].concat();
    let batch = Header::with_body(16).batch(1, &nodes, &[(0, 0), (0, 1), (8, 4)]);
    let (taken, result) =
        read(&[&stream(structure, &batch)[..], &[0; 16]].concat().into(), Limits::default());
    assert!(matches!(result, Err(ReadError::Message(MessageError::Inconsistent { .. }))), "{result:?}");
    assert_below("a union of many nulls", taken, MIB);
}
