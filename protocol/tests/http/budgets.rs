//! Maximum response size. WIRE_PROTOCOL 10, "Capability discovery", and the specification's page on HTTP response budgets.

use crate::ask::*;
use crate::common::batches::*;
use crate::common::service::MAIN;
use crate::local::{self, LOCAL, big, local};
use crate::serve::*;
use arrow_array::cast::AsArray;
use bytes::Bytes;
use http::Request;
use vgi_rpc_protocol::http::EndpointBuilder;
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::error::kind;

const ACCEPT: &str = "vgi-accept-max-response-bytes";

fn server(set: impl FnOnce(EndpointBuilder) -> EndpointBuilder) -> Server {
    serve(local::service().0, set)
}

/// Checks that the response is only an error in place of one of more than `limit` bytes.
#[track_caller]
fn assert_too_large(answered: &Answered, method: &str, limit: u64) {
    assert_eq!((answered.status, answered.is_marked()), (200, true), "{:?}", answered.told());
    assert_eq!(answered.told(), ["error ResponseTooLargeError"]);
    let error = answered.error();
    assert_eq!((error.code(), error.is_retryable()), (Code::ResourceExhausted, false));
    let text = error.message();
    assert!(text.contains(&format!("> {limit})")) && text.contains("max_response_bytes ("), "{text}");
    assert!(text.contains(method), "{text}");
    assert_eq!((answered.cursor(), answered.call_token()), (None, None), "the stream cannot continue");
}

fn produce(bytes: i64) -> Request<Bytes> {
    call_of(LOCAL, "produce", "/init", row([("bytes", int(bytes))]))
}

fn next(method: &str, tokens: &Tokens) -> Request<Bytes> {
    turn_of((LOCAL, method), no_columns(0), tokens, &[])
}

fn grow(bytes: i64, tokens: &Tokens) -> Request<Bytes> {
    turn_of((LOCAL, "grow"), row([("bytes", int(bytes))]), tokens, &[])
}

/// Returns the limit and preference that a stream's handler saw.
fn told_budget(answered: &Answered) -> String {
    answered.data()[0].0.column(1).as_string::<i32>().value(0).to_owned()
}

#[test]
fn a_unary_answer_over_the_limit_is_replaced() {
    let server = server(|builder| builder.max_response_bytes(Some(70_000)));
    assert_too_large(&server.send(big(80_000)), "big", 70_000);
    assert_eq!(server.send(big(60_000)).text().len(), 60_000);
}

#[test]
fn the_limit_is_exact_and_counts_framing_but_no_coding() {
    let length = server(|builder| builder).send(big(80_000)).body.len() as u64;
    let exactly = server(|builder| builder.max_response_bytes(Some(length)));
    assert_eq!(exactly.send(big(80_000)).text().len(), 80_000);
    let less = server(|builder| builder.max_response_bytes(Some(length - 1)));
    assert_too_large(&less.send(big(80_000)), "big", length - 1);
    // The coded response is a few bytes long.
    let coded = less.send(big(80_000).with("accept-encoding", "gzip"));
    assert!(coded.is_marked());
}

#[test]
fn a_client_may_set_a_limit_of_its_own_and_the_smaller_one_holds() {
    let server = server(|builder| builder.max_response_bytes(Some(100_000)).max_response_bytes(Some(90_000)));
    assert_too_large(&server.send(big(70_000).with(ACCEPT, "65536")), "big", 65_536);
    assert_too_large(&server.send(big(95_000).with(ACCEPT, "1000000")), "big", 90_000);
    assert_eq!(server.send(big(70_000)).text().len(), 70_000);
}

#[test]
fn handlers_are_told_the_limit_and_what_to_aim_at() {
    let budget = |set: fn(EndpointBuilder) -> EndpointBuilder, accepts: Option<&str>| {
        let request = accepts.into_iter().fold(local("budget"), |request, limit| request.with(ACCEPT, limit));
        server(set).send(request).text()
    };
    assert_eq!(budget(|builder| builder, None), "- -");
    assert_eq!(budget(|builder| builder, Some("70000")), "70000 70000");
    let both = |builder: EndpointBuilder| {
        builder.max_response_bytes(Some(100_000)).preferred_response_bytes(Some(80_000))
    };
    assert_eq!(budget(both, None), "100000 80000");
    assert_eq!(budget(both, Some("90000")), "90000 80000");
    assert_eq!(budget(both, Some("70000")), "70000 70000");
}

#[test]
fn an_init_over_the_limit_opens_nothing() {
    let server = server(|builder| builder.max_response_bytes(Some(70_000)));
    let header = call_of(LOCAL, "grow", "/init", row([("header", int(80_000))]));
    assert_too_large(&server.send(header), "grow", 70_000);
    let main = serve_main(|builder| builder.max_response_bytes(Some(70_000)));
    assert_too_large(&main.send(init("large", row([("rows", int(20_000))]))), "large", 70_000);
}

#[test]
fn a_producers_turn_over_the_limit_leaves_no_cursor() {
    let server = server(|builder| builder.max_response_bytes(Some(70_000)));
    let tokens = Tokens::of(&server.send(produce(80_000)));
    assert_too_large(&server.send(next("produce", &tokens)), "produce", 70_000);
    let tokens = Tokens::of(&server.send(produce(60_000)));
    assert!(server.send(next("produce", &tokens)).cursor().is_some());
}

#[test]
fn an_exchanges_turn_over_the_limit_leaves_no_cursor() {
    let server = server(|builder| builder.max_response_bytes(Some(70_000)));
    let tokens = Tokens::of(&server.send(call_of(LOCAL, "grow", "/init", row([("header", int(1))]))));
    assert_too_large(&server.send(grow(80_000, &tokens)), "grow", 70_000);
    assert!(server.send(grow(60_000, &tokens)).cursor().is_some(), "the previous cursor is still valid");
}

#[test]
fn what_a_stream_was_opened_with_holds_for_all_of_it() {
    for calls in [0, 16] {
        let server = server(|builder| builder.cached_calls(calls));
        let first = server.send(produce(80_000).with(ACCEPT, "70000"));
        assert_eq!(told_budget(&first), "70000 70000");
        let tokens = Tokens::of(&first);
        // Neither a missing nor a larger value raises the limit.
        assert_too_large(&server.send(next("produce", &tokens)), "produce", 70_000);
        assert_too_large(&server.send(next("produce", &tokens).with(ACCEPT, "1000000")), "produce", 70_000);
        assert_too_large(&server.send(next("produce", &tokens).with(ACCEPT, "66000")), "produce", 66_000);
    }
}

#[test]
fn a_limit_may_get_tighter_on_the_way() {
    let server = server(|builder| builder);
    let first = server.send(produce(80_000));
    assert_eq!(told_budget(&first), "- -");
    let tokens = Tokens::of(&first);
    assert_too_large(&server.send(next("produce", &tokens).with(ACCEPT, "70000")), "produce", 70_000);
    let answered = server.send(next("produce", &tokens));
    assert_eq!(told_budget(&answered), "- -", "a limit applies only to its request");
    assert!(answered.cursor().is_some());
}

#[test]
fn an_answer_that_tells_of_a_failure_is_not_measured() {
    let server = serve_main(|builder| builder.max_response_bytes(Some(100)));
    let answered = server.send(unary("fail", row([("message", text("as asked"))])));
    assert!(answered.body.len() > 100);
    assert_eq!(answered.error().error_type(), "ValueError");
    let unknown = server.send(call_of(MAIN, "no_such_method", "", no_columns(1)));
    assert!(unknown.error().is_kind(kind::METHOD_NOT_IMPLEMENTED));
}

#[test]
fn limits_are_advertised_on_every_answer() {
    let server = server(|builder| {
        builder
            .max_request_bytes(Some(1))
            .max_response_bytes(Some(2))
            .max_externalized_response_bytes(Some(3))
    });
    for request in [ask("HEAD", "/vgi/health"), ask("OPTIONS", "/vgi/health"), ask("GET", "/nowhere"), big(1)]
    {
        let answered = server.send(request);
        assert_eq!(answered.header("vgi-max-request-bytes"), Some("1"));
        assert_eq!(answered.header("vgi-max-response-bytes"), Some("2"));
        assert_eq!(answered.header("vgi-max-externalized-response-bytes"), Some("3"));
        assert_eq!(answered.header("vgi-accept-max-response-bytes-support"), Some("true"));
    }
    let answered = main().send(ask("HEAD", "/vgi/health"));
    assert_eq!(answered.header("vgi-max-request-bytes"), None, "a default is not advertised");
}
