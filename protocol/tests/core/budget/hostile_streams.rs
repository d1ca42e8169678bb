//! Hostile streams: each is small compared to the memory that a reader would need, or larger than any writer produces.

use super::{KIB, MIB};
use crate::common::batches::{labels_type, row, schema};
use crate::common::messages::{self, COMPRESSIONS, Header, field};
use crate::common::streams::{END_OF_STREAM, growing, many_dictionaries};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, BinaryArray, DictionaryArray, RecordBatch};
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_ipc::{CompressionType, KeyValueArgs};
use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit, UnionFields, UnionMode};
use bytes::Bytes;
use flatbuffers::FlatBufferBuilder;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use vgi_rpc_protocol::ipc::EncodedSchema;

/// A stream with its name.
pub type Hostile = (String, Bytes);

/// All hostile streams.
pub static ALL: LazyLock<Vec<Hostile>> = LazyLock::new(|| {
    let rows = [rows(), logical_nulls(), long_texts()].concat();
    [claims(), schemas(), headers(), rows, compressed(), misplaced(), dictionaries()].concat()
});

/// Returns a complete stream of this schema and these messages.
pub fn stream(schema: &Schema, messages: &[&[u8]]) -> Bytes {
    let opened = EncodedSchema::new(Arc::new(schema.clone())).unwrap();
    [&opened.message()[..], &messages.concat(), &END_OF_STREAM].concat().into()
}

fn column(data_type: DataType) -> Schema {
    Schema::new(vec![Field::new("value", data_type, true)])
}

fn child(data_type: DataType, nullable: bool) -> Arc<Field> {
    Arc::new(Field::new("child", data_type, nullable))
}

/// Returns lengths without data.
fn claims() -> Vec<Hostile> {
    let mut all = Vec::new();
    for len in [MIB, 64 * MIB, 4 << 30] {
        let (len, rows) = (len as i64, len as i64 / 8);
        let batch = Header::with_body(len).batch(rows, &[(rows, 0)], &[(0, 0), (0, len)]);
        let whole = stream(&column(DataType::Int64), &[&batch]);
        all.push((format!("a body of {len} bytes that does not come"), whole.slice(..whole.len() - 8)));
    }
    let header = [&[0xff; 4][..], &(8_u32 << 20).to_le_bytes()].concat();
    all.push(("a header that does not come".into(), header.into()));
    all
}

fn fields_of_one(count: usize, name: &str) -> Bytes {
    let mut builder = FlatBufferBuilder::new();
    let name = builder.create_string(name);
    let own = arrow_ipc::Null::create(&mut builder, &Default::default()).as_union_value();
    let one = arrow_ipc::Field::create(
        &mut builder,
        &arrow_ipc::FieldArgs {
            name: Some(name),
            nullable: true,
            type_type: arrow_ipc::Type::Null,
            type_: Some(own),
            ..Default::default()
        },
    );
    // Makes the header long enough for a reader to believe that it contains many fields.
    builder.create_string(&"x".repeat(12 * count));
    let fields = builder.create_vector(&vec![one; count]);
    messages::schema(builder, fields)
}

fn entries(count: usize, len: usize) -> HashMap<String, String> {
    (0..count).map(|n| (format!("key {n}"), "v".repeat(len))).collect()
}

/// Returns schemas that take more memory than their headers.
pub fn schemas() -> Vec<Hostile> {
    let mut all = Vec::new();
    for count in [500, 5_000, 32_000] {
        all.push((format!("{count} fields of one"), fields_of_one(count, "n")));
        let long = "n".repeat(200);
        all.push((format!("{count} long names of one"), fields_of_one(count, &long)));
    }
    let mut plain = |what: &str, schema: Schema| {
        all.push((what.into(), EncodedSchema::new(Arc::new(schema)).unwrap().message().clone()));
    };
    let many = |count: usize, data_type: DataType| -> Fields {
        (0..count).map(|n| Field::new(format!("{n}"), data_type.clone(), false)).collect()
    };
    let zoned = DataType::Timestamp(TimeUnit::Second, Some("".into()));
    let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    let structure = DataType::Struct(many(2, DataType::Null));
    let list = DataType::List(child(DataType::Null, true));
    for data_type in [DataType::Null, DataType::Int64, zoned, dictionary, structure, list, labels_type()] {
        plain(&format!("8,000 of {data_type}"), Schema::new(many(8_000, data_type)));
    }
    for (count, len) in [(1, 0), (10, 0), (15_000, 0), (40_000, 0), (1, 2 * MIB)] {
        let schema = Schema::empty().with_metadata(entries(count, len));
        plain(&format!("{count} entries of {len} bytes on a schema"), schema);
    }
    for count in [1, 2, 4, 8] {
        let fields = many(4_000, DataType::Null);
        let fields = fields.iter().map(|field| field.as_ref().clone().with_metadata(entries(count, 0)));
        plain(&format!("{count} entries on 4,000 fields"), Schema::new(fields.collect::<Vec<_>>()));
    }
    all.push(("a tree of shared children".into(), shared_tree(14)));
    all.push(("metadata that fields share".into(), shared_metadata(4_000, 200)));
    all
}

/// Returns a schema in which each level has twice the fields of the level above.
fn shared_tree(depth: usize) -> Bytes {
    let mut builder = FlatBufferBuilder::new();
    let mut level = field(&mut builder, arrow_ipc::Type::Null, &[], None);
    for _ in 0..depth {
        level = field(&mut builder, arrow_ipc::Type::Struct_, &[level, level], None);
    }
    builder.create_string(&"x".repeat(512 * KIB));
    let fields = builder.create_vector(&[level]);
    messages::schema(builder, fields)
}

fn shared_metadata(count: usize, len: usize) -> Bytes {
    let mut builder = FlatBufferBuilder::new();
    let key = builder.create_string("key");
    let value = builder.create_string(&"v".repeat(len));
    let entry =
        arrow_ipc::KeyValue::create(&mut builder, &KeyValueArgs { key: Some(key), value: Some(value) });
    let metadata = builder.create_vector(&[entry]);
    let field = field(&mut builder, arrow_ipc::Type::Null, &[], Some(metadata));
    builder.create_string(&"x".repeat(512 * KIB));
    let fields = builder.create_vector(&vec![field; count]);
    messages::schema(builder, fields)
}

/// Returns batches with large headers.
fn headers() -> Vec<Hostile> {
    let mut all = Vec::new();
    let long = Header { metadata: vec![("key".into(), "v".repeat(6 * MIB))], ..Header::default() };
    let structure = DataType::Struct(vec![child(DataType::Null, true)].into());
    all.push((
        "6 MiB of metadata on a flat batch".into(),
        stream(&column(DataType::Null), &[&long.batch(1, &[(1, 1)], &[])]),
    ));
    all.push((
        "6 MiB of metadata on a nested batch".into(),
        stream(&column(structure), &[&long.batch(1, &[(1, 0), (1, 1)], &[(0, 0)])]),
    ));
    let many = (0..1024).map(|n| (format!("key {n}"), "v".repeat(100))).collect();
    let many = Header { metadata: many, ..Header::default() }.batch(0, &[], &[]);
    all.push((
        "as many entries as may be, a hundred times".into(),
        stream(&Schema::empty(), &[&many[..]; 100]),
    ));
    for count in [20_000, 200_000, 500_000_i64] {
        let header = Header { variadic_counts: Some(vec![count]), ..Header::default() };
        let batch = header.batch(0, &[(0, 0)], &vec![(0, 0); 2 + count as usize]);
        all.push((
            format!("{count} empty buffers of views"),
            stream(&column(DataType::BinaryView), &[&batch]),
        ));
    }
    for count in [31, 1_000, 20_000] {
        let fields: Vec<_> = (0..count).map(|n| Field::new(format!("{n}"), DataType::Null, true)).collect();
        let batch = Header::default().batch(1, &vec![(1, 1); count], &[]);
        let flat = Schema::new(fields.clone());
        all.push((format!("{count} flat columns"), stream(&flat, &[&batch[..]; 3])));
        let nodes = [vec![(1, 0)], vec![(1, 1); count]].concat();
        let batch = Header::default().batch(1, &nodes, &[(0, 0)]);
        let nested = column(DataType::Struct(fields.into()));
        all.push((format!("a structure of {count} columns"), stream(&nested, &[&batch[..]; 3])));
    }
    all.push(("nulls against a schema with much metadata".into(), nulls_against(3, 2 * MIB)));
    for name in ["\u{1}", "n"] {
        let long = Field::new(name.repeat(2 * MIB), DataType::Int64, false);
        let structure = DataType::Struct(vec![long].into());
        let batch = Header::with_body(16).batch(1, &[(1, 0), (1, 1)], &[(0, 0), (0, 1), (8, 8)]);
        let bytes = stream(&column(structure), &[&batch, &[0; 16]]);
        all.push((format!("a null under a long name of {name:?}"), bytes));
    }
    all
}

/// Returns batches with a null in a column that is not nullable, with a long schema.
pub fn nulls_against(count: usize, len: usize) -> Bytes {
    let schema = schema([("value", DataType::Int64)]);
    let schema = schema.as_ref().clone().with_metadata(entries(1, len));
    let batch = Header::with_body(16).batch(1, &[(1, 1)], &[(0, 1), (8, 8)]);
    stream(&schema, &[&[&batch[..], &[0; 16]].concat()[..]].repeat(count))
}

/// Returns nulls without a bitmap; Arrow makes one to compare it with the parent's.
fn logical_nulls() -> Vec<Hostile> {
    let mut all = Vec::new();
    let (rows, size) = (1_i64 << 15, 1_i32 << 16);
    let lists = DataType::FixedSizeList(child(DataType::Null, false), size);
    let values = rows * i64::from(size) - 1;
    let bitmap = vec![0; rows as usize / 8];
    let batch = Header::with_body(bitmap.len() as i64);
    let batch = batch.batch(rows, &[(rows, rows), (values + 1, values + 1)], &[(0, bitmap.len() as i64)]);
    all.push(("lists of 2^31 nulls under a bitmap".into(), stream(&column(lists), &[&batch, &bitmap])));

    let children = (0..120).map(|n| (n, Arc::new(Field::new(format!("{n}"), DataType::Null, true))));
    let union = DataType::Union(UnionFields::from_iter(children), UnionMode::Dense);
    let structure = DataType::Struct(vec![child(union, false)].into());
    let each = 1_i64 << 27;
    let nodes = [vec![(1, 0), (1, 0)], vec![(each, each); 120]].concat();
    let batch = Header::with_body(16).batch(1, &nodes, &[(0, 0), (0, 1), (8, 4)]);
    all.push(("a union of 120 times 2^27 nulls".into(), stream(&column(structure), &[&batch, &[0; 16]])));
    all
}

/// Returns valid requests for methods that return their input.
pub fn echoed() -> Vec<(String, &'static str, Bytes)> {
    use super::service::{LARGE, list_type, wide_type};
    use vgi_rpc_protocol::wire::keys;
    let routing = |method: &str| {
        let keys = [(keys::METHOD, method), (keys::PROTOCOL, LARGE), (keys::REQUEST_VERSION, "1")];
        keys.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    let schema = |data_type| Schema::new(vec![Field::new("value", data_type, false)]);
    let mut all = Vec::new();
    for count in [1_000, 40_000, 200_000_i64] {
        let header = Header {
            metadata: routing("views"),
            variadic_counts: Some(vec![count]),
            ..Header::with_body(16)
        };
        let buffers = [&[(0, 0), (0, 16)][..], &vec![(0, 0); count as usize]].concat();
        let batch = header.batch(1, &[(1, 0)], &buffers);
        let bytes = stream(&schema(DataType::BinaryView), &[&batch, &[0; 16]]);
        all.push((format!("{count} buffers of views"), "views", bytes));
    }
    let (nodes, mut buffers) = (vec![(1, 0); 8_001], vec![(0, 0)]);
    buffers.extend((0..8_000).flat_map(|n| [(0, 0), (8 * n, 8)]));
    let header = Header { metadata: routing("wide"), ..Header::with_body(64_000) };
    let batch = header.batch(1, &nodes, &buffers);
    all.push(("8,000 columns".into(), "wide", stream(&schema(wide_type()), &[&batch, &vec![0; 64_000]])));
    for (lists, offset) in [(20_000_i32, 0), (20_000, 1), (200_000, 1)] {
        // One row, which is a list of empty lists; its part of the lists may begin after the first.
        let body = [&i32::to_le_bytes(offset)[..], &lists.to_le_bytes(), &vec![0; 4 * (lists as usize + 1)]]
            .concat();
        let body = [&body[..], &[0; 4][..(8 - body.len() % 8) % 8]].concat();
        let header = Header { metadata: routing("list"), ..Header::with_body(body.len() as i64) };
        let inner = 4 * (i64::from(lists) + 1);
        let nodes = [(1, 0), (i64::from(lists), 0), (0, 0)];
        let batch = header.batch(1, &nodes, &[(0, 0), (0, 8), (0, 0), (8, inner), (0, 0), (0, 0)]);
        all.push((
            format!("{lists} lists from {offset} on"),
            "list",
            stream(&schema(list_type()), &[&batch, &body]),
        ));
    }
    all
}

/// Returns text that an error would show, or that is read many times.
fn long_texts() -> Vec<Hostile> {
    let fields =
        (0..4_000).map(|n| Field::new(format!("{n:0>8}{}", "\u{1}".repeat(100)), DataType::Null, true));
    let mut inner = DataType::Struct(fields.collect());
    for _ in 0..10 {
        inner = DataType::Struct(vec![child(inner, true)].into());
    }
    let nodes = [vec![(0, 0); 12], vec![(0, 0); 4_000]].concat();
    let batch =
        Header::with_body(8).batch(1, &nodes, &[[(0, 0), (0, 4)].to_vec(), vec![(0, 0); 11]].concat());
    let list = column(DataType::List(child(inner, true)));
    let mut all = vec![("a list of long names with one offset".into(), stream(&list, &[&batch, &[0; 8]]))];
    for count in [1_000, 16_000] {
        all.push((format!("{count} views of {count} times 16 bytes"), views_of_one(count, 16 * count)));
    }
    all
}

/// Returns this many views, all of which refer to all of one text of `len` bytes.
pub fn views_of_one(count: usize, len: usize) -> Bytes {
    let view = [&(len as u32).to_le_bytes()[..], b"xxxx", &[0; 8]].concat();
    let body = [view.repeat(count), vec![b'x'; len]].concat();
    let header = Header { variadic_counts: Some(vec![1]), ..Header::with_body(body.len() as i64) };
    let at = 16 * count as i64;
    let batch = header.batch(count as i64, &[(count as i64, 0)], &[(0, 0), (0, at), (at, len as i64)]);
    stream(&column(DataType::Utf8View), &[&batch, &body])
}

/// Returns rows without bytes.
fn rows() -> Vec<Hostile> {
    let most = i64::from(i32::MAX);
    let null = |nullable| child(DataType::Null, nullable);
    let mut all = Vec::new();
    for nullable in [true, false] {
        let structure = DataType::Struct(vec![null(nullable)].into());
        let ends = child(DataType::Int32, false);
        let runs = DataType::RunEndEncoded(ends, child(DataType::Int8, true));
        let of_runs = DataType::Struct(vec![child(runs, nullable)].into());
        let types = [
            (structure.clone(), vec![(most, 0), (most, most)], vec![(0, 0)], vec![]),
            (DataType::FixedSizeList(null(nullable), 1), vec![(most, 0), (most, most)], vec![(0, 0)], vec![]),
            (
                DataType::List(null(nullable)),
                vec![(1, 0), (most, most)],
                vec![(0, 0), (0, 8)],
                [0_i32.to_le_bytes(), i32::MAX.to_le_bytes()].concat(),
            ),
            (
                DataType::FixedSizeList(child(structure, nullable), 1),
                vec![(most, 0), (most, 0), (most, most)],
                vec![(0, 0), (0, 0)],
                vec![],
            ),
            (
                of_runs,
                vec![(most, 0), (most, 0), (1, 0), (1, 1)],
                vec![(0, 0), (0, 0), (0, 4), (8, 1), (16, 1)],
                [&i32::MAX.to_le_bytes()[..], &[0; 20]].concat(),
            ),
        ];
        for (data_type, nodes, buffers, body) in types {
            let batch = Header::with_body(body.len() as i64).batch(nodes[0].0, &nodes, &buffers);
            let name = format!("2^31 rows of {data_type}, nullable: {nullable}");
            all.push((name, stream(&column(data_type), &[&batch, &body])));
        }
    }
    all
}

pub fn write_compressed(batches: &[RecordBatch], codec: CompressionType) -> Bytes {
    let options = IpcWriteOptions::default().try_with_compression(Some(codec)).unwrap();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batches[0].schema(), options).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    writer.into_inner().unwrap().into()
}

pub fn zeros(len: usize) -> ArrayRef {
    Arc::new(BinaryArray::from_vec(vec![&vec![0; len]]))
}

/// Returns buffers that expand.
fn compressed() -> Vec<Hostile> {
    let mut all = Vec::new();
    for &codec in COMPRESSIONS {
        for len in [512 * KIB, 8 * MIB, 64 * MIB] {
            let name = |what: &str| format!("{} KiB as {what} of {codec:?}", len / KIB);
            all.push((name("a value"), write_compressed(&[row([("value", zeros(len))])], codec)));
            let value = "0".repeat(len);
            let column: DictionaryArray<Int32Type> = [&*value].into_iter().collect();
            let batch = RecordBatch::try_from_iter([("value", Arc::new(column) as ArrayRef)]).unwrap();
            all.push((name("a dictionary"), write_compressed(&[batch], codec)));
            let columns = (0..16).map(|n| (format!("{n}"), zeros(len / 16)));
            let batch = RecordBatch::try_from_iter(columns).unwrap();
            all.push((name("sixteen values"), write_compressed(&[batch], codec)));
        }
        let views = (0..20_000).map(|_| "a value that is too long to be in the view itself");
        let column: ArrayRef = Arc::new(arrow_array::StringViewArray::from_iter_values(views));
        let batch = RecordBatch::try_from_iter([("value", column)]).unwrap();
        all.push((format!("views of {codec:?}"), write_compressed(&[batch], codec)));
    }
    for count in [20_000, 200_000_i64] {
        all.push((format!("{count} empty buffers, compressed"), empty_compressed_views(count)));
    }
    for (first, second) in [(4, 7), (7, 4), (7, 7)] {
        all.push((format!("LZ4 frames of block sizes {first} and {second}"), two_frames(first, second)));
    }
    all
}

/// Returns a stream of one binary value in two LZ4 frames, each with four bytes and its own block size.
pub fn two_frames(first: u8, second: u8) -> Bytes {
    use lz4_flex::frame::{BlockSize, FrameEncoder, FrameInfo};
    use std::io::Write;
    let frame = |size: u8| {
        let size = [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB]
            [usize::from(size - 4)];
        let mut encoder = FrameEncoder::with_frame_info(FrameInfo::new().block_size(size), Vec::new());
        encoder.write_all(&[0, 8, 0, 0]).unwrap();
        encoder.finish().unwrap()
    };
    let value = [&8_i64.to_le_bytes()[..], &frame(first), &frame(second)].concat();
    let mut body = [&(-1_i64).to_le_bytes()[..], &0_i32.to_le_bytes(), &8_i32.to_le_bytes()].concat();
    body.extend_from_slice(&value);
    let header =
        Header { compression: Some(CompressionType::LZ4_FRAME), ..Header::with_body(body.len() as i64) };
    let header = header.batch(1, &[(1, 0)], &[(0, 0), (0, 16), (16, value.len() as i64)]);
    stream(&column(DataType::Binary), &[&header, &body])
}

fn empty_compressed_views(count: i64) -> Bytes {
    let header = Header {
        variadic_counts: Some(vec![count]),
        compression: Some(CompressionType::LZ4_FRAME),
        ..Header::default()
    };
    let batch = header.batch(0, &[(0, 0)], &vec![(0, 0); 2 + count as usize]);
    stream(&column(DataType::BinaryView), &[&batch])
}

/// Returns many buffers that are the same misaligned bytes.
fn misplaced() -> Vec<Hostile> {
    let mut all = Vec::new();
    for count in [100, 2_000] {
        for nested in [false, true] {
            let bytes = one_body_many_times(count, 16 * KIB, nested);
            let mut moved = vec![0; 4];
            moved.extend_from_slice(&bytes);
            let name = format!("16 KiB as {count} columns, nested: {nested}");
            all.push((name, Bytes::from(moved).slice(4..)));
        }
    }
    all
}

/// Returns a batch of columns that all use one body for their values.
pub fn one_body_many_times(count: usize, len: usize, nested: bool) -> Bytes {
    let fields: Vec<_> = (0..count).map(|n| Field::new(format!("{n}"), DataType::Int64, true)).collect();
    let rows = len as i64 / 8;
    let mut nodes = vec![(rows, 0); count];
    let mut buffers = [(0, 0), (0, len as i64)].repeat(count);
    let mut schema = Schema::new(fields);
    if nested {
        nodes.insert(0, (rows, 0));
        buffers.insert(0, (0, 0));
        schema = column(DataType::Struct(schema.fields().clone()));
    }
    let batch = Header::with_body(len as i64).batch(rows, &nodes, &buffers);
    stream(&schema, &[&batch, &vec![0; len]])
}

fn dictionaries() -> Vec<Hostile> {
    vec![
        ("a dictionary that grows".into(), growing(60, 20_000)),
        ("2,000 small dictionaries".into(), many_dictionaries(2_000, 1)),
        ("100 dictionaries of 50 KB".into(), many_dictionaries(100, 50_000)),
    ]
}
