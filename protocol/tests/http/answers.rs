//! Dispatched unary calls: values, logs, failures. WIRE_PROTOCOL 10, "Unary call (HTTP)".

use crate::ask::*;
use crate::common::batches::*;
use crate::common::service::{MAIN, SERVER_ID};
use crate::common::streams::stream_of;
use crate::serve::*;
use arrow_schema::DataType;
use vgi_rpc_protocol::ipc::Item;
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::keys;

#[test]
fn a_value_comes_back() {
    let answered = main().send(echo("a value"));
    assert_eq!((answered.status, answered.is_marked(), answered.body_was_read), (200, false, true));
    assert_eq!(answered.told(), ["data a value"]);
    assert_eq!(answered.header("content-encoding"), None);
    assert_eq!(answered.header("content-length"), None, "the driver knows how it sends the body");
}

#[test]
fn a_method_without_a_result_answers_one_empty_batch() {
    let answered = main().send(unary("nothing", no_columns(1)));
    assert_eq!((answered.status, answered.told()), (200, vec!["data".into()]));
    assert_eq!(answered.data()[0].0.num_rows(), 0);
}

#[test]
fn logs_come_before_the_value() {
    let answered = main().send(unary("log", row([("value", text("x"))])));
    assert_eq!(answered.told(), ["INFO first", "DEBUG second", "data x"]);
}

#[test]
fn what_a_handler_fails_with_is_told_under_status_200() {
    let answered = main().send(unary("fail", row([("message", text("as asked"))])));
    assert_eq!((answered.status, answered.is_marked()), (200, true));
    assert_eq!(answered.error().message(), "ValueError: as asked");
    let Item::Schema(schema) = &answered.items()[0] else { panic!("a stream begins with its schema") };
    assert_eq!(schema.schema().field(0).data_type(), &DataType::Utf8, "the error is on the result's schema");

    let busy = main().send(unary("fail_busy", no_columns(1)));
    let error = busy.error();
    assert_eq!((error.code(), error.kind(), error.is_retryable()), (Code::Unavailable, Some("busy"), true));
}

#[test]
fn logs_come_before_the_error() {
    let answered = main().send(unary("log_and_fail", no_columns(1)));
    assert_eq!(answered.told(), ["WARN about to fail", "error RuntimeError"]);
    assert!(answered.is_marked());
}

#[test]
fn a_panic_is_an_error_of_its_call() {
    let server = main();
    let answered = server.send(unary("panic", no_columns(1)));
    assert_eq!((answered.status, answered.is_marked()), (200, true));
    assert_eq!(answered.error().error_type(), "Panic");
    assert_eq!(server.send(echo("still here")).text(), "still here");
}

#[test]
fn an_answer_that_does_not_fit_is_the_handlers_failure() {
    for method in ["answer_of_wrong_type", "null_answer", "two_answers"] {
        let answered = main().send(unary(method, no_columns(1)));
        assert_eq!((answered.status, answered.is_marked()), (200, true), "{method}");
        assert_eq!(answered.told().len(), 1, "{method}");
        answered.error();
    }
}

#[test]
fn handlers_know_their_call() {
    let mut metadata = routing(MAIN, "about");
    metadata.push("mark", "m");
    metadata.push(keys::TRACEPARENT, "00-a-b-01");
    metadata.push(keys::REQUEST_ID, "of the metadata");
    let request = post("/vgi/test.Main.v1/about", stream_of(&[(no_columns(1), metadata)]));
    let answered = main().send(request.with("x-request-id", "of the head"));
    assert_eq!(
        answered.text(),
        format!("{MAIN}/about of the head over http on {SERVER_ID} mark m trace 00-a-b-01")
    );
}

#[test]
fn a_request_without_an_id_is_given_one_and_unreasonable_ones_are_replaced() {
    let server = main();
    let long = "x".repeat(257);
    let given = |id: Option<&str>| {
        let request = id.into_iter().fold(echo("x"), |request, id| request.with("x-request-id", id));
        server.send(request).header("x-request-id").unwrap().to_owned()
    };
    assert_eq!(given(Some("mine")), "mine");
    assert_eq!(given(Some(&long[1..])), &long[1..]);
    let mut made = vec![given(None), given(None), given(Some("")), given(Some(&long)), given(Some("\u{e9}"))];
    let twice = echo("x").with("x-request-id", "a").with("x-request-id", "b");
    made.push(server.send(twice).header("x-request-id").unwrap().to_owned());
    for id in &made {
        assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }
    made.sort();
    made.dedup();
    assert_eq!(made.len(), 6, "all are different");
}

#[test]
fn logs_and_errors_carry_the_requests_id() {
    let request = unary("log_and_fail", no_columns(1)).with("x-request-id", "request-7");
    for (_, metadata) in main().send(request).batches() {
        assert_eq!(metadata.get_str(keys::REQUEST_ID), Some("request-7"));
        assert_eq!(metadata.get_str(keys::SERVER_ID), Some(SERVER_ID));
    }
}
