//! Handmade IPC streams, and their items.

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow_ipc::writer::{DictionaryHandling, IpcWriteOptions, StreamWriter};
use bytes::{Buf, Bytes};
use std::sync::Arc;
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::ipc::{
    BatchEncoder, EncodedSchema, Item, Metadata, Outbox, ReadError, Reader, encode_batch,
};

pub const END_OF_STREAM: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// Returns a complete stream of these batches.
pub fn stream_of(batches: &[(RecordBatch, Metadata)]) -> Bytes {
    let mut bytes = open_stream_of(batches).to_vec();
    bytes.extend_from_slice(&END_OF_STREAM);
    bytes.into()
}

/// Returns a stream of these batches without its end.
pub fn open_stream_of(batches: &[(RecordBatch, Metadata)]) -> Bytes {
    let schema = EncodedSchema::new(batches[0].0.schema()).unwrap();
    let (mut encoder, mut outbox) = (BatchEncoder::default(), Outbox::default());
    encoder.open(&schema, &mut outbox);
    for (batch, metadata) in batches {
        encoder.write(batch, metadata, &mut outbox).unwrap();
    }
    outbox.copy_to_bytes(outbox.len())
}

/// Returns all batches of all streams, which must be complete.
pub fn batches_of(bytes: &Bytes) -> Vec<(RecordBatch, Metadata)> {
    let items = items_of(bytes, &Limits::default()).unwrap();
    items
        .into_iter()
        .filter_map(|item| match item {
            Item::Batch(batch, metadata) => Some((batch, metadata)),
            Item::Schema(_) | Item::EndOfStream => None,
        })
        .collect()
}

/// Returns all items of all streams, which must be complete.
pub fn items_of(bytes: &Bytes, limits: &Limits) -> Result<Vec<Item>, ReadError> {
    let mut reader = Reader::new(limits.clone());
    reader.receive(bytes.clone());
    let mut items = Vec::new();
    while let Some(item) = reader.next_item()? {
        items.push(item);
    }
    assert!(reader.is_at_boundary(), "the streams are complete");
    Ok(items)
}

/// Returns the end of each message, including end markers.
pub fn message_ends(bytes: &Bytes) -> Vec<usize> {
    let (mut at, mut ends) = (0, Vec::new());
    while at < bytes.len() {
        let len = number::<4>(bytes, at + 4) as usize;
        at += 8 + len;
        if len > 0 {
            at += body_len(&bytes[at - len..at]);
        }
        ends.push(at);
    }
    ends
}

/// Returns the body length from a header, the fourth field of its root table. Skips the rest: metadata need not be text.
fn body_len(header: &[u8]) -> usize {
    let root = number::<4>(header, 0) as usize;
    let back = number::<4>(header, root) as u32 as i32;
    let vtable = (root as i64 - i64::from(back)) as usize;
    let is_there = number::<2>(header, vtable) >= 12;
    match is_there.then(|| number::<2>(header, vtable + 10) as usize) {
        None | Some(0) => 0,
        Some(field) => number::<8>(header, root + field) as usize,
    }
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + N].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Returns batches whose dictionary grows by one value of `len` bytes each time.
pub fn growing(count: usize, len: usize) -> Bytes {
    let values: Vec<String> = (0..count).map(|n| format!("{n:0len$}")).collect();
    let batch = |n: usize| {
        let values = StringArray::from_iter_values(&values[..=n]);
        let keys = Int32Array::from(vec![n as i32]);
        let column: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(values)));
        RecordBatch::try_from_iter([("value", column)]).unwrap()
    };
    let options = IpcWriteOptions::default().with_dictionary_handling(DictionaryHandling::Delta);
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch(0).schema(), options).unwrap();
    (0..count).for_each(|n| writer.write(&batch(n)).unwrap());
    writer.finish().unwrap();
    writer.into_inner().unwrap().into()
}

/// Returns a batch of this many columns, each with its own dictionary of one value of `len` bytes.
pub fn many_dictionaries(count: usize, len: usize) -> Bytes {
    let value = "0".repeat(len);
    let columns = (0..count).map(|n| {
        let column: DictionaryArray<Int32Type> = [&*value].into_iter().collect();
        (format!("c{n}"), Arc::new(column) as ArrayRef)
    });
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    encode_batch(&batch, &Default::default()).unwrap()
}
