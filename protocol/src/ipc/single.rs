//! One batch as a complete IPC stream in memory, as for a record in a `binary` column. WIRE_PROTOCOL 4.

use super::encoder::BatchEncoder;
use super::error::{MessageError, ReadError};
use super::metadata::Metadata;
use super::outbox::Outbox;
use super::reader::{Item, Reader};
use super::schema::EncodedSchema;
use crate::Limits;
use crate::memory::Account;
use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use bytes::{Buf, Bytes};

/// Encodes a stream of schema, one batch with metadata, and end marker.
///
/// # Errors
/// If the format cannot express the batch's schema.
pub fn encode_batch(batch: &RecordBatch, metadata: &Metadata) -> Result<Bytes, ArrowError> {
    let schema = EncodedSchema::new(batch.schema())?;
    let (mut encoder, mut outbox) = (BatchEncoder::default(), Outbox::default());
    encoder.open(&schema, &mut outbox);
    encoder.write(batch, metadata, &mut outbox)?;
    encoder.close(&mut outbox);
    Ok(outbox.copy_to_bytes(outbox.len()))
}

/// Decodes a framed schema message as returned by [`EncodedSchema::message`].
///
/// # Errors
/// If the bytes are not such a message within the limits.
pub fn decode_schema(message: Bytes, limits: &Limits) -> Result<SchemaRef, ReadError> {
    let mut reader = Reader::new(limits.clone());
    reader.receive(message);
    match reader.next_item()? {
        Some(Item::Schema(schema)) => Ok(schema.schema().clone()),
        Some(_) => {
            let (expected, got) = ("a schema", "another message");
            Err(MessageError::Unexpected { expected, got }.into())
        }
        None => Err(super::FramingError::CutShort { what: "the schema message" }.into()),
    }
}

/// Decodes the first batch of a stream, and its metadata. The batch's columns share `bytes`.
///
/// # Errors
/// If the bytes are not a valid stream within the limits, or contain no batch.
pub fn decode_batch(bytes: Bytes, limits: &Limits) -> Result<(RecordBatch, Metadata), ReadError> {
    decode_batch_with(bytes, limits, &Account::default())
}

/// As [`decode_batch`], with decompressed data reserved in an account.
pub(crate) fn decode_batch_with(
    bytes: Bytes,
    limits: &Limits,
    account: &Account,
) -> Result<(RecordBatch, Metadata), ReadError> {
    let mut reader = Reader::with_account(limits.clone(), account.clone());
    reader.receive(bytes);
    loop {
        match reader.next_item()? {
            Some(Item::Schema(_)) => {}
            Some(Item::Batch(batch, metadata)) => return Ok((batch, metadata)),
            Some(Item::EndOfStream) => {
                let (expected, got) = ("a record batch", "the end of the stream");
                return Err(MessageError::Unexpected { expected, got }.into());
            }
            None => return Err(super::FramingError::CutShort { what: "the Arrow IPC stream" }.into()),
        }
    }
}
