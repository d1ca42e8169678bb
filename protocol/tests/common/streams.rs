//! IPC streams made by hand, and read back item by item.

use arrow_array::RecordBatch;
use bytes::{Buf, Bytes};
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::ipc::{BatchEncoder, EncodedSchema, Item, Metadata, Outbox, ReadError, Reader};

pub const END_OF_STREAM: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// A stream of these batches, complete with its end.
pub fn stream_of(batches: &[(RecordBatch, Metadata)]) -> Bytes {
    let mut bytes = open_stream_of(batches).to_vec();
    bytes.extend_from_slice(&END_OF_STREAM);
    bytes.into()
}

/// A stream of these batches without its end.
pub fn open_stream_of(batches: &[(RecordBatch, Metadata)]) -> Bytes {
    let schema = EncodedSchema::new(batches[0].0.schema()).unwrap();
    let (mut encoder, mut outbox) = (BatchEncoder::default(), Outbox::default());
    encoder.open(&schema, &mut outbox);
    for (batch, metadata) in batches {
        encoder.write(batch, metadata, &mut outbox).unwrap();
    }
    outbox.copy_to_bytes(outbox.len())
}

/// All batches of all streams, which must be complete.
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

/// All items of all streams, which must be complete.
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

/// Where each message ends, end markers included.
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

/// The body's length in a header: the fourth field of its root table. The rest is not looked at, because metadata need not
/// be text.
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
