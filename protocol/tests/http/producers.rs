//! Complete producer conversations: an init that is the first turn, then one turn per request. WIRE_PROTOCOL 10, "Stream
//! initialization (HTTP)" and "Stream exchange (HTTP)".

use crate::ask::*;
use crate::common::batches::*;
use crate::common::service::{MAIN, take_cancel_hooks};
use crate::local::{self, LOCAL};
use crate::serve::*;
use arrow_schema::DataType;
use vgi_rpc_protocol::ipc::Item;
use vgi_rpc_protocol::service::{Method, Producer, Protocol, Service, Stream, Turn};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::keys;

/// Returns the events of all responses of a producer, one list for each.
#[track_caller]
fn play(opening: http::Request<bytes::Bytes>) -> Vec<Vec<String>> {
    let server = main();
    let method = opening.uri().path().split('/').nth(3).unwrap().to_owned();
    let first = server.send(opening);
    let mut told = vec![first.told()];
    let Some(_) = first.cursor() else { return told };
    let mut tokens = Tokens::of(&first);
    loop {
        let answered = server.send(tick(&method, &tokens));
        assert_eq!(answered.status, 200);
        told.push(answered.told());
        match answered.cursor() {
            Some(_) => tokens.follow(&answered),
            None => return told,
        }
        assert!(told.len() < 20, "it ends: {told:?}");
    }
}

#[test]
fn each_request_takes_one_turn() {
    let told = play(init_count(2));
    assert_eq!(told, [vec!["data 0", "token"], vec!["data 1", "token"], vec![]]);
    assert_eq!(play(init_count(0)), [Vec::<String>::new()], "ended in its first turn");

    let (service, counters) = local::service();
    let server = serve(service, |builder| builder);
    let first = server.send(call_of(LOCAL, "produce", "/init", row([("bytes", int(1))])));
    assert_eq!(counters.runs(), 1);
    let tokens = Tokens::of(&first);
    server.send(turn_of((LOCAL, "produce"), no_columns(0), &tokens, &[]));
    assert_eq!(counters.runs(), 2);
    let again = server.send(turn_of((LOCAL, "produce"), no_columns(0), &tokens, &[]));
    assert_eq!((counters.runs(), again.data().len()), (3, 1), "a repeated request repeats its turn");
}

#[test]
fn tokens_come_last_and_on_a_batch_of_their_own() {
    let first = main().send(init_count(5));
    let batches = first.batches();
    let (batch, metadata) = batches.last().unwrap();
    assert_eq!(batch.num_rows(), 0);
    assert!(metadata.contains_key(keys::STREAM_STATE) && metadata.contains_key(keys::CALL_STATE));
    let (_, of_data) = &batches[0];
    assert!(!of_data.contains_key(keys::STREAM_STATE) && !of_data.contains_key(keys::CALL_STATE));
}

#[test]
fn logs_keep_their_places() {
    let told = play(init("count_with_logs", row([("count", int(1))])));
    assert_eq!(
        told,
        [vec!["INFO opening", "INFO before 0", "data 0", "DEBUG after 0", "token"], vec!["INFO before 1"],]
    );
}

#[test]
fn a_header_has_a_stream_of_its_own_ahead_of_the_data() {
    let first = main().send(init("count_with_header", row([("count", int(1))])));
    assert_eq!(first.told(), ["INFO ahead of the header", "data 1", "data 0", "token"]);
    let items = first.items();
    let ends = items.iter().filter(|item| matches!(item, Item::EndOfStream)).count();
    assert_eq!(ends, 2);
    let Item::Schema(header) = &items[0] else { panic!("a stream begins with its schema") };
    assert_eq!(header.schema().fields().len(), 2);
    let told = play(init("count_with_header", row([("count", int(1))])));
    assert_eq!(told[1..], [Vec::<String>::new()], "only the init has a header");
}

#[test]
fn a_stream_that_does_not_open_has_no_tokens() {
    let cases = [
        init("count_with_header", row([("count", int(-1))])),
        init_until("count_until", -1, "error"),
        init_until("count_until", -1, "panic"),
        init("no_header", no_columns(1)),
        init("undeclared_header", no_columns(1)),
        init("no_output", no_columns(1)),
    ];
    for request in cases {
        let path = request.uri().path().to_owned();
        let answered = main().send(request);
        assert_eq!((answered.status, answered.is_marked()), (200, true), "{path}");
        assert_eq!((answered.cursor(), answered.call_token()), (None, None), "{path}");
        answered.error();
    }
}

#[test]
fn a_turn_may_fail_at_the_first_request_and_later() {
    for (manner, error) in [
        ("error", "RuntimeError"),
        ("error after emit", "RuntimeError"),
        ("panic", "Panic"),
        ("silence", "RuntimeError"),
        ("misfit", "ValueError"),
    ] {
        for at in [0, 2] {
            let server = main();
            let mut answered = server.send(init_until("count_until", at, manner));
            for _ in 0..at {
                assert!(!answered.is_marked(), "{manner}");
                let mut tokens = Tokens { cursor: answered.cursor(), call: answered.call_token() };
                if tokens.call.is_none() {
                    // The call is cached.
                    tokens.call = Some("unread".into());
                }
                answered = server.send(tick("count_until", &tokens));
            }
            assert_eq!((answered.status, answered.is_marked()), (200, true), "{manner} at {at}");
            assert_eq!(answered.error().error_type(), error, "{manner} at {at}");
            assert_eq!((answered.cursor(), answered.call_token()), (None, None), "{manner} at {at}");
        }
    }
}

#[test]
fn a_turn_without_a_batch_fails_with_what_the_handler_can_do() {
    let error = main().send(init_until("count_until", 0, "silence")).error();
    assert_eq!(
        error.message(),
        "RuntimeError: expected one data batch per turn, got none: emit a batch or call `finish`"
    );
    let server = main();
    let tokens = Tokens::of(&server.send(init_until("scale_until", 0, "silence")));
    let error = server.send(turn("scale_until", value(1.0), &tokens)).error();
    assert_eq!(error.message(), "RuntimeError: expected one data batch per turn, got none: emit a batch");
}

#[test]
fn two_batches_in_a_turn_are_the_handlers_failure() {
    let answered = main().send(init_until("count_until", 0, "two batches"));
    assert!(answered.is_marked() && answered.cursor().is_none(), "{:?}", answered.told());
}

#[test]
fn the_last_turn_may_have_data() {
    let told = play(init_until("count_until", 1, "finish with data"));
    assert_eq!(
        told,
        [vec!["data 0", "token"], vec!["INFO the last one", "data 1", "INFO after the last one"]]
    );
}

#[test]
fn each_ticks_metadata_reaches_its_turn_without_the_transports() {
    let server = main();
    let first = server.send(init("tick_marks", no_columns(1)));
    let tokens = Tokens::of(&first);
    let request = turn_of(
        (MAIN, "tick_marks"),
        no_columns(0),
        &tokens,
        &[("filter", "n > 7"), (keys::LOCATION_SHA256, "of the transport")],
    );
    let second = server.send(request);
    let (batch, metadata) = second.data().remove(0);
    assert_eq!(integer(&batch), 1);
    assert_eq!(metadata.get_str("filter"), Some("n > 7"));
    for key in [keys::STREAM_STATE, keys::CALL_STATE, keys::CANCEL, keys::LOCATION_SHA256] {
        assert!(!metadata.contains_key(key), "{key}");
    }
    let next = Tokens { cursor: second.cursor(), call: tokens.call };
    let third = server.send(tick("tick_marks", &next));
    assert!(!third.data()[0].1.contains_key("filter"), "a tick's metadata applies only to that tick");
}

#[test]
fn a_cancel_ends_the_stream_without_a_turn() {
    let server = main();
    take_cancel_hooks();
    let first = server.send(init_count(5));
    let tokens = Tokens::of(&first);
    let cancelled = server.send(cancel("count", &tokens));
    assert_eq!((cancelled.status, cancelled.is_marked()), (200, false));
    assert_eq!(cancelled.told(), Vec::<String>::new());
    assert_eq!(take_cancel_hooks(), 1);
}

#[test]
fn a_cancel_is_told_to_the_streams_state_whatever_that_does() {
    for (manner, told) in [("log in the hook", vec!["INFO cancelled"]), ("panic in the hook", vec![])] {
        let server = main();
        take_cancel_hooks();
        let tokens = Tokens::of(&server.send(init_until("count_until", 99, manner)));
        let cancelled = server.send(cancel("count_until", &tokens));
        assert_eq!(
            (cancelled.status, cancelled.is_marked(), cancelled.told()),
            (200, false, {
                let told: Vec<String> = told.into_iter().map(str::to_owned).collect();
                told
            })
        );
        assert_eq!(take_cancel_hooks(), 1, "{manner}");
    }
}

#[test]
fn a_state_that_cannot_be_kept_ends_its_stream_and_nothing_else() {
    for when in ["saved", "restored"] {
        let count = Method::new("count").output(schema([("n", DataType::Int64)]));
        let count =
            count.producer(move |_, _| Ok(Stream::new(Brittle { breaks_when_saved: when == "saved" })));
        let service = Service::builder("server-1").protocol(Protocol::new("test.Brittle.v1").method(count));
        let server = serve(service.build().unwrap(), |builder| builder);
        let mut answered = server.send(call_of("test.Brittle.v1", "count", "/init", no_columns(1)));
        if when == "restored" {
            let tokens = Tokens::of(&answered);
            answered = server.send(turn_of(("test.Brittle.v1", "count"), no_columns(0), &tokens, &[]));
            assert_eq!((answered.status, answered.is_marked()), (400, false));
        } else {
            assert_eq!((answered.status, answered.is_marked()), (200, true));
        }
        assert_eq!((answered.error().error_type(), answered.cursor()), ("Panic", None), "{when}");
    }
}

/// A state that panics when it is serialised or deserialised.
struct Brittle {
    breaks_when_saved: bool,
}

impl serde::Serialize for Brittle {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.breaks_when_saved {
            std::panic::panic_any("on purpose, in a state");
        }
        serializer.serialize_unit()
    }
}

impl<'de> serde::Deserialize<'de> for Brittle {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        std::panic::panic_any("on purpose, in a state")
    }
}

impl Producer for Brittle {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        turn.emit_columns(vec![int(1)])
    }
}

#[test]
fn schemas_of_the_calls_own_come_back_with_the_tokens() {
    // Nothing is cached: only the call token contains the schema.
    let server = serve_main(|builder| builder.cached_calls(0));
    for columns in [0, 3] {
        let first = server.send(init("wide", row([("columns", int(columns))])));
        let second = server.send(tick("wide", &Tokens::of(&first)));
        let data = second.data();
        assert_eq!(data[0].0.num_columns(), columns as usize);
        assert_eq!(data[0].0.schema(), first.data()[0].0.schema());
    }
}

#[test]
fn dictionaries_are_whole_in_every_answer() {
    let server = main();
    let first = server.send(init("colors", no_columns(1)));
    let mut tokens = Tokens::of(&first);
    let mut rows = first.data()[0].0.num_rows();
    for _ in 0..3 {
        let answered = server.send(tick("colors", &tokens));
        tokens.follow(&answered);
        rows += answered.data()[0].0.num_rows();
    }
    assert_eq!(rows, 10);
}
