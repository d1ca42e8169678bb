//! Conversations between the client's and the server's machine, in memory.

mod abandon;
mod between_calls;
mod built_ins;
mod connections;
mod end_of_input;
mod exchanges;
mod misuse;
mod producers;
mod refusals;
mod unary;

use crate::common::batches::*;
use crate::common::driver::*;
use crate::common::feed::drain;
use crate::common::replay::{Seen, config};
use crate::common::scenarios::{self, *};
use crate::common::service::*;
use crate::common::streams::{END_OF_STREAM, batches_of, message_ends, open_stream_of, stream_of};
use crate::common::transcript::Told;
use arrow_array::cast::AsArray;
use arrow_array::{Array, BinaryArray, RecordBatch};
use arrow_schema::DataType;
use bytes::Bytes;
use std::sync::Arc;
use vgi_rpc_protocol::client::CallKind;
use vgi_rpc_protocol::ipc::{EncodedSchema, FramingError, Metadata, encode_batch};
use vgi_rpc_protocol::reflection::{self, ProtocolList, ServiceDescription};
use vgi_rpc_protocol::server::InputStream;
use vgi_rpc_protocol::service::{
    Method, MethodKind, Peer, Protocol, Responder, Service, StreamKind, TransportKind,
};
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::detail::{Detail, PreconditionFailure, RetryInfo};
use vgi_rpc_protocol::wire::error::{RpcError, kind};
use vgi_rpc_protocol::wire::keys;
use vgi_rpc_protocol::wire::log::LogMessage;
use vgi_rpc_protocol::{CommandError, ConnectionError, IdSource, Limits, Next, client, server};

/// Plays a script, after which both sides must be idle. Returns the client's events.
fn play(script: Vec<Command>) -> Vec<String> {
    let conversation = converse(script);
    assert!(conversation.idle, "the last call has ended");
    conversation.lines()
}

/// Plays a script whose only call fails before any other event. Returns its error.
fn refused(script: Vec<Command>) -> RpcError {
    let conversation = converse(script);
    assert!(conversation.idle, "the last call has ended");
    let told: Vec<_> = conversation.told().collect();
    assert!(matches!(told[..], [Told::Failed(_), Told::Finished]), "{told:?}");
    conversation.error().clone()
}

/// Checks type, code and kind of an error, and that its message contains these parts.
#[track_caller]
fn assert_error(error: &RpcError, error_type: &str, code: Code, kind: Option<&str>, says: &[&str]) {
    assert_eq!((error.error_type(), error.code(), error.kind()), (error_type, code, kind), "{error:?}");
    for part in says {
        assert!(error.message().contains(part), "{:?} in {:?}", part, error.message());
    }
}

/// Checks that the command was refused as misuse.
#[track_caller]
fn assert_misuse(result: Result<(), CommandError>) {
    assert!(matches!(result, Err(CommandError::Misuse { .. })), "{result:?}");
}
