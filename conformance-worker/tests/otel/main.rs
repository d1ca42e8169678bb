//! Compares the worker's spans and metrics with the reference's, for the same calls: both as received over OTLP.
//!
//! The reference's are in `reference.json`, which `capture.py` writes and describes.
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
mod store;
mod worker;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use bytes::Buf;
use compare::Comparison;
use http::header::{HeaderValue, USER_AGENT};
use receiver::Received;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::Store;
use vgi_rpc_connect::{Client, Remote};
use vgi_rpc_http::client::HttpOptions;
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::client::{Call, CallKind, Connection};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::wire::keys;
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
    comparison.assert_equal(20, &compare::ON_BYTES);
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
    comparison.assert_equal(20, &compare::OVER_HTTP);

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
    assert!(missing.is_empty(), "only in the reference: {missing:#?}");
    let extra: Vec<_> = extra.into_iter().filter(|line| !refused_ours(line)).collect();
    assert!(extra.is_empty(), "only in ours: {extra:#?}");
}

/// Returns a request to echo a text, or the object in its place.
fn echo(text: &str, pointer: Option<String>) -> Vec<u8> {
    let batch = row("value", Arc::new(StringArray::from(vec![text])));
    let (batch, metadata) = match pointer {
        Some(url) => (batch.slice(0, 0), [(keys::LOCATION, url.as_str())].into_iter().collect()),
        None => (batch, Metadata::new()),
    };
    let call = Call {
        protocol: "ConformanceService",
        method: "echo_string",
        protocol_version: Some("2.0.0"),
        request_id: None,
        kind: CallKind::Unary,
        metadata,
    };
    let mut client = Connection::new(Limits::default());
    client.call(&call, &EncodedSchema::new(batch.schema()).unwrap(), &batch).unwrap();
    let outbox = client.poll_transmit().unwrap();
    outbox.copy_to_bytes(outbox.remaining()).to_vec()
}

/// Normalizes spans like the capture's spans of transfers: without address, times, and their own ids.
fn without_chance(mut spans: Vec<Received>, store: &Store) -> Vec<Received> {
    let all = format!("{spans:?}");
    assert!(!all.contains("s3cr3t") && !all.contains("password"), "{all}");
    let names: BTreeMap<String, String> =
        spans.iter().map(|span| (span.id.clone(), span.name.clone())).collect();
    let shorten = |text: &str| text.replace(&store.address, "STORE");
    for span in &mut spans {
        span.parent = names.get(&span.parent).unwrap_or(&span.parent).clone();
        (span.trace, span.message) = (String::new(), shorten(&span.message));
        let events = span.events.iter_mut().map(|(_, attributes)| attributes);
        for (name, value) in events.chain([&mut span.attributes]).flatten() {
            match value.as_str() {
                Some(text) => *value = shorten(text).into(),
                None if name == "fetch_duration_ms" && value.as_f64() > Some(0.0) => *value = 0.into(),
                None => {}
            }
        }
    }
    spans
}

#[test]
fn spans_of_transfers_are_those_of_the_reference() {
    let folder = tempfile::tempdir().unwrap();
    let reference = reference();
    let cases = &reference["external"];
    let mut comparison = Comparison::default();
    for coding in ["none", "zstd"] {
        let (store, socket) = (Store::start(), folder.path().join(coding));
        let url = format!("http://{}", store.address);
        let flags = ["--unix", socket.to_str().unwrap(), "--fake-storage", &url, "--compression", coding];
        let worker = Worker::start(&flags);
        let mut compare = |name: &str, request: &[u8]| {
            worker.converse(&socket, request);
            let spans = without_chance(worker.receiver.take_spans(), &store);
            comparison.spans(name, &cases[name], &spans);
        };
        let long = echo(&"long ".repeat(2000), None);
        if coding == "zstd" {
            compare("an output that is stored with a coding", &long);
        } else {
            compare("an output that is stored", &long);
            let length =
                usize::try_from(reference["http"]["echo_string"]["bytes"].as_u64().unwrap()).unwrap();
            store.put("/objects/given", &request("echo_string")[..length]);
            compare("a request that is fetched", &echo("", Some(store.url("/objects/given"))));
            compare("a request whose object is gone", &echo("", Some(store.url("/objects/gone"))));
        }
        worker.end();
    }
    comparison.assert_equal(7, &compare::OF_TRANSFERS);
}

fn client(worker: &Worker) -> Client {
    // The user agent of the capture's client.
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
