//! Tests of pointers, objects and their resolution, in memory.

mod externalising;
mod pointers;
mod resolving;
mod wrong_objects;

use super::*;
use crate::Limits;
use crate::content_coding::{CodecSettings, Codecs, Coding};
use crate::ipc::{BatchEncoder, EncodedSchema, Metadata, Outbox};
use crate::memory::Account;
use crate::wire::keys;
use crate::wire::log::LogMessage;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use bytes::{Buf, Bytes};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::Duration;

const URL: &str = "https://user:s3cr3t@h.example/object?signature=s3cr3t";

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, false),
        Field::new("text", DataType::Utf8, true),
    ]))
}

fn batch(rows: usize) -> RecordBatch {
    let texts = (0..rows).map(|n| (n % 7 > 0).then(|| format!("row {n}")));
    let columns: [ArrayRef; 2] = [
        Arc::new(Int64Array::from_iter_values((0..rows).map(|n| n as i64))),
        Arc::new(texts.collect::<StringArray>()),
    ];
    RecordBatch::try_new(schema(), columns.into()).unwrap()
}

fn log(text: &str) -> Metadata {
    LogMessage::info(text).to_metadata("server-1", Some("request-1"))
}

/// Returns a stream of batches with their metadata.
fn stream(schema: &SchemaRef, batches: &[(RecordBatch, Metadata)], ends: bool) -> Bytes {
    let (mut encoder, mut outbox) = (BatchEncoder::default(), Outbox::default());
    encoder.open(&EncodedSchema::new(schema.clone()).unwrap(), &mut outbox);
    for (batch, metadata) in batches {
        encoder.write(batch, metadata, &mut outbox).unwrap();
    }
    if ends {
        encoder.close(&mut outbox);
    }
    outbox.copy_to_bytes(outbox.len())
}

fn own_metadata() -> Metadata {
    [("application", "x"), (keys::STREAM_STATE, "cursor")].into_iter().collect()
}

/// Returns an object of a turn with two logs.
fn object(rows: usize) -> Bytes {
    let empty = RecordBatch::new_empty(schema());
    let batches = [(empty.clone(), log("one")), (empty, log("two")), (batch(rows), own_metadata())];
    stream(&schema(), &batches, true)
}

fn digest_of(object: &[u8]) -> Digest {
    Digest(Sha256::digest(object).into())
}

fn pointer(object: Option<&[u8]>) -> Pointer {
    Pointer { location: Location::parse(URL).unwrap(), sha256: object.map(digest_of) }
}

fn resolution(pointer: Pointer, account: &Account, object_limits: ObjectLimits) -> Resolution {
    Resolution::new(pointer, schema(), &Limits::default(), account, object_limits)
}

/// Resolves an object that arrives in pieces of this size.
fn resolve(
    resolution: &mut Resolution,
    coding: Option<&str>,
    object: &[u8],
    piece: usize,
) -> Result<Resolved, ResolveError> {
    resolution.begin(coding)?;
    for piece in object.chunks(piece) {
        resolution.receive(Bytes::copy_from_slice(piece))?;
    }
    resolution.finish(Duration::from_micros(42_345))
}

fn coded(coding: Coding, object: &Bytes) -> Vec<u8> {
    let codecs = Codecs::new(CodecSettings::default());
    codecs.encode(coding, std::slice::from_ref(object)).expect("an object that shrinks")
}
