//! The reader on raw bytes: it terminates, gives the same result for any pieces, and its output is valid and can be sent
//! on.

use crate::support::feed::Cut;
use crate::support::limits;
use arrow_array::{Array, RecordBatch};
use arrow_schema::SchemaRef;
use bytes::Bytes;
use vgi_rpc_protocol::ipc::{
    FramingError, Item, MessageError, Metadata, ReadError, Reader, decode_batch, encode_batch,
};

/// An output of a reader.
#[derive(Debug, PartialEq)]
enum Read {
    Schema(SchemaRef),
    Batch(RecordBatch, Metadata),
    End,
    Refused(MessageError),
}

/// Reads `data`, whole and in pieces.
pub fn run(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let whole = read(&bytes, Cut::Whole);
    let pieces = read(&bytes, Cut::of(data));
    assert_eq!(whole, pieces, "whole and in pieces");
    for read in whole.0 {
        if let Read::Batch(batch, metadata) = read {
            check_batch(&batch, &metadata);
        }
    }
}

/// Checks an accepted batch: every value is valid, and it can be sent on.
pub(crate) fn check_batch(batch: &RecordBatch, metadata: &Metadata) {
    for column in batch.columns() {
        column.to_data().validate_full().expect("what the reader gives is valid");
    }
    let Ok(sent) = encode_batch(batch, metadata) else { return };
    let (received, with) = decode_batch(sent, &limits()).expect("what was read can be written and read");
    assert_eq!((&received, &with), (batch, metadata), "written and read again");
}

/// Returns the items, and the reader's end: whether it is between streams, or its error.
fn read(bytes: &Bytes, cut: Cut) -> (Vec<Read>, Result<bool, FramingError>) {
    let mut reader = Reader::new(limits());
    let (mut items, mut fatal) = (Vec::new(), None);
    cut.feed(&mut reader, bytes, |reader| {
        loop {
            items.push(match reader.next_item() {
                Ok(None) => return,
                Ok(Some(Item::Schema(schema))) => Read::Schema(schema.schema().clone()),
                Ok(Some(Item::Batch(batch, metadata))) => Read::Batch(batch, metadata),
                Ok(Some(Item::EndOfStream)) => Read::End,
                Err(ReadError::Message(error)) => Read::Refused(error),
                Err(ReadError::Framing(error)) => {
                    assert!(fatal.get_or_insert(error.clone()) == &error, "a fatal error is final");
                    return;
                }
            });
            // Every message has at least eight bytes, and results in at most one item and one refusal.
            assert!(items.len() <= bytes.len() / 4 + 1, "the items end");
        }
    });
    let at_boundary = reader.is_at_boundary();
    assert_eq!(fatal.is_none() && !at_boundary, fatal.is_none() && reader.truncation().is_some());
    (items, fatal.map_or(Ok(at_boundary), Err))
}
