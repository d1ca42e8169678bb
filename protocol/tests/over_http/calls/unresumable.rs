//! States that exist only in memory: all output in one response over HTTP; no difference on byte streams.

use super::support::*;
use crate::ask::init;
use crate::common::batches::*;
use crate::common::driver::Command;
use crate::common::scenarios::{send, stream, tick, values};
use crate::common::service::MAIN;
use crate::common::transcript::Told;
use crate::serve::{Answered, Server, serve};
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::DataType;
use std::sync::Arc;
use vgi_rpc_protocol::Next;
use vgi_rpc_protocol::client::{Call, CallKind};
use vgi_rpc_protocol::http::EndpointBuilder;
use vgi_rpc_protocol::http::client::{ClientMachine, Settings};
use vgi_rpc_protocol::ipc::{EncodedSchema, Item, Metadata};
use vgi_rpc_protocol::service::{
    Args, CallContext, Exchange, Method, MethodSpec, Producer, Saved, Service, State, Stream, Turn,
};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::log::LogMessage;

/// Emits one column repeatedly. The column makes it unserialisable.
struct Repeated {
    column: ArrayRef,
    left: i64,
    fails: bool,
}

impl Producer for Repeated {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        journal(turn).note("turn");
        if self.left == 0 {
            if self.fails {
                return Err(RpcError::value_error("failed at the end"));
            }
            return turn.finish();
        }
        self.left -= 1;
        turn.log(LogMessage::info(format!("{} left", self.left)));
        turn.emit_columns(vec![self.column.clone()])
    }
}

impl Exchange for Repeated {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        turn.emit(input.clone())
    }
}

fn specs() -> Vec<MethodSpec> {
    let numbers = || schema([("n", DataType::Int64)]);
    let repeat = |name: &str| {
        Method::new(name)
            .param("rows", DataType::Int64)
            .param("turns", DataType::Int64)
            .output(numbers())
            .header(schema([("turns", DataType::Int64)]))
    };
    let open = |fails: bool| {
        move |args: &Args, _: &mut CallContext| {
            let (rows, left): (i64, i64) = (args.get("rows")?, args.get("turns")?);
            let column: ArrayRef = Arc::new(Int64Array::from(vec![7; rows as usize]));
            let state = State::unresumable_producer(Repeated { column, left, fails });
            Ok(Stream::new(state).with_header(row([("turns", int(left))])))
        }
    };
    let never = || |_: Saved<'_>, _: &mut CallContext| Err(RpcError::runtime_error("nothing was saved"));
    let values = schema([("value", DataType::Float64)]);
    vec![
        repeat("repeat").stream(open(false), never()),
        repeat("repeat_and_fail").stream(open(true), never()),
        Method::new("copy").input(values.clone()).output(values).stream(
            |_, context| {
                context.log(LogMessage::info("opening"));
                let column = int(0);
                Ok(Stream::new(State::unresumable_exchange(Repeated { column, left: 0, fails: false })))
            },
            never(),
        ),
    ]
}

fn unresumable() -> (Arc<Service>, Journal) {
    service_of(specs(), |builder| builder)
}

fn server(set: impl FnOnce(EndpointBuilder) -> EndpointBuilder) -> (Server, Journal) {
    let (service, journal) = unresumable();
    (serve(service, set), journal)
}

fn repeat(rows: i64, turns: i64) -> RecordBatch {
    row([("rows", int(rows)), ("turns", int(turns))])
}

#[test]
fn a_producer_gives_all_of_its_output_in_one_response() {
    let (server, journal) = server(|builder| builder);
    let answered = server.send(init("repeat", repeat(1, 3)));
    // Clients accept one batch from the response that opens a stream.
    let told = ["data 3", "INFO 2 left", "INFO 1 left", "INFO 0 left", "data 7"];
    assert_eq!((answered.status, answered.is_marked()), (200, false));
    assert_eq!(answered.told(), told);
    assert_eq!(answered.data()[1].0.num_rows(), 3);
    assert_eq!((answered.cursor(), answered.call_token()), (None, None));
    // A stream for the header and one for the data, each with an end marker.
    let ends = answered.items().iter().filter(|item| matches!(item, Item::EndOfStream)).count();
    assert_eq!(ends, 2);
    let turns = journal.take();
    assert_eq!(turns.iter().filter(|line| *line == "turn").count(), 4);
    let record = answered.record.unwrap();
    assert_eq!((record.statistics.output.batches, record.error), (4, None));
    assert_eq!(record.http.unwrap().response_state_bytes, None);
}

#[test]
fn a_producer_without_output_ends_cleanly() {
    let (server, _) = server(|builder| builder);
    let answered = server.send(init("repeat", repeat(1, 0)));
    assert_eq!((answered.is_marked(), answered.told()), (false, vec!["data 0".to_owned()]));
}

#[test]
fn a_producer_that_fails_late_keeps_what_it_gave() {
    let (server, _) = server(|builder| builder);
    let answered = server.send(init("repeat_and_fail", repeat(1, 1)));
    assert!(answered.is_marked());
    assert_eq!(answered.told(), ["data 1", "INFO 0 left", "data 7", "error ValueError"]);
}

#[track_caller]
fn assert_too_large(answered: &Answered) {
    assert_eq!((answered.status, answered.is_marked()), (200, true));
    assert_eq!(answered.error().error_type(), "ResponseTooLargeError");
    assert_eq!(answered.told(), ["error ResponseTooLargeError"], "nothing else is sent");
    assert!(answered.body.len() < 20_000, "{}", answered.body.len());
    let record = answered.record.as_ref().unwrap();
    assert_eq!(record.error.as_ref().unwrap().error_type(), "ResponseTooLargeError");
}

#[test]
fn output_beyond_the_response_limit_is_an_error_in_its_place() {
    let (server, journal) = server(|builder| builder.max_response_bytes(Some(100_000)));
    assert!(!server.send(init("repeat", repeat(1000, 8))).is_marked());
    journal.take();
    assert_too_large(&server.send(init("repeat", repeat(1000, 1000))));
    let turns = journal.take().iter().filter(|line| *line == "turn").count();
    assert!(turns < 20, "it is not called again: {turns}");
    // One batch too many; it is the last one.
    assert_too_large(&server.send(init("repeat", repeat(1000, 13))));
    assert_too_large(&server.send(init("repeat", repeat(20_000, 1))));
}

#[test]
fn what_the_client_accepts_is_a_limit_too() {
    use crate::ask::With;
    let (server, _) = server(|builder| builder);
    let request = init("repeat", repeat(1000, 1000)).with("vgi-accept-max-response-bytes", "70000");
    assert_too_large(&server.send(request));
}

#[test]
fn an_endless_producer_ends_with_an_error_where_no_limit_is_set() {
    let (server, _) = server(|builder| builder.compress(false));
    // The batches share their memory, so this test needs little.
    assert_too_large(&server.send(init("repeat", repeat(1 << 20, i64::MAX))));
}

#[test]
fn an_endless_producer_ends_at_the_memory_budget() {
    let (server, _) = server(|builder| builder.compress(false));
    let (budget, account) = budget();
    let mut visit = Visit::with_account(&server, init("repeat", repeat(1 << 17, i64::MAX)), account);
    let answered = visit.answer();
    assert!(answered.is_marked(), "{:?}", answered.told().last());
    drop(visit);
    assert_eq!(budget.used(), 0);
}

#[test]
fn batches_without_rows_come_to_an_end_too() {
    let (server, _) = server(|builder| builder.max_response_bytes(Some(100_000)));
    assert_too_large(&server.send(init("repeat", repeat(0, i64::MAX))));
}

#[test]
fn what_is_gathered_is_held_within_the_budget() {
    let (server, _) = server(|builder| builder.compress(false));
    let (budget, account) = budget();
    let mut visit = Visit::with_account(&server, init("repeat", repeat(0, i64::MAX)), account);
    assert!(visit.answer().is_marked());
    drop(visit);
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_producer_stops_when_its_client_has_gone() {
    let (server, _) = server(|builder| builder.compress(false).max_response_bytes(None));
    let mut visit = Visit::begin(&server, init("repeat", repeat(0, i64::MAX)));
    let work = visit.work();
    let now = visit.now;
    drop(visit);
    let mut done = work.run(&|| now);
    let record = done.take_record(now).expect("the call had begun");
    assert_eq!(record.error.unwrap().code(), vgi_rpc_protocol::wire::code::Code::Cancelled);
}

#[test]
fn an_exchange_cannot_be_opened_over_http() {
    let (server, _) = server(|builder| builder);
    let answered = server.send(init("copy", no_columns(1)));
    assert_eq!((answered.status, answered.is_marked()), (200, true));
    assert_eq!(answered.told(), ["INFO opening", "error RuntimeError"]);
    assert!(answered.error().message().contains("cannot be continued over HTTP"));
}

#[test]
fn on_bytes_both_are_streams_like_others() {
    let (service, _) = unresumable();
    let mut wire = Wire::new(&service);
    wire.play(stream("copy", no_columns(1)));
    assert_eq!(wire.play(send(values([1.0]))), ["output value=1.0"]);
    assert_eq!(wire.play(send(values([2.0]))), ["output value=2.0"]);
    assert_eq!(wire.play(Command::Close), ["finished"]);
    let open = crate::common::scenarios::stream_with_header("repeat", repeat(1, 1));
    assert_eq!(wire.play(open), ["header turns=1"]);
    assert_eq!(wire.play(tick()), ["log INFO 0 left", "output n=7"]);
    assert_eq!(wire.play(tick()), ["finished"]);
}

#[test]
fn nothing_is_sealed_of_a_producer_that_ends_with_its_response() {
    let open = |args: &Args, _: &mut CallContext| {
        let column = int(7);
        let state = State::unresumable_producer(Repeated { column, left: 1, fails: false });
        // More than fits in a token.
        Stream::new(state).with_call_state(&"x".repeat(args.get::<i64>("bytes")? as usize))
    };
    let spec = Method::new("large")
        .param("bytes", DataType::Int64)
        .output(schema([("n", DataType::Int64)]))
        .stream(open, |_, _| Err(RpcError::runtime_error("nothing was saved")));
    let server = serve(service_of(vec![spec], |builder| builder).0, |builder| builder);
    let answered = server.send(init("large", row([("bytes", int((64 << 20) + 1))])));
    assert_eq!((answered.is_marked(), answered.told()), (false, vec!["INFO 0 left".into(), "data 7".into()]));
}

#[test]
fn a_client_reads_all_output_of_the_one_response() {
    let (server, _) = server(|builder| builder);
    let mut settings = Settings::default();
    (settings.prefix, settings.max_response_bytes) = ("/vgi".into(), None);
    let mut caller = ClientMachine::new(settings).unwrap();
    let row = repeat(1, 3);
    let call = Call {
        protocol: MAIN,
        method: "repeat",
        protocol_version: None,
        request_id: None,
        kind: CallKind::Stream { header: true },
        metadata: Metadata::new(),
    };
    caller.call(&call, &EncodedSchema::new(row.schema()).unwrap(), &row).unwrap();
    let mut heard = Vec::new();
    for _ in 0..5 {
        while let Some(request) = caller.poll_request() {
            let request = request.map(|body| bytes::Bytes::from(body.concat()));
            assert!(request.uri().path().ends_with("/init"), "there is only this request");
            let answered = server.send(request);
            let mut response = http::Response::new(answered.body);
            *response.headers_mut() = answered.headers;
            caller.receive(response).unwrap();
        }
        while let Next::Event(event) = caller.poll_event() {
            heard.push(Told::from(event).line());
        }
        if !caller.is_idle() {
            caller.tick(&Metadata::new()).unwrap();
        }
    }
    let expected = [
        "header turns=3",
        "log INFO 2 left",
        "log INFO 1 left",
        "log INFO 0 left",
        "output n=7; n=7; n=7",
        "finished",
    ];
    assert_eq!(heard, expected);
}
