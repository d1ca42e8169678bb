//! A receiver of OTLP over HTTP with protobuf, on its own socket.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data, number_data_point::Value as Number};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::{Map, Value};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A span as it was received.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// Name and version of the tracer.
    pub scope: [String; 2],
    pub name: String,
    /// `server`, `client` and so on.
    pub kind: &'static str,
    /// 32 hex digits.
    pub trace: String,
    /// 16 hex digits.
    pub id: String,
    /// 16 hex digits, or none.
    pub parent: String,
    pub state: String,
    /// `unset`, `ok` or `error`.
    pub status: &'static str,
    pub message: String,
    pub attributes: Map<String, Value>,
    pub events: Vec<(String, Map<String, Value>)>,
}

/// One point of a metric as it was received.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Name and version of the meter.
    pub scope: [String; 2],
    pub name: String,
    pub unit: String,
    pub description: String,
    /// `sum` or `histogram`.
    pub kind: &'static str,
    /// The sum, or the number of values of the histogram.
    pub count: u64,
    /// The sum of a histogram's values.
    pub sum: f64,
    /// The bounds of a histogram's buckets.
    pub bounds: Vec<f64>,
    pub attributes: Map<String, Value>,
}

#[derive(Default)]
struct State {
    spans: Vec<Received>,
    /// Of the last export.
    points: Vec<Point>,
}

/// The exports to one URL.
#[derive(Clone)]
pub struct Receiver {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    /// Starts a receiver that runs until the process ends.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, state) = (stream.unwrap(), shared.clone());
                thread::spawn(move || serve(stream, &state));
            }
        });
        Self { url, state }
    }

    /// Returns the spans received since the last call, in the order in which they ended.
    pub fn take_spans(&self) -> Vec<Received> {
        std::mem::take(&mut self.state.lock().unwrap().spans)
    }

    /// Returns the points of the last export of metrics.
    pub fn points(&self) -> Vec<Point> {
        self.state.lock().unwrap().points.clone()
    }
}

/// Answers the requests of one connection.
fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let path = line.split(' ').nth(1).unwrap().to_owned();
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            let header = header.trim().to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if header.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        match path.as_str() {
            "/v1/traces" => state.lock().unwrap().spans.extend(spans_of(&body)),
            "/v1/metrics" => state.lock().unwrap().points = points_of(&body),
            _ => panic!("unexpected export to {path}"),
        }
        let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).unwrap();
    }
}

fn spans_of(body: &[u8]) -> Vec<Received> {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let scoped = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    scoped
        .flat_map(|scoped| {
            let scope = scope_of(scoped.scope);
            scoped.spans.into_iter().map(move |span| span_of(scope.clone(), span))
        })
        .collect()
}

fn span_of(scope: [String; 2], span: Span) -> Received {
    const KINDS: [&str; 6] = ["unspecified", "internal", "server", "client", "producer", "consumer"];
    const STATUSES: [&str; 3] = ["unset", "ok", "error"];
    let status = span.status.unwrap_or_default();
    Received {
        scope,
        name: span.name,
        kind: KINDS[usize::try_from(span.kind).unwrap()],
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        state: span.trace_state,
        status: STATUSES[usize::try_from(status.code).unwrap()],
        message: status.message,
        attributes: attributes_of(span.attributes),
        events: span.events.into_iter().map(|event| (event.name, attributes_of(event.attributes))).collect(),
    }
}

fn points_of(body: &[u8]) -> Vec<Point> {
    let request = ExportMetricsServiceRequest::decode(body).unwrap();
    let scoped = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
    scoped
        .flat_map(|scoped| {
            let scope = scope_of(scoped.scope);
            scoped.metrics.into_iter().flat_map(move |metric| points_of_metric(&scope, metric))
        })
        .collect()
}

fn points_of_metric(scope: &[String; 2], metric: Metric) -> Vec<Point> {
    let Metric { name, unit, description, data, .. } = metric;
    let point = |kind, count, sum, attributes| Point {
        scope: scope.clone(),
        name: name.clone(),
        unit: unit.clone(),
        description: description.clone(),
        kind,
        count,
        sum,
        bounds: Vec::new(),
        attributes: attributes_of(attributes),
    };
    match data.unwrap() {
        Data::Sum(sum) => sum
            .data_points
            .into_iter()
            .map(|number| match number.value.unwrap() {
                Number::AsInt(count) => point("sum", u64::try_from(count).unwrap(), 0.0, number.attributes),
                Number::AsDouble(_) => panic!("a counter of fractions"),
            })
            .collect(),
        Data::Histogram(histogram) => histogram
            .data_points
            .into_iter()
            .map(|values| Point {
                bounds: values.explicit_bounds,
                ..point("histogram", values.count, values.sum.unwrap_or_default(), values.attributes)
            })
            .collect(),
        other => panic!("unexpected kind of metric: {other:?}"),
    }
}

fn scope_of(scope: Option<InstrumentationScope>) -> [String; 2] {
    let scope = scope.unwrap_or_default();
    [scope.name, scope.version]
}

fn attributes_of(pairs: Vec<KeyValue>) -> Map<String, Value> {
    let value = |pair: KeyValue| match pair.value.and_then(|value| value.value) {
        Some(AnyValue::StringValue(text)) => (pair.key, text.into()),
        Some(AnyValue::BoolValue(truth)) => (pair.key, truth.into()),
        Some(AnyValue::IntValue(number)) => (pair.key, number.into()),
        Some(AnyValue::DoubleValue(number)) => (pair.key, number.into()),
        other => panic!("unexpected kind of attribute: {other:?}"),
    };
    pairs.into_iter().map(value).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
