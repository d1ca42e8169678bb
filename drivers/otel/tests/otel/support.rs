//! A service, servers that run until the process ends, and providers that export to a receiver.

use crate::receiver::{Point, Received, Receiver};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::thread;
use vgi_rpc_client::{Client, Remote};
use vgi_rpc_effects::Performer;
use vgi_rpc_http::HttpServer;
use vgi_rpc_http::client::HttpOptions;
use vgi_rpc_otel::{Otel, OtelConfig};
use vgi_rpc_protocol::http::{Endpoint, EndpointBuilder};
use vgi_rpc_protocol::service::{
    CallContext, Exchange, Method, Producer, Protocol, Service, ServiceBuilder, Stream, Turn,
};
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_unix::SocketServer;

pub const PROTOCOL: &str = "test.Otel.v1";
pub const SERVER_ID: &str = "otel-server";

/// The tracing and metrics providers, and their receiver.
pub struct Setup {
    pub otel: Otel,
    pub receiver: Receiver,
    pub tracer: SdkTracerProvider,
    meter: SdkMeterProvider,
}

impl Setup {
    pub fn new() -> Self {
        Self::with(|config| config)
    }

    pub fn with(change: impl FnOnce(OtelConfig) -> OtelConfig) -> Self {
        let receiver = Receiver::start();
        let url = &receiver.url;
        let spans = SpanExporter::builder().with_http().with_endpoint(format!("{url}/v1/traces")).build();
        let tracer = SdkTracerProvider::builder().with_simple_exporter(spans.unwrap()).build();
        let metrics =
            MetricExporter::builder().with_http().with_endpoint(format!("{url}/v1/metrics")).build();
        let meter = SdkMeterProvider::builder().with_periodic_exporter(metrics.unwrap()).build();
        let config = OtelConfig::new().tracer_provider(&tracer).meter_provider(&meter);
        Self { otel: Otel::new(change(config)), receiver, tracer, meter }
    }

    /// Returns the spans that have ended since the last call.
    pub fn spans(&self) -> Vec<Received> {
        self.receiver.take_spans()
    }

    /// Returns the only span that has ended since then.
    pub fn span(&self) -> Received {
        let spans = self.spans();
        assert_eq!(spans.len(), 1, "{spans:#?}");
        spans.into_iter().next().unwrap()
    }

    /// Returns all points of one metric.
    pub fn points(&self, name: &str) -> Vec<Point> {
        self.meter.force_flush().unwrap();
        self.receiver.points().into_iter().filter(|point| point.name == name).collect()
    }
}

/// Returns the ids of the current span of this thread: trace, a dash, span.
pub fn current() -> String {
    Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        format!("{:032x}-{:016x}", span.trace_id(), span.span_id())
    })
}

pub fn ids(span: &Received) -> String {
    format!("{}-{}", span.trace, span.id)
}

#[derive(Serialize, Deserialize)]
struct Count(i64);

impl Producer for Count {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.0 == 0 {
            return turn.finish();
        }
        self.0 -= 1;
        turn.emit_columns(vec![Arc::new(Int64Array::from(vec![self.0]))])
    }
}

#[derive(Serialize, Deserialize)]
struct Negate;

impl Exchange for Negate {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        let n = input.column(0).as_primitive::<Int64Type>();
        turn.emit_columns(vec![Arc::new(n.unary::<_, Int64Type>(|n| -n))])
    }
}

pub fn numbers() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]))
}

pub fn number(n: i64) -> RecordBatch {
    RecordBatch::try_new(numbers(), vec![Arc::new(Int64Array::from(vec![n]))]).unwrap()
}

fn protocol() -> Protocol {
    Protocol::new(PROTOCOL).methods([
        Method::new("echo")
            .param("text", DataType::Utf8)
            .returns(DataType::Utf8)
            .unary(|args, _| Ok(args.get::<&str>("text")?.to_owned())),
        Method::new("large")
            .param("bytes", DataType::Int64)
            .returns(DataType::Utf8)
            .unary(|args, _| Ok("x".repeat(args.get::<i64>("bytes")? as usize))),
        Method::new("current").returns(DataType::Utf8).unary(|_, _| Ok(current())),
        Method::new("parent").returns(DataType::Utf8).unary(|_, context: &mut CallContext| {
            let [parent, state] = [context.traceparent(), context.tracestate()];
            Ok(format!("{} {}", parent.unwrap_or("none"), state.unwrap_or("none")))
        }),
        Method::new("fail").param("code", DataType::Utf8).returns(DataType::Int64).unary(|args, _| {
            let code =
                Code::ALL.into_iter().find(|code| Ok(code.as_str()) == args.get::<&str>("code").as_deref());
            Err::<i64, _>(RpcError::new("ValueError", "as asked").with_code(code.unwrap_or_default()))
        }),
        Method::new("count")
            .param("to", DataType::Int64)
            .output(numbers())
            .producer(|args, _| Ok(Stream::new(Count(args.get("to")?)))),
        Method::new("negate").input(numbers()).output(numbers()).exchange(|_, _| Ok(Stream::new(Negate))),
    ])
}

pub fn service(build: impl FnOnce(ServiceBuilder) -> ServiceBuilder) -> Arc<Service> {
    Arc::new(build(Service::builder(SERVER_ID).protocol(protocol())).build().unwrap())
}

pub fn remote() -> Remote {
    Remote::new(PROTOCOL)
}

/// Serves on TCP. Returns the address.
pub fn serve_tcp(service: Arc<Service>, performer: Option<Performer>) -> String {
    let server = SocketServer::new(service);
    let server = match performer {
        Some(performer) => server.effects(performer),
        None => server,
    };
    let bound = server.bind_tcp("0").unwrap();
    let address = bound.address().to_string().trim_start_matches("TCP:").to_owned();
    thread::spawn(move || bound.run());
    address
}

pub fn connect_tcp(service: &Arc<Service>) -> Client {
    vgi_rpc_unix::connect_tcp(&serve_tcp(service.clone(), None)).unwrap()
}

/// Serves over HTTP. Returns the URL.
pub fn serve_http(service: &Arc<Service>, build: impl FnOnce(EndpointBuilder) -> EndpointBuilder) -> String {
    let endpoint = build(Endpoint::builder(service.clone(), vgi_rpc_http::system_entropy)).build().unwrap();
    let bound = HttpServer::new(endpoint).bind_tcp("127.0.0.1:0").unwrap();
    let url = bound.address().to_string();
    thread::spawn(move || bound.run());
    url
}

pub fn connect_http(service: &Arc<Service>) -> Client {
    HttpOptions::default().build(&serve_http(service, |builder| builder)).unwrap().client()
}
