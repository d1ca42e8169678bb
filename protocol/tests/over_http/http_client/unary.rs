//! Unary calls, and how their failures are reported.

use super::pair::*;
use crate::common::batches::*;
use crate::common::quiet_panics;
use vgi_rpc_protocol::client::Call;

#[test]
fn a_call_is_one_request() {
    let mut pair = pair();
    assert_eq!(pair.call("echo", UNARY, &row([("value", text("x"))])), ["output \"x\"", "finished"]);
    let sent = pair.last();
    assert_eq!((sent.method.as_str(), sent.path.as_str()), ("POST", "/vgi/test.Main.v1/echo"));
    assert_eq!(sent.request("content-type"), Some("application/vnd.apache.arrow.stream"));
    let codings = if cfg!(feature = "zstd") { "zstd, gzip" } else { "gzip" };
    assert_eq!(sent.request("x-vgi-accept-encoding"), Some(codings));
    assert_eq!(sent.request("vgi-accept-max-response-bytes"), None);
    assert_eq!((sent.request("x-request-id"), sent.response("x-request-id")), (Some("r-1"), Some("r-1")));
    assert_eq!(pair.exchanged.len(), 1);
    assert!(pair.caller.is_idle());
}

#[test]
fn logs_and_void_results_come_as_on_byte_streams() {
    let mut pair = pair();
    let told = pair.call("log", UNARY, &row([("value", text("x"))]));
    assert_eq!(told, ["log first", "log second", "output \"x\"", "finished"]);
    assert_eq!(pair.call("nothing", UNARY, &no_columns(1)), ["no rows {}", "finished"]);
}

#[test]
fn what_a_handler_fails_with_is_told_and_the_caller_goes_on() {
    quiet_panics();
    let mut pair = pair();
    let told = pair.call("fail", UNARY, &row([("message", text("no"))]));
    assert_eq!(told, ["failed ValueError: no", "finished"]);
    assert!(pair.last().is_marked() && pair.last().status == 200);
    let told = pair.call("log_and_fail", UNARY, &no_columns(1));
    assert_eq!(told, ["log about to fail", "failed RuntimeError: failed after a log", "finished"]);
    let told = pair.call("panic", UNARY, &no_columns(1));
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(pair.call("echo", UNARY, &row([("value", text("x"))])), ["output \"x\"", "finished"]);
}

#[test]
fn the_body_says_what_became_of_a_call_whatever_the_status() {
    let mut pair = pair();
    let told = pair.call("absent", UNARY, &no_columns(1));
    assert!(told[0].starts_with("failed ") && told[1] == "finished", "{told:?}");
    assert_eq!(pair.last().status, 404);
    let told = pair.call("echo", UNARY, &row([("other", int(1))]));
    assert!(told[0].starts_with("failed TypeError"), "{told:?}");
    assert_eq!(pair.last().status, 400);
    // The mark is only a hint, and so is the status.
    pair.between = Box::new(|_, mut response| {
        *response.status_mut() = http::StatusCode::BAD_GATEWAY;
        response.headers_mut().remove("x-vgi-rpc-error");
        response
    });
    let told = pair.call("fail", UNARY, &row([("message", text("no"))]));
    assert_eq!(told, ["failed ValueError: no", "finished"]);
    assert_eq!(pair.call("echo", UNARY, &row([("value", text("x"))])), ["output \"x\"", "finished"]);
}

#[test]
fn commands_at_the_wrong_time_change_nothing() {
    let mut pair = pair();
    let params = row([("value", text("x"))]);
    assert!(pair.caller.tick(&Default::default()).is_err());
    assert!(pair.caller.send(&encoded(&params), &params, &Default::default()).is_err());
    assert!(pair.caller.close().is_err() && pair.caller.cancel().is_err());
    let call = Call {
        protocol: "test.Main.v1",
        method: "echo",
        protocol_version: None,
        request_id: None,
        kind: UNARY,
        metadata: Default::default(),
    };
    let misfit = row([("value", int(1))]);
    assert!(pair.caller.call(&call, &encoded(&params), &misfit).is_err());
    assert!(pair.caller.is_idle());
    pair.caller.call(&call, &encoded(&params), &params).unwrap();
    assert!(pair.caller.call(&call, &encoded(&params), &params).is_err());
    assert!(pair.caller.discover().is_err() && pair.caller.end_session().is_err());
    pair.go().unwrap();
    assert!(pair.caller.call(&call, &encoded(&params), &params).is_err(), "its events are pending");
    assert_eq!(pair.told(), ["output \"x\"", "finished"]);
    assert!(pair.last().request("x-request-id").is_none());
}
