//! A service, a server that runs during a test, and waiting for conditions.
//!
//! | file | subject |
//! | --- | --- |
//! | `carrier` | the same service on pipes, a unix socket and a TCP socket, and a client of plain events |
//! | `process` | a server in its own process, and its resource usage |
//! | `random` | random numbers from a seed, and how to reproduce them |
//! | `walk` | random calls whose results are checked |
#![allow(dead_code, reason = "`resources` uses some of it")]

pub mod carrier;
pub mod process;
pub mod random;
pub mod walk;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use vgi_rpc_protocol::service::{Exchange, Method, Producer, Protocol, Service, Stream, Turn};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_unix::{Address, CallError, Client, Ended, Handle, Remote, SocketServer, SocketServerError};

/// Longer than any step that succeeds.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Blocks handlers until the test opens it.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<(usize, bool)>, Condvar)>);

impl Gate {
    /// Waits, as a handler does.
    pub fn pass(&self) {
        let mut state = self.0.0.lock().unwrap();
        state.0 += 1;
        self.0.1.notify_all();
        let deadline = Instant::now() + PATIENCE;
        while !state.1 && Instant::now() < deadline {
            state = self.0.1.wait_timeout(state, Duration::from_millis(100)).unwrap().0;
        }
    }

    /// Waits until this many handlers have arrived.
    pub fn wait_for(&self, handlers: usize) {
        let mut state = self.0.0.lock().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while state.0 < handlers {
            assert!(Instant::now() < deadline, "expected {handlers} handlers, got {}", state.0);
            state = self.0.1.wait_timeout(state, Duration::from_millis(100)).unwrap().0;
        }
    }

    pub fn open(&self) {
        self.0.0.lock().unwrap().1 = true;
        self.0.1.notify_all();
    }
}

#[derive(Serialize, Deserialize)]
struct Count {
    at: i64,
    to: i64,
}

impl Producer for Count {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.at == self.to {
            return turn.finish();
        }
        self.at += 1;
        turn.emit_columns(vec![Arc::new(Int64Array::from(vec![self.at]))])
    }
}

/// Batches with the requested number of rows, which count on from one batch to the next.
#[derive(Serialize, Deserialize)]
struct Blocks {
    batch: i64,
    batches: i64,
    rows: i64,
    fails_at: i64,
}

impl Producer for Blocks {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.batch == self.fails_at {
            return Err(RpcError::value_error("as asked"));
        }
        if self.batch == self.batches {
            return turn.finish();
        }
        let first = self.batch * self.rows;
        self.batch += 1;
        turn.emit_columns(vec![Arc::new(Int64Array::from_iter_values(first..first + self.rows))])
    }
}

#[derive(Serialize, Deserialize)]
struct Negate;

impl Exchange for Negate {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        let n = input.column(0).as_primitive::<Int64Type>();
        if n.values().contains(&i64::MIN) {
            return Err(RpcError::value_error("that one has no negation"));
        }
        turn.emit_columns(vec![Arc::new(n.unary::<_, Int64Type>(|n| -n))])
    }
}

pub fn numbers() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]))
}

pub fn service(gate: &Gate) -> Arc<Service> {
    let gate = gate.clone();
    let protocol = Protocol::new("test.Unix.v1").methods([
        Method::new("echo")
            .param("data", DataType::Binary)
            .returns(DataType::Binary)
            .unary(|args, _| Ok(args.column("data")?.clone())),
        Method::new("greet")
            .param("name", DataType::Utf8)
            .returns(DataType::Utf8)
            .unary(|args, _| Ok(format!("Hello, {}!", args.get::<&str>("name")?))),
        Method::new("transport")
            .returns(DataType::Utf8)
            .unary(|_, context| Ok(context.transport().to_string())),
        Method::new("caller").returns(DataType::Utf8).unary(|_, context| {
            let peer = context.peer();
            Ok(format!(
                "{:?} {:?}",
                peer.credentials.map(|found| (found.pid, found.uid)),
                peer.remote_address
            ))
        }),
        Method::new("wait").unary(move |_, _| {
            gate.pass();
            Ok(())
        }),
        Method::new("spin").returns(DataType::Int64).unary(|_, _| {
            let end = Instant::now() + Duration::from_millis(5);
            while Instant::now() < end {
                std::hint::spin_loop();
            }
            Ok(0_i64)
        }),
        Method::new("panic").returns(DataType::Int64).unary(|_, _| -> Result<i64, _> { panic!("as asked") }),
        Method::new("fail")
            .returns(DataType::Int64)
            .unary(|_, _| Err::<i64, _>(RpcError::value_error("as asked"))),
        Method::new("blocks")
            .param("batches", DataType::Int64)
            .param("rows", DataType::Int64)
            .param("fails_at", DataType::Int64)
            .output(numbers())
            .producer(|args, _| {
                let [batches, rows, fails_at] =
                    [args.get("batches")?, args.get("rows")?, args.get("fails_at")?];
                Ok(Stream::new(Blocks { batch: 0, batches, rows, fails_at }))
            }),
        Method::new("count")
            .param("to", DataType::Int64)
            .output(numbers())
            .producer(|args, _| Ok(Stream::new(Count { at: 0, to: args.get("to")? }))),
        Method::new("negate").input(numbers()).output(numbers()).exchange(|_, _| Ok(Stream::new(Negate))),
    ]);
    Arc::new(Service::builder("unix00000000").protocol(protocol).build().unwrap())
}

/// Returns a path unique to this test.
pub fn socket_path() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("vgi-rpc-{}-{}.sock", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    std::env::temp_dir().join(name)
}

/// A server that stops at the end of the test.
pub struct Running {
    pub address: Address,
    pub handle: Handle,
    thread: Option<JoinHandle<Result<Ended, SocketServerError>>>,
}

impl Running {
    pub fn unix(server: &SocketServer) -> Self {
        Self::start(server.bind_unix(socket_path()).unwrap())
    }

    pub fn tcp(server: &SocketServer) -> Self {
        Self::start(server.bind_tcp("0").unwrap())
    }

    fn start(bound: vgi_rpc_unix::BoundSocketServer) -> Self {
        let (address, handle) = (bound.address().clone(), bound.handle());
        Self { address, handle, thread: Some(thread::spawn(|| bound.run())) }
    }

    pub fn path(&self) -> PathBuf {
        match &self.address {
            Address::Unix(path) => path.clone(),
            other => panic!("expected a path, got {other}"),
        }
    }

    pub fn connect(&self) -> Client {
        match &self.address {
            Address::Unix(path) => vgi_rpc_unix::connect_unix(path).unwrap(),
            Address::Tcp(address) => vgi_rpc_unix::connect_tcp(&address.to_string()).unwrap(),
            other => panic!("expected an address, got {other}"),
        }
    }

    pub fn raw(&self) -> UnixStream {
        let socket = UnixStream::connect(self.path()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// Waits for the server to end by itself.
    pub fn join(mut self) -> Ended {
        let thread = self.thread.take().unwrap();
        until("the server ends", || thread.is_finished());
        thread.join().unwrap().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Waits until a condition holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "expected that {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

pub fn remote() -> Remote {
    Remote::new("test.Unix.v1")
}

pub fn row(name: &str, value: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter([(name, value)]).unwrap()
}

pub fn nothing() -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap()
}

pub fn greet(client: &mut Client, name: &str) -> Result<String, CallError> {
    let answer =
        client.unary(&remote().method("greet"), &row("name", Arc::new(StringArray::from(vec![name]))))?;
    Ok(answer.column(0).as_string::<i32>().value(0).to_owned())
}

pub fn echo(client: &mut Client, data: &[u8]) -> Result<Vec<u8>, CallError> {
    let answer =
        client.unary(&remote().method("echo"), &row("data", Arc::new(BinaryArray::from_vec(vec![data]))))?;
    Ok(answer.column(0).as_binary::<i32>().value(0).to_vec())
}

/// Reads a producer to its end, or the outputs of an exchange.
#[track_caller]
pub fn check_streams(client: &mut Client) {
    let to = row("to", Arc::new(Int64Array::from(vec![5])));
    let counted: Vec<i64> = client
        .stream(&remote().method("count"), &to)
        .unwrap()
        .map(|batch| batch.unwrap().column(0).as_primitive::<Int64Type>().value(0))
        .collect();
    assert_eq!(counted, [1, 2, 3, 4, 5]);
    let mut negate = client.stream(&remote().method("negate"), &nothing()).unwrap();
    for n in 0..50 {
        let answer = negate.exchange(&row("n", Arc::new(Int64Array::from(vec![n])))).unwrap();
        assert_eq!(answer.column(0).as_primitive::<Int64Type>().value(0), -n);
    }
    negate.close().unwrap();
}

pub fn call(client: &mut Client, method: &str) -> Result<RecordBatch, CallError> {
    client.unary(&remote().method(method), &nothing())
}

/// Returns the bytes of a request, as a client sends them.
pub fn request(method: &str, params: &RecordBatch) -> Vec<u8> {
    use bytes::Buf;
    use vgi_rpc_protocol::Limits;
    use vgi_rpc_protocol::client::{Call, CallKind, Connection};
    let schema = vgi_rpc_protocol::ipc::EncodedSchema::new(params.schema()).unwrap();
    let call = Call {
        protocol: "test.Unix.v1",
        method,
        protocol_version: None,
        request_id: Some("r"),
        kind: CallKind::Unary,
        metadata: vgi_rpc_protocol::ipc::Metadata::new(),
    };
    let mut connection = Connection::new(Limits::default());
    connection.call(&call, &schema, params).unwrap();
    let outbox = connection.poll_transmit().unwrap();
    outbox.copy_to_bytes(outbox.len()).to_vec()
}

pub fn echo_request(bytes: usize) -> Vec<u8> {
    request("echo", &row("data", Arc::new(BinaryArray::from_vec(vec![&vec![7; bytes]]))))
}
