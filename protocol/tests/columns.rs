//! The time of a call is linear in its columns: eight times the columns take about eight times the time. Comparing each name
//! with each would take 64 times. A test program of its own: it measures time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::disallowed_methods, reason = "time is measured here")]

#[path = "common/mod.rs"]
mod common;

use arrow_array::{ArrayRef, Int32Array, RecordBatch, StructArray};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use bytes::Buf;
use common::batches::no_columns;
use common::driver::{Command, Rest, lines, listen, serve};
use common::transcript::Told;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};
use vgi_rpc_protocol::client::{CallKind, Connection};
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::service::{
    Exchange, Method, MethodSpec, Peer, Protocol, Responder, Service, Stream, TransportKind, Turn,
};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::{IdSource, Limits};

/// Columns of the smaller call: enough for names to outweigh the fixed cost of a call.
const FEW: usize = 3000;
const TIMES: usize = 8;

fn fields(names: impl Iterator<Item = usize>) -> Fields {
    names.map(|name| Field::new(format!("column {name:06}"), DataType::Int32, false)).collect()
}

fn batch(schema: SchemaRef) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let columns = vec![column; schema.fields().len()];
    RecordBatch::try_new(schema, columns).unwrap()
}

/// Returns a batch of one column: a struct of these fields.
fn parent(fields: &Fields) -> RecordBatch {
    let children = batch(Arc::new(Schema::new(fields.clone())));
    let column: ArrayRef = Arc::new(StructArray::from(children));
    RecordBatch::try_from_iter_with_nullable([("parent", column, false)]).unwrap()
}

/// Emits its input unchanged.
#[derive(Serialize, Deserialize)]
struct Copied {}

impl Exchange for Copied {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        turn.emit(input.clone())
    }
}

/// Returns a command that calls the one method.
fn open(kind: CallKind, row: RecordBatch) -> Command {
    let (protocol, method) = ("test.Columns.v1", "call".into());
    Command::Call { protocol, method, version: None, id: None, kind, row, metadata: Metadata::new() }
}

/// Returns the server's time for a call, and the client's last event.
fn call(
    method: MethodSpec,
    kind: CallKind,
    row: RecordBatch,
    input: Option<&RecordBatch>,
) -> (Duration, String) {
    let service = Service::builder("columns").protocol(Protocol::new("test.Columns.v1").method(method));
    let service = Arc::new(service.build().unwrap());
    let peer = Peer::new(TransportKind::Pipe, "columns");
    let mut server = Responder::new(service, peer, Limits::default(), IdSource::seeded(7));
    let mut client = Connection::new(Limits::default());
    open(kind, row).issue(&mut client).unwrap();
    if let Some(input) = input {
        Command::Send(input.clone(), Metadata::new()).issue(&mut client).unwrap();
    }
    let outbox = client.poll_transmit().unwrap();
    let bytes = outbox.copy_to_bytes(outbox.len());
    let mut sent = Vec::new();
    let start = Instant::now();
    server.receive(bytes);
    assert_eq!(serve(&mut server, usize::MAX, &mut sent), Rest::NeedInput);
    let taken = start.elapsed();
    client.receive(sent.into());
    let mut told: Vec<Told> = Vec::new();
    listen(&mut client, &mut told);
    (taken, lines(&told).into_iter().next().unwrap_or_default().chars().take(40).collect())
}

/// Compares the best times of a call with few and with many columns, in more rounds if other processes disturb one of them. The
/// answer must be the expected one.
#[track_caller]
fn assert_linear(expected: &str, run: impl Fn(usize) -> (Duration, String)) {
    let time = |columns| {
        let (time, told) = run(columns);
        assert!(told.starts_with(expected), "{told:?}");
        time
    };
    let (mut few, mut many) = (Duration::MAX, Duration::MAX);
    for round in 0..10 {
        (few, many) = (few.min(time(FEW)), many.min(time(TIMES * FEW)));
        println!("{FEW} columns take {few:?}, and {TIMES} times as many take {many:?}");
        if round > 0 && many < few * 24 {
            return;
        }
    }
    panic!("{FEW} columns take {few:?}, and {TIMES} times as many take {many:?}");
}

const STREAM: CallKind = CallKind::Stream { header: false };

/// Returns an exchange whose input and output have these schemas.
fn exchange(input: SchemaRef, output: SchemaRef) -> MethodSpec {
    Method::new("call").input(input).output(output).exchange(|_, _| Ok(Stream::new(Copied {})))
}

#[test]
fn inputs_and_emitted_batches_in_another_order() {
    assert_linear("output", |columns| {
        let forth = Arc::new(Schema::new(fields(0..columns)));
        let back = Arc::new(Schema::new(fields((0..columns).rev())));
        call(exchange(back, forth.clone()), STREAM, no_columns(1), Some(&batch(forth)))
    });
}

#[test]
fn inputs_of_other_columns() {
    assert_linear("failed TypeError", |columns| {
        let declared = Arc::new(Schema::new(fields(0..columns)));
        let other = batch(Arc::new(Schema::new(fields((1..=columns).rev()))));
        call(exchange(declared.clone(), declared), STREAM, no_columns(1), Some(&other))
    });
}

#[test]
fn structs_whose_fields_come_in_another_order() {
    assert_linear("output", |columns| {
        let (forth, back) = (parent(&fields(0..columns)), parent(&fields((0..columns).rev())));
        call(exchange(back.schema(), back.schema()), STREAM, no_columns(1), Some(&forth))
    });
}

#[test]
fn parameters_that_are_not_declared() {
    assert_linear("failed TypeError", |columns| {
        let declared = fields(0..columns);
        let builder =
            declared.iter().fold(Method::new("call"), |b, field| b.param_field(field.as_ref().clone()));
        let row = batch(Arc::new(Schema::new(fields((columns / 2..columns + columns / 2).rev()))));
        call(builder.unary(|_, _| Ok(())), CallKind::Unary, row, None)
    });
}
