//! The worker's spans and metrics against the reference's, for the same calls: both as receivers of OTLP got them.
//!
//! The reference's are in `reference.json`, which `capture.py` beside it writes and describes.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

mod compare;
#[path = "../../../drivers/otel/tests/otel/receiver.rs"]
mod receiver;
mod worker;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use compare::Comparison;
use http::header::{HeaderValue, USER_AGENT};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vgi_rpc_connect::{Client, Remote};
use vgi_rpc_http::client::HttpOptions;
use worker::Worker;

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/otel")
}

fn reference() -> Value {
    serde_json::from_str(&fs::read_to_string(here().join("reference.json")).unwrap()).unwrap()
}

fn request(scenario: &str) -> Vec<u8> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    fs::read(golden.join(format!("{scenario}.request.bin"))).unwrap()
}

#[test]
fn spans_of_calls_on_byte_streams_are_those_of_the_reference() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("worker.sock");
    let worker = Worker::start(&["--unix", socket.to_str().unwrap()]);
    let reference = reference();
    let mut comparison = Comparison::default();
    for (scenario, expected) in reference["wire"].as_object().unwrap() {
        worker.converse(&socket, &request(scenario));
        comparison.spans(scenario, expected, &worker.receiver.take_spans());
    }
    comparison.assert_equal(&compare::ON_BYTES);
    worker.end();
}

#[test]
fn spans_and_metrics_of_calls_over_http_are_those_of_the_reference() {
    let worker = Worker::start(&["--http", "0", "--sticky-auth"]);
    let reference = reference();
    let cases = reference["http"].as_object().unwrap();
    let mut comparison = Comparison::default();
    for (name, case) in cases {
        let Some(path) = case["path"].as_str() else { continue };
        let body = match name.as_str() {
            "with a trace in the metadata" | "with a trace in both" => {
                fs::read(here().join("traced.request.bin")).unwrap()
            }
            name if name.starts_with("with ") => request("echo_string"),
            name => request(name),
        };
        let length = usize::try_from(case["bytes"].as_u64().unwrap()).unwrap();
        worker.post(path, case["headers"].as_object().unwrap(), &body[..length]);
        comparison.spans(name, &case["spans"], &worker.receiver.take_spans());
    }
    let mut client = client(&worker);
    let remote = Remote::new("ConformanceService").version("2.0.0");
    let produced: Result<Vec<_>, _> = client
        .stream(&remote.method("produce_n"), &row("count", Arc::new(Int64Array::from(vec![3]))))
        .unwrap()
        .collect();
    assert_eq!(produced.unwrap().len(), 3);
    let name = "a producer of three";
    comparison.spans(name, &cases[name]["spans"], &worker.receiver.take_spans());
    let number = |name: &str, number: f64| row(name, Arc::new(Float64Array::from(vec![number])));
    let method = remote.method("exchange_scale");
    let mut stream = client.stream(&method, &number("factor", 2.0)).unwrap();
    for value in [1.0, 2.0] {
        stream.exchange(&number("value", value)).unwrap();
    }
    stream.close().unwrap();
    let name = "an exchange of two";
    comparison.spans(name, &cases[name]["spans"], &worker.receiver.take_spans());
    comparison.assert_equal(&compare::OVER_HTTP);

    let receiver = worker.receiver.clone();
    worker.end();
    let ours: BTreeMap<String, Value> = receiver.points().iter().map(compare::point).collect();
    let theirs: BTreeMap<String, Value> =
        reference["metrics"].as_array().unwrap().iter().map(compare::reference_point).collect();
    let only = |left: &BTreeMap<String, Value>, right: &BTreeMap<String, Value>| {
        let differs = |(key, value): &(&String, &Value)| right.get(*key) != Some(*value);
        left.iter().filter(differs).map(|(key, value)| format!("{key}: {value}")).collect::<Vec<_>>()
    };
    let refused_ours = |line: &String| compare::REFUSED_BY_OURS.iter().any(|series| line.contains(series));
    let [missing, extra] = [only(&theirs, &ours), only(&ours, &theirs)];
    assert!(missing.is_empty(), "the reference has, and we have not: {missing:#?}");
    let extra: Vec<_> = extra.into_iter().filter(|line| !refused_ours(line)).collect();
    assert!(extra.is_empty(), "we have, and the reference has not: {extra:#?}");
}

fn client(worker: &Worker) -> Client {
    // As the client of the capture called itself.
    let options = HttpOptions::default().header(USER_AGENT, HeaderValue::from_static("falcon-client/4.4.0"));
    options.build(&worker.url()).unwrap().client()
}

fn row(name: &str, column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter([(name, column)]).unwrap()
}

#[test]
fn callers_that_are_not_let_in_are_counted() {
    let worker = Worker::start(&["--http", "0", "--auth-reject-all"]);
    let length = usize::try_from(reference()["http"]["echo_string"]["bytes"].as_u64().unwrap()).unwrap();
    worker.post("/ConformanceService/echo_string", &Map::new(), &request("echo_string")[..length]);
    assert!(worker.receiver.take_spans().is_empty());
    let receiver = worker.receiver.clone();
    worker.end();
    let points = receiver.points();
    assert_eq!(points.len(), 1, "{points:#?}");
    assert_eq!((points[0].name.as_str(), points[0].count), ("rpc.server.auth_failure", 1));
    assert_eq!(points[0].attributes["rpc.service"], "ConformanceService");
}
