//! A service whose answers are as large as a caller requests, and connections to it that share a budget.

use crate::common::batches::*;
use crate::common::driver::{Command, Pair, Rest};
use crate::common::scenarios::call;
use arrow_array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, cast::AsArray};
use arrow_schema::{DataType, Field, SchemaRef};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use vgi_rpc_protocol::client::{CallKind, Connection};
use vgi_rpc_protocol::memory::Account;
use vgi_rpc_protocol::service::{
    Exchange, Method, MethodSpec, Peer, Producer, Protocol, Responder, Service, Stream, TransportKind, Turn,
};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::{IdSource, Limits};

pub const LARGE: &str = "test.Large.v1";

/// Counts the handlers that have run.
#[derive(Clone, Default)]
pub struct Runs(Arc<AtomicUsize>);

impl Runs {
    #[cfg(feature = "http")]
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn zeros(len: i64) -> ArrayRef {
    Arc::new(BinaryArray::from_vec(vec![&vec![0; len as usize]]))
}

fn value() -> SchemaRef {
    schema([("value", DataType::Binary)])
}

/// Emits one value of the size that it was created with, then of the size in its input.
#[derive(Serialize, Deserialize)]
struct Large(i64);

impl Producer for Large {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        turn.emit_columns(vec![zeros(self.0)])
    }
}

/// Emits as many bytes as its input requests.
#[derive(Serialize, Deserialize)]
struct Sized {}

impl Exchange for Sized {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        let len = input.column(0).as_primitive::<arrow_array::types::Int64Type>().value(0);
        turn.emit_columns(vec![zeros(len)])
    }
}

/// Emits its input.
#[derive(Serialize, Deserialize)]
struct Same {}

impl Exchange for Same {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        turn.emit(input.clone())
    }
}

fn echo(name: &str, data_type: DataType) -> MethodSpec {
    let method = Method::new(name).param("value", data_type.clone()).returns(data_type);
    method.unary(|args, _| Ok(args.column("value")?.clone()))
}

/// Returns a struct of 8,000 small columns.
pub fn wide_type() -> DataType {
    DataType::Struct((0..8_000).map(|n| Field::new(format!("{n}"), DataType::Int64, true)).collect())
}

/// Returns a list of lists.
pub fn list_type() -> DataType {
    let list = |item| DataType::List(Arc::new(Field::new("item", item, true)));
    list(list(DataType::Int8))
}

fn methods(runs: &Runs) -> Vec<MethodSpec> {
    let [length, answer, two, none] = std::array::from_fn(|_| runs.clone());
    vec![
        Method::new("length").param("value", DataType::Binary).returns(DataType::Int64).unary(
            move |args, _| {
                length.note();
                Ok(args.get::<&[u8]>("value")?.len() as i64)
            },
        ),
        Method::new("answer").param("len", DataType::Int64).returns(DataType::Binary).unary(
            move |args, _| {
                answer.note();
                Ok(zeros(args.get("len")?))
            },
        ),
        Method::new("two").returns(DataType::Int64).unary(move |_, _| {
            two.note();
            Ok(ints([1, 2]))
        }),
        Method::new("none").returns(DataType::Utf8).unary(move |_, _| {
            none.note();
            Ok(Arc::new(StringArray::from(Vec::<&str>::new())) as ArrayRef)
        }),
        Method::new("nothing").unary(|_, _| Ok(())),
        Method::new("record").param("value", DataType::Binary).returns(DataType::Int64).unary(|args, _| {
            let record = args.get::<RecordBatch>("value")?;
            Ok(record.get_array_memory_size() as i64)
        }),
        echo("views", DataType::BinaryView),
        echo("wide", wide_type()),
        echo("list", list_type()),
        Method::new("produce")
            .param("len", DataType::Int64)
            .output(value())
            .producer(|args, _| Ok(Stream::new(Large(args.get("len")?)))),
        Method::new("produce_with_header")
            .param("len", DataType::Int64)
            .header(value())
            .output(value())
            .producer(|args, _| {
                let len = args.get("len")?;
                Ok(Stream::new(Large(1)).with_header(row([("value", zeros(len))])))
            }),
        Method::new("sized")
            .input(schema([("len", DataType::Int64)]))
            .output(value())
            .exchange(|_, _| Ok(Stream::new(Sized {}))),
        Method::new("same").input(value()).output(value()).exchange(|_, _| Ok(Stream::new(Same {}))),
    ]
}

pub fn service() -> (Arc<Service>, Runs) {
    let runs = Runs::default();
    let protocol =
        methods(&runs).into_iter().fold(Protocol::new(LARGE), |protocol, method| protocol.method(method));
    (Arc::new(Service::builder("server-1").protocol(protocol).build().unwrap()), runs)
}

pub fn responder(account: &Account) -> Responder {
    let peer = Peer::new(TransportKind::Pipe, "server-1");
    Responder::new(service().0, peer, Limits::default(), IdSource::seeded(7)).with_account(account.clone())
}

/// Returns a client and a server with an account each.
pub fn pair(client: &Account, server: &Account) -> Pair {
    crate::common::quiet_panics();
    Pair {
        client: Connection::with_account(Limits::default(), client),
        server: responder(server),
        server_rest: Rest::NeedInput,
        request: Vec::new(),
    }
}

pub fn unary(method: &str, row: RecordBatch) -> Command {
    call(LARGE, method, CallKind::Unary, row)
}

pub fn length(len: usize) -> Command {
    unary("length", row([("value", zeros(len as i64))]))
}

pub fn answer(len: usize) -> Command {
    unary("answer", row([("len", int(len as i64))]))
}

pub fn without_parameters(method: &str) -> Command {
    unary(method, no_columns(1))
}

pub fn produce(len: usize) -> Command {
    call(LARGE, "produce", CallKind::Stream { header: false }, row([("len", int(len as i64))]))
}

pub fn produce_with_header(len: usize) -> Command {
    call(LARGE, "produce_with_header", CallKind::Stream { header: true }, row([("len", int(len as i64))]))
}

pub fn exchange(method: &str) -> Command {
    call(LARGE, method, CallKind::Stream { header: false }, no_columns(1))
}

pub fn sized(len: usize) -> Command {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![len as i64]));
    Command::Send(row([("len", column)]), Default::default())
}

pub fn same(len: usize) -> Command {
    Command::Send(row([("value", zeros(len as i64))]), Default::default())
}
