//! A service, and ways to serve it.

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use bytes::{Buf, Bytes};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use serde::{Deserialize, Serialize};
use std::io::{IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use vgi_rpc_effects::run_inline;
use vgi_rpc_http::client::{HttpClient, HttpOptions, Remote};
use vgi_rpc_http::http1::server::{Event, ServerCodec};
use vgi_rpc_http::http1::{Limits, Next};
use vgi_rpc_http::{Ended, Handle, HttpServer, HttpServerError, system_entropy};
use vgi_rpc_protocol::effect::Failure;
use vgi_rpc_protocol::http::{Body, Endpoint, EndpointBuilder, RequestOrigin};
use vgi_rpc_protocol::service::{Exchange, Idempotency, Method, Producer, Protocol, Service, Stream, Turn};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::log::LogMessage;

/// Longer than any step that succeeds.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn remote() -> Remote {
    Remote::new("test.Main.v1")
}

#[derive(Serialize, Deserialize)]
struct Count {
    next: i64,
    count: i64,
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
        let values = input.column(0).as_primitive::<Float64Type>();
        if values.iter().flatten().any(f64::is_nan) {
            return Err(RpcError::value_error("no number"));
        }
        let doubled: Float64Array = values.unary(|value| value * 2.0);
        turn.emit_columns(vec![Arc::new(doubled)])
    }
}

fn columns(name: &str, data_type: DataType) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(name, data_type, false)]))
}

pub fn service() -> Arc<Service> {
    let counting = |name: &str| Method::new(name).param("value", DataType::Int64);
    let protocol = Protocol::new("test.Main.v1")
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
            Method::new("look")
                .idempotency(Idempotency::NoSideEffects)
                .returns(DataType::Utf8)
                .unary(|_, _| Ok("seen".to_owned())),
        )
        .method(counting("count").output(columns("n", DataType::Int64)).producer(|args, _| {
            let count: i64 = args.get("value")?;
            if count < 0 {
                return Err(RpcError::value_error("expected no less than none"));
            }
            Ok(Stream::new(Count { next: 0, count }))
        }))
        .method(
            counting("count_with_header")
                .header(columns("total", DataType::Int64))
                .output(columns("n", DataType::Int64))
                .producer(|args, _| {
                    let count: i64 = args.get("value")?;
                    Ok(Stream::new(Count { next: 0, count }).with_header(int("total", count)))
                }),
        )
        .method(
            Method::new("double")
                .input(columns("value", DataType::Float64))
                .output(columns("value", DataType::Float64))
                .exchange(|_, _| Ok(Stream::new(Double))),
        )
        .method(counting("open").returns(DataType::Int64).unary(|args, context| {
            let value: i64 = args.get("value")?;
            context.open_session(value, None)?;
            Ok(value)
        }))
        .method(counting("add").returns(DataType::Int64).unary(|args, context| {
            let by: i64 = args.get("value")?;
            let value = context.session::<i64>().ok_or_else(|| RpcError::runtime_error("no session"))?;
            *value += by;
            Ok(*value)
        }))
        .method(
            counting("shut")
                .returns(DataType::Int64)
                .unary(|_, context| Ok(i64::from(context.close_session()))),
        );
    Arc::new(Service::builder("server-1").protocol(protocol).build().unwrap())
}

pub fn endpoint(set: impl FnOnce(EndpointBuilder) -> EndpointBuilder) -> Arc<Endpoint> {
    set(Endpoint::builder(service(), system_entropy)).build().unwrap()
}

pub fn text(value: &str) -> RecordBatch {
    one("value", Arc::new(StringArray::from(vec![value])))
}

pub fn int(name: &str, value: i64) -> RecordBatch {
    one(name, Arc::new(Int64Array::from(vec![value])))
}

pub fn float(value: f64) -> RecordBatch {
    one("value", Arc::new(Float64Array::from(vec![value])))
}

fn one(name: &str, column: ArrayRef) -> RecordBatch {
    RecordBatch::try_new(columns(name, column.data_type().clone()), vec![column]).unwrap()
}

pub fn nothing() -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap()
}

/// This crate's server; it stops on drop.
pub struct Running {
    pub url: String,
    pub endpoint: Arc<Endpoint>,
    handle: Handle,
    thread: Option<JoinHandle<Result<Ended, HttpServerError>>>,
}

pub fn serve(set: impl FnOnce(EndpointBuilder) -> EndpointBuilder) -> Running {
    serve_with(set, |server| server)
}

pub fn serve_with(
    set: impl FnOnce(EndpointBuilder) -> EndpointBuilder,
    set_server: impl FnOnce(HttpServer) -> HttpServer,
) -> Running {
    let endpoint = endpoint(set);
    let bound = set_server(HttpServer::new(endpoint.clone())).bind_tcp("127.0.0.1:0").unwrap();
    let address = bound.address().socket();
    let url = format!("http://{address}");
    let handle = bound.handle();
    Running { url, endpoint, handle, thread: Some(thread::spawn(|| bound.run())) }
}

impl Running {
    pub fn client(&self) -> HttpClient {
        HttpOptions::default().build(&self.url).unwrap()
    }

    pub fn connections(&self) -> usize {
        self.handle.connections()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop();
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

/// Answers the requests of one connection until `answer` returns `None`. Then it closes the connection.
pub fn converse(
    mut stream: impl Read + Write,
    mut answer: impl FnMut(Parts, Bytes) -> Option<Response<Vec<Bytes>>>,
) {
    let mut connection = ServerCodec::new(Limits::default());
    let mut head = None;
    loop {
        let next = connection.poll_event();
        let needs_input = matches!(next, Next::NeedInput);
        let is_closed = matches!(next, Next::Closed);
        match next.event() {
            Some(Event::Head(parts, _)) => {
                head = Some(parts);
                connection.read_body(1 << 26).unwrap();
            }
            Some(Event::Body(body)) => match answer(head.take().unwrap(), body) {
                Some(response) => connection.respond(response).unwrap(),
                None => return,
            },
            Some(event) => panic!("the client sent an invalid request: {event:?}"),
            None => {}
        }
        while let Some(outbox) = connection.poll_transmit() {
            let mut slices = [IoSlice::new(&[]); 16];
            let filled = outbox.chunks_vectored(&mut slices);
            let Ok(sent) = stream.write_vectored(&slices[..filled]) else { return };
            outbox.advance(sent);
        }
        stream.flush().unwrap();
        if is_closed {
            return;
        }
        if needs_input {
            match stream.read(connection.read_buf()) {
                Ok(0) | Err(_) => connection.receive_eof(),
                Ok(count) => connection.advance(count),
            }
        }
    }
}

/// Returns the response of an endpoint.
pub fn answer(endpoint: &Arc<Endpoint>, head: Parts, body: Bytes) -> Response<Vec<Bytes>> {
    let now = Duration::from_secs(1_000_000);
    let transaction = endpoint.begin(head, RequestOrigin { now, ..RequestOrigin::default() });
    let nothing = |_: &_| Failure::unsupported().into();
    run_inline(transaction, |_| Body::Whole(body), &|| now, nothing).expect("an answer").response
}

/// Accepts this many connections, one after the other, and handles each on its own thread.
pub fn accept(
    connections: usize,
    handle: impl Fn(usize, TcpStream) + Send + Sync + 'static,
) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let handle = Arc::new(handle);
    let thread = thread::spawn(move || {
        let mut threads = Vec::new();
        for index in 0..connections {
            let (socket, _) = listener.accept().unwrap();
            let handle = handle.clone();
            threads.push(thread::spawn(move || handle(index, socket)));
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    (url, thread)
}

pub fn status(status: u16, body: &'static [u8]) -> Response<Vec<Bytes>> {
    let mut response = Response::new(vec![Bytes::from_static(body)]);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

pub fn request(method: &str) -> Request<Vec<Bytes>> {
    Request::builder().method(method).body(Vec::new()).unwrap()
}
