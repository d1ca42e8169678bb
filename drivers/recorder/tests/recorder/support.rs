//! A service, calls to it, and recorded servers.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use std::io::{self, IoSlice, PipeReader, PipeWriter, Read, Write, pipe};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use vgi_rpc_blocking::BlockingServer;
use vgi_rpc_http::HttpServer;
use vgi_rpc_http::client::{Client, HttpOptions, Remote};
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::http::{Endpoint, EndpointBuilder};
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::service::{Exchange, Method, Producer, Protocol, Service, Stream, TransportKind, Turn};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::log::LogMessage;
use vgi_rpc_recorder::{Capture, EXTENSION, Recorder, RecorderOptions};
use vgi_rpc_unix::SocketServer;

pub const SERVER_ID: &str = "recorded-server";

#[derive(Serialize, Deserialize)]
struct Count {
    next: i64,
    count: i64,
    /// Fills the state, so that its token is long.
    secret: String,
}

impl Producer for Count {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.next == self.count {
            return turn.finish();
        }
        self.next += 1;
        turn.emit_columns(vec![Arc::new(Int64Array::from(vec![self.next - 1]))])
    }
}

#[derive(Serialize, Deserialize)]
struct Double;

impl Exchange for Double {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        let doubled: Float64Array = input.column(0).as_primitive::<Float64Type>().unary(|value| value * 2.0);
        turn.emit_columns(vec![Arc::new(doubled)])
    }
}

fn columns(name: &str, data_type: DataType) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(name, data_type, false)]))
}

pub fn protocol() -> Protocol {
    let counting = |name: &str| Method::new(name).param("value", DataType::Int64);
    let count = |count| Count { next: 0, count, secret: "state ".repeat(20) };
    Protocol::new("test.Main.v1")
        .method(Method::new("echo").param("value", DataType::Utf8).returns(DataType::Utf8).unary(
            |args, context| {
                context.log(LogMessage::info("echoing"));
                Ok(args.get::<&str>("value")?.to_owned())
            },
        ))
        .method(
            Method::new("fail")
                .returns(DataType::Utf8)
                .unary(|_, _| Err::<String, _>(RpcError::value_error("as asked"))),
        )
        .method(
            counting("count")
                .output(columns("n", DataType::Int64))
                .producer(move |args, _| Ok(Stream::new(count(args.get("value")?)))),
        )
        .method(
            counting("count_with_header")
                .header(columns("total", DataType::Int64))
                .output(columns("n", DataType::Int64))
                .producer(move |args, _| {
                    let total: i64 = args.get("value")?;
                    Ok(Stream::new(count(total)).with_header(int("total", total)))
                }),
        )
        .method(
            Method::new("double")
                .input(columns("value", DataType::Float64))
                .output(columns("value", DataType::Float64))
                .exchange(|_, _| Ok(Stream::new(Double))),
        )
}

pub fn service() -> Arc<Service> {
    Arc::new(Service::builder(SERVER_ID).protocol(protocol()).build().unwrap())
}

fn one(name: &str, column: ArrayRef) -> RecordBatch {
    RecordBatch::try_new(columns(name, column.data_type().clone()), vec![column]).unwrap()
}

pub fn text(value: &str) -> RecordBatch {
    one("value", Arc::new(StringArray::from(vec![value])))
}

pub fn int(name: &str, value: i64) -> RecordBatch {
    one(name, Arc::new(Int64Array::from(vec![value])))
}

pub fn nothing() -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap()
}

pub fn remote() -> Remote {
    Remote::new("test.Main.v1")
}

/// Calls every method of the service.
pub fn talk(client: &mut Client, metadata: &Metadata) {
    let remote = remote();
    let number = |batch: &RecordBatch| batch.column(0).as_primitive::<Int64Type>().value(0);
    let echo = remote.method("echo").with_metadata(metadata.clone());
    for value in ["hello", "", "ünïcode"] {
        let answer = client.unary(&echo, &text(value)).unwrap();
        assert_eq!(answer.column(0).as_string::<i32>().value(0), value);
    }
    client.unary(&remote.method("fail"), &nothing()).unwrap_err();
    client.unary(&remote.method("absent"), &nothing()).unwrap_err();
    let numbers: Vec<i64> = client
        .stream(&remote.method("count"), &int("value", 5))
        .unwrap()
        .map(|batch| number(&batch.unwrap()))
        .collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
    let headed = remote.method("count_with_header").with_header();
    let mut stream = client.stream(&headed, &int("value", 9)).unwrap();
    assert_eq!(number(stream.header().unwrap()), 9);
    assert_eq!(number(&stream.tick(&Metadata::new()).unwrap().unwrap().0), 0);
    stream.cancel().unwrap();
    let mut stream = client.stream(&remote.method("double"), &nothing()).unwrap();
    for value in [1.5, -2.0] {
        let answer = stream.exchange(&one("value", Arc::new(Float64Array::from(vec![value])))).unwrap();
        assert_eq!(answer.column(0).as_primitive::<Float64Type>().value(0), value * 2.0);
    }
    stream.close().unwrap();
    client.unary(&echo, &text("after all")).unwrap();
}

/// A folder, and a recorder that writes there.
pub struct Recording {
    pub folder: TempDir,
    pub recorder: Recorder,
}

impl Recording {
    pub fn new(set: impl FnOnce(RecorderOptions) -> RecorderOptions) -> Self {
        let folder = TempDir::new().unwrap();
        let recorder = set(RecorderOptions::new(folder.path())).open().unwrap();
        Self { folder, recorder }
    }

    /// Returns all captures, in the order in which they were written.
    pub fn captures(&self) -> Vec<(Vec<u8>, Capture)> {
        assert!(self.recorder.close(Duration::from_secs(60)));
        files(self.folder.path())
            .into_iter()
            .map(|bytes| {
                let capture = Capture::parse(&bytes).unwrap();
                (bytes, capture)
            })
            .collect()
    }

    /// Returns the only capture.
    pub fn capture(&self) -> (Vec<u8>, Capture) {
        let mut captures = self.captures();
        assert_eq!(captures.len(), 1);
        captures.remove(0)
    }
}

pub fn files(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION))
        .collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Serves on a socket while `act` runs with its address.
pub fn on_socket(recorder: &Recorder, service: Arc<Service>, kind: TransportKind, act: impl FnOnce(&str)) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("socket");
    let server = SocketServer::new(service);
    let layer = recorder.layer(kind, SERVER_ID);
    let bound = match kind {
        TransportKind::Unix => server.bind_unix_with(&path, layer).unwrap(),
        _ => server.bind_tcp_with("127.0.0.1:0", layer).unwrap(),
    };
    let address = match bound.address() {
        vgi_rpc_unix::Address::Tcp(address) => address.to_string(),
        _ => path.display().to_string(),
    };
    let handle = bound.handle();
    let thread = thread::spawn(|| bound.run());
    act(&address);
    // The connections of disconnected clients are closed first.
    handle.drain(Duration::from_secs(10));
    thread.join().unwrap().unwrap();
}

pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// Serves over HTTP while `act` runs with the URL.
pub fn on_http(
    recorder: &Recorder,
    service: Arc<Service>,
    set: impl FnOnce(EndpointBuilder) -> EndpointBuilder,
    act: impl FnOnce(&str),
) {
    let entropy = recorder.entropy(vgi_rpc_http::system_entropy);
    let endpoint = set(Endpoint::builder(service, entropy)).build().unwrap();
    let server = HttpServer::new(endpoint).clock(recorder.clock(now));
    let layer = recorder.layer(TransportKind::Http, SERVER_ID);
    let bound = server.bind_tcp_with("127.0.0.1:0", layer).unwrap();
    let url = bound.address().to_string();
    let handle = bound.handle();
    let thread = thread::spawn(|| bound.run());
    act(&url);
    handle.drain(Duration::from_secs(10));
    thread.join().unwrap().unwrap();
}

/// Options for a client over HTTP with uncompressed bodies and one connection.
pub fn plain() -> HttpOptions {
    HttpOptions::default().codings([]).compress_requests(false)
}

/// A client's end of two pipes.
struct Pipes {
    reader: PipeReader,
    writer: Option<PipeWriter>,
}

impl vgi_rpc_client::Transport for Pipes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.writer.as_mut().unwrap().write_vectored(slices)
    }

    fn close(&mut self) -> io::Result<()> {
        self.writer = None;
        Ok(())
    }
}

/// Serves on pipes while `act` runs. Each end with a recorder is recorded, first the client, then the server.
pub fn on_pipes(
    recorder: &Recorder,
    client: Option<&Recorder>,
    service: Arc<Service>,
    act: impl FnOnce(&mut Client),
) {
    let ((server_reader, writer), (reader, server_writer)) = (pipe().unwrap(), pipe().unwrap());
    let recorder = recorder.clone();
    let thread = thread::spawn(move || {
        let seed = 77;
        let (reader, writer) = recorder.streams(server_reader, server_writer, seed, SERVER_ID);
        BlockingServer::new(service).seed(seed).serve(reader, writer)
    });
    let pipes = Pipes { reader, writer: Some(writer) };
    let mut caller = match client {
        Some(recorder) => Client::new(recorder.transport(pipes, TransportKind::Pipe), Limits::default()),
        None => Client::new(pipes, Limits::default()),
    };
    // Otherwise it first queries the kinds of the methods.
    caller = caller.check_kinds(false);
    act(&mut caller);
    caller.close().unwrap();
    thread.join().unwrap().unwrap();
}
