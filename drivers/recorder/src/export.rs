//! Exports captures as test files: golden conversations and seeds of fuzz targets.

use crate::capture::{Capture, Direction, What};
use crate::redact::arrow_streams::Streams;
use bytes::Bytes;
use serde_json::{Value, json};
use thiserror::Error;
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::ipc::{Item, Reader};
use vgi_rpc_protocol::service::TransportKind;
use vgi_rpc_protocol::wire::classify::{BatchKind, classify};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::keys;

/// A conversation in the form of the tests in `tests/golden`.
#[derive(Clone, Debug, PartialEq)]
pub struct Golden {
    /// The bytes of `NAME.request.bin`.
    pub request: Vec<u8>,
    /// The bytes of `NAME.response.bin`.
    pub response: Vec<u8>,
    /// The value of `NAME` in `index.json`, under `scenarios`.
    pub entry: Value,
}

impl Golden {
    /// Adds the entry to the text of an `index.json` under a name. The rest of the text is unchanged.
    ///
    /// # Errors
    /// If the text is not JSON with an object `scenarios`, or already has a conversation of this name.
    pub fn add_to_index(&self, index: &str, name: &str) -> Result<String, ExportError> {
        let mut expected: Value =
            serde_json::from_str(index).map_err(|error| ExportError::Index(error.to_string()))?;
        let no_scenarios = || ExportError::Index("it has no object \"scenarios\"".into());
        let scenarios =
            expected.get_mut("scenarios").and_then(Value::as_object_mut).ok_or_else(no_scenarios)?;
        if scenarios.contains_key(name) {
            return Err(ExportError::Index(format!("it has a conversation {name:?} already")));
        }
        let is_first = scenarios.is_empty();
        scenarios.insert(name.to_owned(), self.entry.clone());
        // The object ends at the brace where inserting the entry results in the expected document.
        for (end, _) in index.rmatch_indices('}') {
            let (before, after) = index.split_at(end);
            let (before, comma) = (before.trim_end(), if is_first { "" } else { "," });
            let entry = format!("{comma}\n    {}: {}\n  ", Value::from(name), self.entry);
            let text = [before, &entry, after].concat();
            if serde_json::from_str::<Value>(&text).is_ok_and(|found| found == expected) {
                return Ok(text);
            }
        }
        Err(no_scenarios())
    }
}

/// Why a capture cannot be exported as a test.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// These tests do not support the capture's transport.
    #[error("expected a capture of {expected}, got one of {got}")]
    Transport {
        /// The expected transport.
        expected: &'static str,
        /// The capture's transport.
        got: TransportKind,
    },
    /// The capture contains no call.
    #[error("expected at least one call in the capture, got none")]
    NoCall,
    /// There is no fuzz target of this name for captures.
    #[error(
        "expected one of the targets server_session, client_connection, ipc_raw, http1_server, http1_client and capture, got {0:?}"
    )]
    Target(String),
    /// The entry cannot be added to the index of golden conversations.
    #[error("the index cannot take another conversation: {0}")]
    Index(String),
}

impl Capture {
    /// Makes a golden conversation. Truncated or withheld parts at the end of the capture are omitted.
    ///
    /// # Errors
    /// If the capture is of HTTP, or contains no call.
    pub fn golden(&self) -> Result<Golden, ExportError> {
        let got = self.header.transport;
        if got == TransportKind::Http {
            return Err(ExportError::Transport { expected: "a pipe or a socket", got });
        }
        let [mut request, mut response] =
            [self.requests(), self.responses()].map(|direction| self.bytes(direction));
        for bytes in [&mut request, &mut response] {
            let complete = Streams::read(bytes).complete_bytes();
            bytes.truncate(complete);
        }
        let calls = calls(&request);
        let (protocol, first) = calls.first().cloned().ok_or(ExportError::NoCall)?;
        let has_input = Streams::read(&request).streams.len() > calls.len();
        let kind = match (calls.len(), has_input) {
            (1, false) => "unary",
            (1, true) => match is_producer(&request) {
                true => "producer",
                false => "exchange",
            },
            _ => "several",
        };
        let methods: Vec<String> = calls.into_iter().map(|(_, method)| method).collect();
        let method = if methods.len() == 1 { first } else { methods.join(", ") };
        let mut chunks: Vec<(&str, usize)> = Vec::new();
        let (mut requests, mut responses) = (request.len(), response.len());
        for record in &self.records {
            let (name, left, count) = match (&record.what, self.requests()) {
                (What::Received(bytes), Direction::Received) | (What::Sent(bytes), Direction::Sent) => {
                    ("request", &mut requests, bytes.len())
                }
                (What::Received(bytes) | What::Sent(bytes), _) => ("response", &mut responses, bytes.len()),
                _ => continue,
            };
            let count = count.min(*left);
            *left -= count;
            match chunks.last_mut() {
                _ if count == 0 => {}
                Some((last, total)) if *last == name => *total += count,
                _ => chunks.push((name, count)),
            }
        }
        let error = error(&response).map_or(Value::Null, |error| {
            json!({ "type": error.error_type(), "code": error.code().as_str(), "kind": error.kind().unwrap_or_default() })
        });
        let chunks: Vec<Value> = chunks.into_iter().map(|(name, count)| json!([name, count])).collect();
        let entry =
            json!({ "protocol": protocol, "method": method, "kind": kind, "error": error, "chunks": chunks });
        Ok(Golden { request, response, entry })
    }

    /// Makes a seed of a fuzz target, by the target's name.
    ///
    /// # Errors
    /// If there is no such target, or it is for another transport.
    pub fn seed(&self, target: &str) -> Result<Vec<u8>, ExportError> {
        let got = self.header.transport;
        let is_http = got == TransportKind::Http;
        let of = |expects_http: bool, plan: &[u8], direction| match is_http == expects_http {
            true => Ok([plan, &self.bytes(direction)].concat()),
            false => {
                let expected = if expects_http { "http" } else { "a pipe or a socket" };
                Err(ExportError::Transport { expected, got })
            }
        };
        match target {
            "server_session" | "ipc_raw" => of(false, &[], self.requests()),
            // The first byte selects the client's call: see the target.
            "client_connection" => of(false, &[0], self.responses()),
            "http1_server" => of(true, &[0; 4], self.requests()),
            "http1_client" => of(true, &[0; 4], self.responses()),
            "capture" => Ok(self.encode()),
            other => Err(ExportError::Target(other.to_owned())),
        }
    }
}

/// Returns the batches up to the first error.
fn batches(bytes: &[u8]) -> Vec<(arrow_array::RecordBatch, vgi_rpc_protocol::ipc::Metadata)> {
    let mut reader = Reader::new(Limits::default());
    reader.receive(Bytes::copy_from_slice(bytes));
    let mut batches = Vec::new();
    while let Ok(Some(item)) = reader.next_item() {
        if let Item::Batch(batch, metadata) = item {
            batches.push((batch, metadata));
        }
    }
    batches
}

/// Returns the protocol and method of each call.
fn calls(request: &[u8]) -> Vec<(String, String)> {
    let text = |found: Option<&str>| found.unwrap_or_default().to_owned();
    let batches = batches(request).into_iter().filter(|(_, metadata)| metadata.contains_key(keys::METHOD));
    let calls = batches
        .map(|(_, metadata)| (text(metadata.get_str(keys::PROTOCOL)), text(metadata.get_str(keys::METHOD))));
    calls.collect()
}

/// Whether the inputs of a stream have no columns.
fn is_producer(request: &[u8]) -> bool {
    let inputs = batches(request).into_iter().filter(|(_, metadata)| !metadata.contains_key(keys::METHOD));
    inputs.into_iter().all(|(batch, _)| batch.num_columns() == 0)
}

/// Returns the last error in the responses.
fn error(response: &[u8]) -> Option<RpcError> {
    let errors = batches(response).into_iter().filter_map(|(batch, metadata)| {
        (classify(batch.num_rows(), Some(&metadata)) == BatchKind::Error)
            .then(|| RpcError::from_metadata(&metadata))
    });
    errors.last()
}
