//! The reader on raw bytes: it comes to an end, reads the same in any pieces, and what it lets through is valid and
//! can be sent on.

use crate::support::feed::Cut;
use crate::support::limits;
use arrow_array::{Array, RecordBatch};
use arrow_schema::SchemaRef;
use bytes::Bytes;
use vgi_rpc_protocol::ipc::{
    FramingError, Item, MessageError, Metadata, ReadError, Reader, decode_batch, encode_batch,
};

/// What a reader said.
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

/// What a batch that was let through must bear: a look at every value, and being sent on.
pub(crate) fn check_batch(batch: &RecordBatch, metadata: &Metadata) {
    for column in batch.columns() {
        column.to_data().validate_full().expect("what the reader gives is valid");
    }
    let Ok(sent) = encode_batch(batch, metadata) else { return };
    let (received, with) = decode_batch(sent, &limits()).expect("what was read can be written and read");
    assert_eq!((&received, &with), (batch, metadata), "written and read again");
}

/// Items, and the reader's end: whether it stands between streams, or its error.
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
                    assert!(fatal.get_or_insert(error.clone()) == &error, "a fatal error stays");
                    return;
                }
            });
            // Every message has eight bytes at least, and gives one item at most and one refusal.
            assert!(items.len() <= bytes.len() / 4 + 1, "the items come to an end");
        }
    });
    let at_boundary = reader.is_at_boundary();
    assert_eq!(fatal.is_none() && !at_boundary, fatal.is_none() && reader.truncation().is_some());
    (items, fatal.map_or(Ok(at_boundary), Err))
}
