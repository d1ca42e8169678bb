//! Replays the Python reference's conversations with itself: tests/golden, where capture.py describes the files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test, which reads files"
)]

mod client_role;
mod objects;
mod server_role;
mod transcript;

use crate::common::driver::{Rest, listen};
use crate::common::feed::drain;
use crate::common::replay::{Seen, config};
use crate::common::streams::{batches_of, items_of};
use crate::common::transcript::{Told, rows};
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use bytes::{Buf, Bytes};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use vgi_rpc_protocol::client::{self, CallKind};
use vgi_rpc_protocol::ipc::{
    BatchEncoder, EncodedSchema, Item, Metadata, Outbox, Reader, decode_batch, encode_batch,
};
use vgi_rpc_protocol::reflection::{self, ProtocolList, ServiceDescription};
use vgi_rpc_protocol::server::{self, Event, InputStream};
use vgi_rpc_protocol::wire::classify::{BatchKind, classify};
use vgi_rpc_protocol::wire::detail::{Detail, PreconditionFailure};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::keys;
use vgi_rpc_protocol::wire::log::LogMessage;
use vgi_rpc_protocol::{IdSource, Limits, Next};

/// One scenario of index.json with its bytes.
struct Scenario {
    name: String,
    method: String,
    kind: String,
    /// Type, code and kind of the error that the reference's client received.
    error: Option<[String; 3]>,
    /// Chunks in order, each true if from the client.
    chunks: Vec<(bool, Bytes)>,
    request: Bytes,
    response: Bytes,
}

fn scenarios() -> Vec<Scenario> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    let read = |name: String| Bytes::from(std::fs::read(folder.join(name)).unwrap());
    let index: Value = serde_json::from_slice(&read("index.json".into())).unwrap();
    let scenario = |(name, entry): (&String, &Value)| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let [request, response] = ["request", "response"].map(|side| read(format!("{name}.{side}.bin")));
        let (mut up, mut down) = (request.clone(), response.clone());
        let chunks = entry["chunks"].as_array().unwrap().iter().map(|chunk| {
            let (by_client, len) = (chunk[0] == "request", chunk[1].as_u64().unwrap() as usize);
            (by_client, if by_client { up.split_to(len) } else { down.split_to(len) })
        });
        let chunks = chunks.collect();
        assert!(up.is_empty() && down.is_empty(), "{name}: the chunks are complete");
        let error = &entry["error"];
        Scenario {
            name: name.clone(),
            method: text(&entry["method"]),
            kind: text(&entry["kind"]),
            error: (!error.is_null()).then(|| ["type", "code", "kind"].map(|field| text(&error[field]))),
            chunks,
            request,
            response,
        }
    };
    let scenarios: Vec<_> = index["scenarios"].as_object().unwrap().iter().map(scenario).collect();
    assert!(scenarios.len() > 120, "the capture is complete: {}", scenarios.len());
    scenarios
}

fn scenario(name: &str) -> Scenario {
    scenarios()
        .into_iter()
        .find(|scenario| scenario.name == name)
        .unwrap_or_else(|| panic!("no scenario {name}"))
}

const STREAMS_AMONG_SEVERAL: [&str; 2] = ["produce_n", "cancellable_exchange"];
const METHODS_WITH_HEADER: [&str; 6] = [
    "produce_with_header",
    "produce_with_header_and_logs",
    "produce_with_rich_header",
    "produce_dynamic_schema",
    "exchange_with_header",
    "exchange_with_rich_header",
];

impl Scenario {
    fn call_kind(&self, method: &str) -> CallKind {
        let stream = match self.kind.as_str() {
            "producer" | "exchange" => true,
            "several" => STREAMS_AMONG_SEVERAL.contains(&method),
            _ => false,
        };
        if stream {
            CallKind::Stream { header: METHODS_WITH_HEADER.contains(&method) }
        } else {
            CallKind::Unary
        }
    }
}

fn encoded(batch: &RecordBatch) -> EncodedSchema {
    EncodedSchema::new(batch.schema()).unwrap()
}

/// Whether this is a batch of a stream call's input, which the reference may send after the call has failed.
fn is_input(metadata: &Metadata, scenario: &Scenario) -> bool {
    scenario.kind != "by hand" && !metadata.contains_key(keys::METHOD)
}

/// Returns the requests in a stream of bytes, each with the input batches after it.
fn calls(request: &Bytes, scenario: &Scenario) -> Vec<(Metadata, Vec<(RecordBatch, Metadata)>)> {
    let mut calls: Vec<(Metadata, Vec<_>)> = Vec::new();
    for (batch, metadata) in batches_of(request) {
        match calls.last_mut() {
            Some((_, input)) if is_input(&metadata, scenario) => input.push((batch, metadata)),
            _ => calls.push((metadata, Vec::new())),
        }
    }
    calls
}

/// Every stream of the reference, encoded by us and decoded again.
#[test]
fn what_the_reference_wrote_reads_the_same_when_we_write_it() {
    let mut batches = 0;
    for scenario in scenarios() {
        for bytes in [&scenario.request, &scenario.response] {
            let items = items_of(bytes, &Limits::default()).unwrap();
            let (mut encoder, mut outbox) = (BatchEncoder::default(), Outbox::default());
            for item in &items {
                match item {
                    Item::Schema(schema) => {
                        let schema = EncodedSchema::new(schema.schema().clone()).unwrap();
                        encoder.open(&schema, &mut outbox);
                    }
                    Item::Batch(batch, metadata) => {
                        encoder.write(batch, metadata, &mut outbox).unwrap();
                        let single = encode_batch(batch, metadata).unwrap();
                        let (same, with) = decode_batch(single, &Limits::default()).unwrap();
                        assert_eq!((&same, &with), (batch, metadata), "{}", scenario.name);
                        batches += 1;
                    }
                    Item::EndOfStream => encoder.close(&mut outbox),
                }
            }
            let written = outbox.copy_to_bytes(outbox.len());
            let again = items_of(&written, &Limits::default()).unwrap();
            assert_eq!(again.len(), items.len(), "{}", scenario.name);
            for pair in items.iter().zip(&again) {
                match pair {
                    (Item::Schema(a), Item::Schema(b)) => assert_eq!(a.schema(), b.schema()),
                    (Item::Batch(a, x), Item::Batch(b, y)) => assert_eq!((a, x), (b, y), "{}", scenario.name),
                    (Item::EndOfStream, Item::EndOfStream) => {}
                    (a, b) => panic!("{}: {a:?} and {b:?}", scenario.name),
                }
            }
        }
    }
    assert!(batches > 300, "{batches} batches");
}
