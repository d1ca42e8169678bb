//! Headers that expand: parts of a flatbuffer may be shared, so that a few bytes are decoded many times.

use super::*;
use crate::common::messages::{Header, field, message, schema};
use arrow_ipc::{KeyValueArgs, MessageHeader, RecordBatchBuilder};
use flatbuffers::FlatBufferBuilder;
use vgi_rpc_protocol::ipc::{EncodedSchema, MessageError};

/// Returns a schema whose fields are all the same bytes.
fn schema_of_one_field_many_times(count: usize) -> Bytes {
    let mut builder = FlatBufferBuilder::new();
    let field = field(&mut builder, arrow_ipc::Type::Null, &[], None);
    let fields = builder.create_vector(&vec![field; count]);
    schema(builder, fields)
}

#[test]
fn a_schema_of_a_million_fields_is_refused() {
    for count in [40_000, 1_000_000, 2_000_000] {
        let bytes = schema_of_one_field_many_times(count);
        let (taken, result) = read(&bytes, Limits::default());
        assert!(matches!(result, Err(ReadError::Message(_))), "{result:?}");
        assert_below(
            &format!("{count} fields in {} KiB", bytes.len() / 1024),
            taken,
            4 * bytes.len() as u64 + MIB,
        );
    }
}

#[test]
fn as_many_fields_as_the_limit_are_read() {
    let field = |n| arrow_schema::Field::new(format!("{n}"), arrow_schema::DataType::Null, true);
    let fields = |count| (0..count).map(field).collect::<arrow_schema::Fields>();
    let schema = |count| Header::default().schema(&arrow_schema::Schema::new(fields(count)));
    let most = Limits::default().max_schema_fields;
    let (taken, result) = read(&schema(most), Limits::default());
    assert_eq!(result, Ok(0));
    assert_below(&format!("as many fields as may be, in {} KiB", schema(most).len() / 1024), taken, 32 * MIB);
    let (taken, result) = read(&schema(most + 1), Limits::default());
    assert!(matches!(result, Err(ReadError::Message(MessageError::OverLimit { .. }))), "{result:?}");
    assert_below("one field too many", taken, 32 * MIB);
}

/// Each level has twice the fields of the level above: counting them one by one takes two to the power of the depth.
#[test]
fn a_tree_of_shared_children_is_refused() {
    for depth in [15, 20, 30] {
        let mut builder = FlatBufferBuilder::new();
        let mut level = field(&mut builder, arrow_ipc::Type::Null, &[], None);
        for _ in 0..depth {
            level = field(&mut builder, arrow_ipc::Type::Struct_, &[level, level], None);
        }
        let fields = builder.create_vector(&[level]);
        let bytes = schema(builder, fields);
        let (taken, result) = read(&bytes, Limits::default());
        assert!(matches!(result, Err(ReadError::Message(_))), "{result:?}");
        assert_below(&format!("a tree of depth {depth} in {} bytes", bytes.len()), taken, 8 * MIB);
    }
}

#[test]
fn nesting_without_end_is_refused() {
    for depth in [33, 64, 1000, 50_000] {
        let mut builder = FlatBufferBuilder::new();
        let mut level = field(&mut builder, arrow_ipc::Type::Null, &[], None);
        for _ in 1..depth {
            level = field(&mut builder, arrow_ipc::Type::Struct_, &[level], None);
        }
        let fields = builder.create_vector(&[level]);
        let bytes = schema(builder, fields);
        let (taken, result) = read(&bytes, Limits::default());
        assert!(matches!(result, Err(ReadError::Message(_))), "{result:?}");
        assert_below(
            &format!("{depth} levels in {} bytes", bytes.len()),
            taken,
            4 * bytes.len() as u64 + MIB,
        );
    }
}

/// Metadata that many fields share is decoded once per field.
#[test]
fn shared_metadata_of_fields_does_not_multiply() {
    let mut builder = FlatBufferBuilder::new();
    let key = builder.create_string("key");
    let value = builder.create_string(&"v".repeat(100_000));
    let entry =
        arrow_ipc::KeyValue::create(&mut builder, &KeyValueArgs { key: Some(key), value: Some(value) });
    let metadata = builder.create_vector(&[entry]);
    let field = field(&mut builder, arrow_ipc::Type::Null, &[], Some(metadata));
    let fields = builder.create_vector(&vec![field; 10_000]);
    let bytes = schema(builder, fields);
    let (taken, result) = read(&bytes, Limits::default());
    assert!(matches!(result, Err(ReadError::Message(_))), "{result:?}");
    assert_below(&format!("a gigabyte in {} KiB", bytes.len() / 1024), taken, 8 * MIB);
}

fn batch_with_one_entry_many_times(count: usize) -> Bytes {
    let mut builder = FlatBufferBuilder::new();
    let text = builder.create_string(&"k".repeat(1000));
    let entry =
        arrow_ipc::KeyValue::create(&mut builder, &KeyValueArgs { key: Some(text), value: Some(text) });
    let entries = builder.create_vector(&vec![entry; count]);
    let (nodes, buffers) =
        (builder.create_vector::<arrow_ipc::FieldNode>(&[]), builder.create_vector::<arrow_ipc::Buffer>(&[]));
    let mut batch = RecordBatchBuilder::new(&mut builder);
    batch.add_nodes(nodes);
    batch.add_buffers(buffers);
    let batch = batch.finish().as_union_value();
    let batch = message(builder, MessageHeader::RecordBatch, batch, Some(entries));
    [&EncodedSchema::empty().message()[..], &batch].concat().into()
}

#[test]
fn metadata_of_a_million_keys_is_refused() {
    let bytes = batch_with_one_entry_many_times(1_000_000);
    let (taken, result) = read(&bytes, Limits::default());
    let over = matches!(result, Err(ReadError::Message(MessageError::OverLimit { got: 1_000_000, .. })));
    assert!(over, "{result:?}");
    assert_below("a million keys", taken, bytes.len() as u64 + MIB);
}

#[test]
fn a_value_that_entries_share_is_held_once() {
    let bytes = batch_with_one_entry_many_times(Limits::default().max_metadata_entries);
    let (taken, result) = read(&bytes, Limits::default());
    assert_eq!(result, Ok(1));
    assert_below("a megabyte of keys and values", taken, 64 * KIB);
}
