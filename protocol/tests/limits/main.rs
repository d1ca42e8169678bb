//! Oversized, damaged or false input: a typed error, a connection that remains usable if possible, and no panic.
//! A test binary of its own: `tests/run` also runs it without most features.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

mod answers;
mod compression;
mod damage;
mod decisions;
mod dictionaries;
mod false_claims;
mod null_slots;
mod requests;
mod streams;
mod two_ways;

use arrow_array::{Array, RecordBatch};
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_ipc::{CompressionType, MessageHeader, MetadataVersion};
use arrow_schema::{DataType, Field, Fields, Schema};
use bytes::Bytes;
use common::batches::*;
use common::columns;
use common::driver::*;
use common::messages::{COMPRESSIONS, Header, framed};
use common::scenarios::{self, *};
use common::service::{MAIN, responder};
use common::streams::{END_OF_STREAM, batches_of, message_ends, stream_of};
use common::transcript::Told;
use std::sync::Arc;
use vgi_rpc_protocol::client;
use vgi_rpc_protocol::ipc::{
    EncodedSchema, FramingError, Item, MessageError, Metadata, ReadError, Reader, decode_batch, encode_batch,
};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::keys;
use vgi_rpc_protocol::{ConnectionError, Limits};

fn limits(set: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    set(&mut limits);
    limits
}

/// Returns a pair whose server has these limits.
fn server_with(set: impl FnOnce(&mut Limits)) -> Pair {
    Pair::with_limits(Limits::default(), limits(set))
}

fn client_with(set: impl FnOnce(&mut Limits)) -> Pair {
    Pair::with_limits(limits(set), Limits::default())
}

/// Checks that the call fails with an error that names the limit, and that the next one works.
#[track_caller]
fn assert_over_limit(pair: &mut Pair, command: Command, says: &str) {
    let turn = pair.play(command);
    let [.., Told::Failed(error), Told::Finished] = &turn.told[..] else { panic!("{:?}", turn.told) };
    assert!(error.message().contains("limit exceeded"), "{error}");
    assert!(error.message().contains(says), "{says:?} in {error}");
    assert_eq!(turn.rest, Rest::NeedCommand);
    pair.assert_usable();
}

fn deep(depth: usize) -> arrow_array::ArrayRef {
    let mut column = int(1);
    for _ in 1..depth {
        let field = Field::new("inner", column.data_type().clone(), false);
        column = Arc::new(arrow_array::StructArray::new(Fields::from(vec![field]), vec![column], None));
    }
    column
}

fn many_columns(count: usize) -> RecordBatch {
    let fields: Vec<_> = (0..count).map(|n| Field::new(format!("c{n}"), DataType::Int64, false)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![int(1); count]).unwrap()
}

/// Returns no compression and each supported one.
fn codecs() -> impl Iterator<Item = Option<CompressionType>> {
    [None].into_iter().chain(COMPRESSIONS.iter().copied().map(Some))
}

fn compressed(batch: &RecordBatch, codec: CompressionType) -> Bytes {
    let options = IpcWriteOptions::default().try_with_compression(Some(codec)).unwrap();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap().into()
}
