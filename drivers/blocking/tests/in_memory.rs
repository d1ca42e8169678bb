//! Serves a client in memory, over plain readers and writers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use bytes::{Buf, Bytes};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;
use vgi_rpc_blocking::{BlockingServer, ServeError, serve};
use vgi_rpc_protocol::client::{Call, CallKind, Connection, Event};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::service::{Method, Producer, Protocol, Service, Stream, Turn};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::log::LogMessage;
use vgi_rpc_protocol::{Limits, Next};

/// What the client does next, when there is nothing more to read.
type Command = fn(&mut Connection);

/// A client in memory: the server reads its output, and writes to it.
#[derive(Clone)]
struct Client(Arc<Mutex<State>>);

struct State {
    connection: Connection,
    commands: VecDeque<Command>,
    /// What the client saw.
    seen: Vec<String>,
    /// What the server has not read yet.
    output: Bytes,
}

impl Client {
    fn new(commands: impl IntoIterator<Item = Command>) -> Self {
        Self(Arc::new(Mutex::new(State {
            connection: Connection::new(Limits::default()),
            commands: commands.into_iter().collect(),
            seen: Vec::new(),
            output: Bytes::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn seen(&self) -> Vec<String> {
        self.lock().seen.clone()
    }
}

impl State {
    /// Records the events. Returns true if the client's next command may follow.
    fn read_events(&mut self) -> bool {
        loop {
            let event = match self.connection.poll_event().unwrap() {
                Next::Event(event) => event,
                next => return matches!(next, Next::NeedCommand) && self.output.is_empty(),
            };
            self.seen.push(match event {
                Event::Output(batch, _) => value(&batch).to_string(),
                Event::Log(log) => log.message,
                Event::Failed(error) => error.message().to_owned(),
                Event::Finished => "finished".into(),
                event => panic!("{event:?}"),
            });
        }
    }
}

impl Read for Client {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.lock();
        if state.read_events()
            && let Some(command) = state.commands.pop_front()
        {
            command(&mut state.connection);
            let outbox = state.connection.poll_transmit().unwrap();
            state.output = outbox.copy_to_bytes(outbox.remaining());
        }
        // In small pieces.
        let count = state.output.len().min(buffer.len()).min(7);
        state.output.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

impl Write for Client {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().connection.receive(Bytes::copy_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock().read_events();
        Ok(())
    }
}

fn value(batch: &RecordBatch) -> i64 {
    batch.column(0).as_primitive::<Int64Type>().value(0)
}

fn call(connection: &mut Connection, method: &str, kind: CallKind, n: i64) {
    let params = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![n])) as _)]).unwrap();
    let call = Call {
        protocol: "test.Numbers.v1",
        method,
        protocol_version: None,
        request_id: Some("call"),
        kind,
        metadata: Metadata::new(),
    };
    connection.call(&call, &EncodedSchema::new(params.schema()).unwrap(), &params).unwrap();
}

const DOUBLE: Command = |client| call(client, "double", CallKind::Unary, 21);
const FAIL: Command = |client| call(client, "double", CallKind::Unary, -1);
const COUNT: Command = |client| call(client, "count", CallKind::Stream { header: false }, 2);
const TICK: Command = |client| client.tick(&Metadata::new()).unwrap();

#[derive(Serialize, Deserialize)]
struct Count(i64);

impl Producer for Count {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        match self.0 {
            0 => turn.finish(),
            n => {
                self.0 -= 1;
                turn.emit_columns(vec![Arc::new(Int64Array::from(vec![n]))])
            }
        }
    }
}

fn service() -> Arc<Service> {
    let test_thread = thread::current().id();
    let double = Method::new("double").param("n", DataType::Int64).returns(DataType::Int64).unary(
        move |args, context| {
            assert_eq!(thread::current().id(), test_thread);
            let n: i64 = args.get("n")?;
            context.log(LogMessage::info("doubling"));
            if n < 0 { Err(RpcError::value_error("too small")) } else { Ok(n * 2) }
        },
    );
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
    let count = Method::new("count")
        .param("n", DataType::Int64)
        .output(schema)
        .producer(|args, _| Ok(Stream::new(Count(args.get("n")?))));
    let protocol = Protocol::new("test.Numbers.v1").methods([double, count]);
    Arc::new(Service::builder("0123456789ab").protocol(protocol).build().unwrap())
}

#[test]
fn unary_calls_and_streams_are_served_on_the_calling_thread() {
    let client = Client::new([DOUBLE, COUNT, TICK, TICK, TICK, FAIL]);
    serve(service(), client.clone(), client.clone()).unwrap();
    let expected =
        ["doubling", "42", "finished", "2", "1", "finished", "doubling", "ValueError: too small", "finished"];
    assert_eq!(client.seen(), expected);
}

#[test]
fn records_come_before_answers_with_times_of_the_clock_that_is_set() {
    let client = Client::new([DOUBLE, COUNT, TICK, TICK, TICK]);
    let (ticks, observer) = (Mutex::new(0), client.clone());
    let server = BlockingServer::new(service())
        .clock(move || {
            let mut ticks = ticks.lock().unwrap();
            *ticks += 1;
            Duration::from_secs(*ticks)
        })
        .on_record(move |record| {
            assert!(Duration::ZERO < record.started && record.started < record.ended);
            // The client's lock is free: no write is in progress.
            observer.lock().seen.push(format!("record of {}", record.method));
        });
    server.serve(client.clone(), client.clone()).unwrap();
    let expected =
        ["doubling", "record of double", "42", "finished", "2", "1", "record of count", "finished"];
    assert_eq!(client.seen(), expected);
}

#[test]
fn bytes_that_are_not_the_protocol_are_an_error() {
    let error = serve(service(), &b"GET / HTTP/1.1\r\n\r\n"[..], io::sink()).unwrap_err();
    assert!(matches!(error, ServeError::Connection(_)), "{error}");
}
