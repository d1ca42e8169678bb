//! Stream methods whose handlers choose for each call whether it is a producer or an exchange.

use super::support::*;
use crate::ask::{Tokens, cancel as http_cancel, init, tick as http_tick, turn as http_turn};
use crate::common::batches::*;
use crate::common::driver::Command;
use crate::common::scenarios::{send, stream, tick, values};
use crate::serve::{Server, keys, serve};
use arrow_array::RecordBatch;
use arrow_schema::DataType;
use std::sync::Arc;
use vgi_rpc_protocol::reflection;
use vgi_rpc_protocol::service::{Method, MethodKind, MethodSpec, Service, State, Stream, StreamKind};
use vgi_rpc_protocol::wire::error::RpcError;

/// Returns a method that opens the kind of stream that its argument names.
fn either() -> MethodSpec {
    Method::new("either").param("kind", DataType::Utf8).stream(
        |args, _| match args.get::<&str>("kind")? {
            "producer" => Ok(Stream::new(State::producer(Count { next: 0, count: 3 }))
                .with_output(schema([("n", DataType::Int64)]))),
            "exchange" => {
                let values = schema([("value", DataType::Float64)]);
                Ok(Stream::new(State::exchange(Double {})).with_input(values.clone()).with_output(values))
            }
            kind => Err(RpcError::value_error(format!("no kind {kind:?}"))),
        },
        |saved, context| {
            journal(context).note(format!("restore producer={}", saved.is_producer()));
            match saved.is_producer() {
                true => Ok(State::producer(saved.state::<Count>()?)),
                false => Ok(State::exchange(saved.state::<Double>()?)),
            }
        },
    )
}

fn either_service() -> (Arc<Service>, Journal) {
    service_of(vec![either()], |builder| builder)
}

fn kind(kind: &str) -> RecordBatch {
    row([("kind", text(kind))])
}

#[test]
fn a_producer_and_an_exchange_of_one_method_on_one_connection() {
    let (service, journal) = either_service();
    let mut wire = Wire::new(&service);
    assert_eq!(wire.play(stream("either", kind("producer"))), Vec::<String>::new());
    assert_eq!(wire.play(tick()), ["output n=0"]);
    assert_eq!(wire.play(tick()), ["output n=1"]);
    assert_eq!(wire.play(tick()), ["output n=2"]);
    assert_eq!(wire.play(tick()), ["finished"]);
    wire.play(stream("either", kind("exchange")));
    assert_eq!(wire.play(send(values([1.0, 2.5]))), ["output value=2.0; value=5.0"]);
    assert_eq!(wire.play(send(values([4.0]))), ["output value=8.0"]);
    assert_eq!(wire.play(Command::Close), ["finished"]);
    let failed = wire.play(stream("either", kind("neither")));
    assert_eq!(failed, ["failed ValueError: no kind \"neither\"", "finished"]);
    wire.play(stream("either", kind("producer")));
    assert_eq!(wire.play(Command::Cancel), ["finished"]);
    let noted = journal.take();
    assert_eq!(noted.iter().filter(|line| *line == "cancel").count(), 1);
    assert!(!noted.iter().any(|line| line.starts_with("restore")), "the state is not restored: {noted:?}");
}

#[test]
fn input_is_counted_for_the_exchange_alone() {
    let (service, _) = either_service();
    let mut wire = Wire::new(&service);
    wire.play(stream("either", kind("exchange")));
    wire.play(send(values([1.0, 2.5])));
    wire.play(Command::Close);
    wire.play(stream("either", kind("producer")));
    (0..4).for_each(|_| drop(wire.play(tick())));
    let records = wire.records();
    let moved: Vec<_> =
        records.iter().map(|record| (record.statistics.input.rows, record.statistics.output.rows)).collect();
    // The row of the request also counts as input.
    assert_eq!(moved, [(3, 2), (1, 3)]);
}

/// Plays both kinds, each turn on the next of these servers.
fn play(servers: &[Server]) {
    let mut servers = servers.iter().cycle();
    let mut next = || servers.next().unwrap();
    let opened = next().send(init("either", kind("producer")));
    assert_eq!(opened.told(), ["data 0", "token"], "an init is a producer's first turn");
    let mut tokens = Tokens::of(&opened);
    for expected in ["data 1", "data 2"] {
        let answered = next().send(http_tick("either", &tokens));
        assert_eq!(answered.told(), [expected, "token"]);
        tokens.follow(&answered);
    }
    assert_eq!(next().send(http_tick("either", &tokens)).told(), Vec::<String>::new());

    let opened = next().send(init("either", kind("exchange")));
    assert_eq!(opened.told(), ["token"], "an exchange waits for its first input");
    let mut tokens = Tokens::of(&opened);
    for (value, expected) in [(1.0, "data 2.0"), (2.5, "data 5.0"), (4.0, "data 8.0")] {
        let answered = next().send(http_turn("either", values([value]), &tokens));
        assert_eq!(answered.told(), [expected], "the cursor travels on the data");
        tokens.follow(&answered);
    }
    assert_eq!(next().send(init("either", kind("neither"))).error().error_type(), "ValueError");
}

#[test]
fn both_kinds_go_on_over_http() {
    let (service, journal) = either_service();
    play(&[serve(service, |builder| builder)]);
    let noted = journal.take();
    let restored = |kind: &str| noted.iter().filter(|line| *line == kind).count();
    assert_eq!((restored("restore producer=true"), restored("restore producer=false")), (3, 3));
}

#[test]
fn the_call_token_carries_the_kind_where_no_call_is_cached() {
    let servers =
        [0; 2].map(|_| serve(either_service().0, |builder| builder.cached_calls(0).token_keys(keys(1, []))));
    play(&servers);
    let servers = [0; 3].map(|_| serve(either_service().0, |builder| builder.token_keys(keys(1, []))));
    play(&servers);
}

#[test]
fn a_cancel_over_http_is_for_the_kind_that_was_opened() {
    let (service, journal) = either_service();
    let server = serve(service, |builder| builder.cached_calls(0));
    for kind_of in ["producer", "exchange"] {
        let tokens = Tokens::of(&server.send(init("either", kind(kind_of))));
        journal.take();
        assert_eq!(server.send(http_cancel("either", &tokens)).status, 200);
        let restored = format!("restore producer={}", kind_of == "producer");
        assert_eq!(journal.take(), [restored.as_str(), "cancel"]);
    }
}

#[test]
fn an_input_that_the_method_declares_is_for_its_exchanges() {
    let values = schema([("value", DataType::Float64)]);
    let spec =
        Method::new("declared").param("kind", DataType::Utf8).input(values.clone()).output(values).stream(
            |args, _| match args.get::<&str>("kind")? {
                "producer" => Ok(Stream::new(State::producer(Count { next: 0, count: 1 }))
                    .with_output(schema([("n", DataType::Int64)]))),
                _ => Ok(Stream::new(State::exchange(Double {}))),
            },
            |saved, _| match saved.is_producer() {
                true => Ok(State::producer(saved.state::<Count>()?)),
                false => Ok(State::exchange(saved.state::<Double>()?)),
            },
        );
    let (service, _) = service_of(vec![spec], |builder| builder);
    let mut wire = Wire::new(&service);
    wire.play(stream("declared", kind("exchange")));
    assert_eq!(wire.play(send(values_of_integers())), ["output value=6.0"], "it is cast");
    wire.play(Command::Close);
    wire.play(stream("declared", kind("producer")));
    assert_eq!(wire.play(tick()), ["output n=0"]);
    assert_eq!(wire.play(tick()), ["finished"]);
    let server = serve(service, |builder| builder);
    let tokens = Tokens::of(&server.send(init("declared", kind("exchange"))));
    assert_eq!(server.send(http_turn("declared", values_of_integers(), &tokens)).told(), ["data 6.0"]);
    let opened = server.send(init("declared", kind("producer")));
    assert_eq!(opened.told(), ["data 0", "token"]);
    assert_eq!(server.send(http_tick("declared", &Tokens::of(&opened))).told(), Vec::<String>::new());
}

fn values_of_integers() -> RecordBatch {
    row([("value", int(3))])
}

#[test]
fn reflection_says_that_the_kind_is_unknown() {
    let (service, _) = either_service();
    let method = service.method(crate::common::service::MAIN, "either").unwrap();
    assert_eq!(method.info().kind, MethodKind::Stream(StreamKind::Unknown));
    let info = service.protocols().next().unwrap();
    let described = reflection::describe(info);
    let method = described.methods.iter().find(|method| method.name == "either").unwrap();
    assert_eq!(method.kind, MethodKind::Stream(StreamKind::Unknown));
    let encoded = described.encode().unwrap();
    assert!(encoded.windows(7).any(|bytes| bytes == b"unknown"), "that is its name on the wire");
}
