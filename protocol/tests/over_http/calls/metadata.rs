//! The metadata that a handler and its turns see: their request's and their input's, without the transport's keys.

use super::support::*;
use crate::ask::{Tokens, post, routing, turn_of};
use crate::common::batches::*;
use crate::common::driver::Command;
use crate::common::scenarios::{metadata, tick, values};
use crate::common::service::MAIN;
use crate::common::streams::stream_of;
use crate::serve::{Answered, Server, serve};
use arrow_array::RecordBatch;
use arrow_schema::DataType;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use vgi_rpc_protocol::client::CallKind;
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::service::{CallContext, Exchange, Method, MethodSpec, Producer, Service, Stream, Turn};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::keys;

/// Records the metadata of each turn.
#[derive(Serialize, Deserialize)]
struct Sees {}

fn line(what: &str, context: &CallContext) -> String {
    let mark = context.metadata().get_str("mark").unwrap_or("-");
    let trace = context.traceparent().unwrap_or("-");
    format!("{what} mark={mark} trace={trace}")
}

fn note_turn(turn: &Turn) {
    let own = turn.input_metadata();
    let mark = own.get_str("mark").unwrap_or("-");
    let of_transport = [keys::STREAM_STATE, keys::CALL_STATE, keys::CANCEL, keys::LOCATION_SHA256];
    assert!(of_transport.iter().all(|key| !own.contains_key(key)), "{own:?}");
    journal(turn).note(format!("{} input={mark}", line("turn", turn)));
}

impl Producer for Sees {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        note_turn(turn);
        turn.emit_columns(vec![int(1)])
    }
}

impl Exchange for Sees {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        note_turn(turn);
        turn.emit(input.clone())
    }
}

fn specs() -> Vec<MethodSpec> {
    let values = schema([("value", DataType::Float64)]);
    let open = |context: &CallContext| journal(context).note(line("open", context));
    vec![
        Method::new("produce").output(schema([("n", DataType::Int64)])).producer(move |_, context| {
            open(context);
            Ok(Stream::new(Sees {}))
        }),
        Method::new("exchange").input(values.clone()).output(values).exchange(move |_, context| {
            open(context);
            Ok(Stream::new(Sees {}))
        }),
    ]
}

fn seeing() -> (Arc<Service>, Journal) {
    service_of(specs(), |builder| builder)
}

/// Returns only the notes of handlers and turns.
fn seen(journal: &Journal) -> Vec<String> {
    let mut noted = journal.take();
    noted.retain(|line| line.starts_with("turn") || line.starts_with("open"));
    noted
}

/// Returns the metadata of a request with this mark.
fn marked(method: &str, mark: &str) -> Metadata {
    let mut metadata = routing(MAIN, method);
    metadata.push("mark", mark);
    metadata.push(keys::TRACEPARENT, format!("00-{mark}"));
    metadata
}

fn open(method: &str) -> Command {
    let metadata = marked(method, "request");
    Command::Request { kind: CallKind::Stream { header: false }, row: no_columns(1), metadata }
}

#[test]
fn turns_on_bytes_see_the_metadata_of_the_request_and_of_their_input() {
    let (service, journal) = seeing();
    let mut wire = Wire::new(&service);
    wire.play(open("produce"));
    wire.play(Command::Tick(metadata([("mark", "tick")])));
    wire.play(tick());
    let expected = [
        "open mark=request trace=00-request",
        "turn mark=request trace=00-request input=tick",
        "turn mark=request trace=00-request input=-",
    ];
    assert_eq!(seen(&journal), expected);
    wire.play(Command::Cancel);
    wire.play(open("exchange"));
    wire.play(Command::Send(values([1.0]), metadata([("mark", "input")])));
    let expected = ["open mark=request trace=00-request", "turn mark=request trace=00-request input=input"];
    assert_eq!(seen(&journal), expected);
}

fn init(server: &Server, method: &str) -> Answered {
    let body = stream_of(&[(no_columns(1), marked(method, "request"))]);
    server.send(post(&format!("/vgi/{MAIN}/{method}/init"), body))
}

#[test]
fn turns_over_http_see_the_metadata_of_their_own_request() {
    let (service, journal) = seeing();
    let server = serve(service, |builder| builder);
    let tokens = Tokens::of(&init(&server, "produce"));
    // The request that opens a producer is also its first input.
    let expected = ["open mark=request trace=00-request", "turn mark=request trace=00-request input=request"];
    assert_eq!(seen(&journal), expected);
    let more = [("mark", "turn"), (keys::TRACEPARENT, "00-turn")];
    server.send(turn_of((MAIN, "produce"), no_columns(0), &tokens, &more));
    server.send(turn_of((MAIN, "produce"), no_columns(0), &tokens, &[]));
    let expected = ["turn mark=turn trace=00-turn input=turn", "turn mark=- trace=- input=-"];
    assert_eq!(seen(&journal), expected);

    let tokens = Tokens::of(&init(&server, "exchange"));
    assert_eq!(seen(&journal), ["open mark=request trace=00-request"]);
    server.send(turn_of((MAIN, "exchange"), values([1.0]), &tokens, &more));
    assert_eq!(seen(&journal), ["turn mark=turn trace=00-turn input=turn"]);
}

/// Records all keys of its request.
#[derive(Serialize, Deserialize)]
struct Keys {}

impl Producer for Keys {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        let mut seen: Vec<_> = turn.metadata().iter().map(|(key, _)| String::from_utf8_lossy(key)).collect();
        seen.sort_unstable();
        journal(turn).note(format!("turn {}", seen.join(" ")));
        turn.emit_columns(vec![int(1)])
    }
}

#[test]
fn turns_over_http_see_no_token() {
    let spec = Method::new("keys")
        .output(schema([("n", DataType::Int64)]))
        .producer(|_, _| Ok(Stream::new(Keys {})));
    let (service, journal) = service_of(vec![spec], |builder| builder);
    let server = serve(service, |builder| builder);
    let tokens = Tokens::of(&init(&server, "keys"));
    seen(&journal);
    let more = [("mark", "turn"), (keys::TRACEPARENT, "00-turn"), (keys::REQUEST_ID, "request-7")];
    server.send(turn_of((MAIN, "keys"), no_columns(0), &tokens, &more));
    let seen = seen(&journal);
    assert!(seen[0].contains("mark") && seen[0].contains("traceparent"), "{seen:?}");
    assert!(!seen[0].contains("state"), "{seen:?}");
}
