//! Records of calls over HTTP, the access-log lines made of them, and hooks. The access-log specification.

use crate::ask::*;
use crate::common::batches::*;
use crate::common::service::{MAIN, VERSIONED};
use crate::local::{self, LOCAL};
use crate::serve::*;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use vgi_rpc_protocol::access_log;
use vgi_rpc_protocol::http::auth::{AuthContext, bearer_static};
use vgi_rpc_protocol::http::{Body, RequestOrigin, RequestStep, Sticky};
use vgi_rpc_protocol::service::{CallContext, CallHook, CallRecord, CallScope, Service, TransportKind};
use vgi_rpc_protocol::wire::code::Code;

/// Returns the line of a response's record, after checking it against the schema.
#[track_caller]
fn line(answered: &Answered) -> Value {
    let record = answered.record.as_ref().expect("a record");
    let text = access_log::line(record, START, 0);
    let line: Value = serde_json::from_str(&text).unwrap();
    assert!(text.ends_with('\n') && text.matches('\n').count() == 1);
    for key in [
        "timestamp",
        "level",
        "logger",
        "message",
        "server_id",
        "protocol",
        "protocol_hash",
        "method",
        "method_type",
        "principal",
        "auth_domain",
        "authenticated",
        "remote_addr",
        "duration_ms",
        "status",
        "error_type",
    ] {
        assert!(line.get(key).is_some(), "{key} in {text}");
    }
    let is_text = |key: &str| line.get(key).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    if line["status"] == "error" {
        assert!(is_text("error_message") && is_text("error_type") && is_text("error_code"), "{text}");
    } else {
        assert_eq!((&line["status"], &line["error_type"]), (&"ok".into(), &"".into()));
        assert!(line.get("error_code").is_none(), "{text}");
    }
    let hex = |key: &str, length: usize| {
        let text = line[key].as_str().unwrap_or_default();
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    assert!(line["method_type"] == "unary" || hex("stream_id", 32), "{text}");
    assert!(hex("protocol_hash", 64), "{text}");
    assert!(line.get("session_id").is_none() || hex("session_id", 24), "{text}");
    assert_eq!(line.get("request_fields").is_some(), line.get("request_rows").is_some(), "{text}");
    for key in ["input_batches", "input_rows", "input_bytes", "output_batches", "output_rows", "output_bytes"]
    {
        assert!(line[key].is_u64(), "{key} in {text}");
    }
    assert_eq!(line["http_status"], answered.status);
    assert_eq!(line["response_bytes"], answered.body.len());
    assert!(line.get("request_state").is_none() && line.get("response_state").is_none(), "{text}");
    line
}

#[test]
fn a_unary_call_is_one_line() {
    let request = echo("a secret").with("x-request-id", "request-7");
    let bytes = request.body().len();
    let answered = main().send(request);
    let line = line(&answered);
    assert_eq!((&line["status"], &line["method_type"]), (&"ok".into(), &"unary".into()));
    assert_eq!((&line["protocol"], &line["method"]), (&MAIN.into(), &"echo".into()));
    assert_eq!((&line["request_bytes"], &line["request_id"]), (&bytes.into(), &"request-7".into()));
    assert_eq!((&line["remote_addr"], &line["duration_ms"]), (&CLIENT.into(), &250.0.into()));
    assert_eq!((&line["input_rows"], &line["output_rows"]), (&1.into(), &1.into()));
    assert!(line.get("stream_id").is_none() && line.get("request_state_bytes").is_none());
    assert!(line.get("session_action").is_none(), "sessions are not enabled");
    assert!(!line.to_string().contains("secret"));
    assert!(!format!("{:?}", answered.record).contains("secret"));
}

#[test]
fn bytes_are_those_that_travel() {
    let long = || echo(&"long ".repeat(2000));
    let (plain, coded) = (main().send(long()), main().send(long().with("accept-encoding", "gzip")));
    assert!(coded.body.len() < plain.body.len() / 2);
    assert_eq!(line(&coded)["response_bytes"], coded.body.len());
    assert_eq!(line(&coded)["output_bytes"], line(&plain)["output_bytes"]);
}

#[test]
fn each_turn_of_a_stream_is_a_line_under_one_id() {
    let server = main();
    let opened = server.send(init_scale(2.0));
    let mut tokens = Tokens::of(&opened);
    let first = line(&opened);
    let length = |token: &Option<String>| token.as_ref().unwrap().len();
    assert_eq!(first["response_state_bytes"], length(&tokens.cursor) + length(&tokens.call));
    assert!(first.get("request_state_bytes").is_none());
    assert_eq!(first["request_fields"][0]["name"], "factor");
    for at in 0..3 {
        let sent = length(&tokens.cursor);
        let answered = server.send(turn("scale", value(1.0), &tokens));
        tokens.follow(&answered);
        let line = line(&answered);
        assert_eq!(line["stream_id"], first["stream_id"], "turn {at}");
        assert_eq!((&line["method_type"], &line["status"]), (&"stream".into(), &"ok".into()));
        assert_eq!(line["request_state_bytes"], sent);
        assert_eq!(line["response_state_bytes"], length(&tokens.cursor));
        assert_eq!((&line["input_rows"], &line["output_rows"]), (&1.into(), &1.into()));
        assert!(line.get("request_fields").is_none(), "those are of the init");
    }
    let other = line(&server.send(init_scale(2.0)));
    assert_ne!(other["stream_id"], first["stream_id"]);
}

#[test]
fn the_id_travels_to_other_endpoints() {
    let [one, other] = [1, 2].map(|_| serve_main(|builder| builder.token_keys(keys(1, []))));
    let opened = one.send(init_count(3));
    let answered = other.send(tick("count", &Tokens::of(&opened)));
    assert_eq!(line(&answered)["stream_id"], line(&opened)["stream_id"]);
    assert_eq!(line(&answered)["input_batches"], 0, "a tick does not count as input");
    assert_eq!(line(&answered)["output_batches"], 1);
}

#[test]
fn a_cancel_is_told_of() {
    let server = main();
    let opened = server.send(init_count(3));
    let cancelled = server.send(cancel("count", &Tokens::of(&opened)));
    let line_of = line(&cancelled);
    assert_eq!((&line_of["cancelled"], &line_of["error_code"]), (&true.into(), &"CANCELLED".into()));
    assert_eq!(line_of["stream_id"], line(&opened)["stream_id"]);
    assert!(line_of.get("response_state_bytes").is_none());
}

#[test]
fn failures_are_told_of() {
    let server = main();
    for (request, status, error_type) in [
        (unary("fail", row([("message", text("as asked"))])), 200, "ValueError"),
        (unary("panic", no_columns(1)), 200, "Panic"),
        (init_until("count_until", 0, "error"), 200, "RuntimeError"),
        (init("no_header", no_columns(1)), 200, "TypeError"),
        (call_of(VERSIONED, "echo", "", row([("value", text("x"))])), 400, "ProtocolVersionError"),
        (unary("echo", row([("other", text("x"))])), 400, "TypeError"),
        (init("count", row([("other", text("x"))])), 400, "TypeError"),
        (call_of(VERSIONED, "count", "/init", row([("count", int(1))])), 400, "ProtocolVersionError"),
    ] {
        let answered = server.send(request);
        let line = line(&answered);
        assert_eq!((answered.status, &line["status"]), (status, &"error".into()), "{line}");
        assert_eq!(line["error_type"], error_type, "{line}");
    }
}

#[test]
fn what_takes_the_place_of_an_answer_is_told_of() {
    let server = serve(local::service().0, |builder| builder.max_response_bytes(Some(70_000)));
    let answered = server.send(local::big(80_000));
    assert_eq!(line(&answered)["error_type"], "ResponseTooLargeError");
    let produce = call_of(LOCAL, "produce", "/init", row([("bytes", int(80_000))]));
    let tokens = Tokens::of(&server.send(produce));
    let answered = server.send(turn_of((LOCAL, "produce"), no_columns(0), &tokens, &[]));
    let line = line(&answered);
    assert_eq!(line["error_type"], "ResponseTooLargeError");
    assert!(line.get("response_state_bytes").is_none(), "no token was sent");
}

#[test]
fn callers_and_sessions_are_named() {
    let server = serve(local::service().0, |builder| {
        let ann = bearer_static([("of ann", AuthContext::new("test", "ann"))]);
        builder.authenticate(ann).sticky(Sticky::default())
    });
    let ann = |request: http::Request<bytes::Bytes>| request.with("authorization", "Bearer of ann");
    let none = line(&server.send(ann(local::local("who"))));
    assert_eq!((&none["principal"], &none["auth_domain"]), (&"ann".into(), &"test".into()));
    assert_eq!((&none["authenticated"], &none["session_action"]), (&true.into(), &"none".into()));
    assert!(none.get("session_id").is_none());

    let open = call_of(LOCAL, "open", "", row_of_open()).with("vgi-session-accept", "true");
    let opened = server.send(ann(open));
    let token = opened.header("vgi-session").unwrap();
    let in_session = |method| ann(local::local(method)).with("vgi-session", token);
    let lines = [
        line(&opened),
        line(&server.send(in_session("increment"))),
        line(&server.send(in_session("panic_in_session"))),
        line(&server.send(in_session("close"))),
    ];
    let actions: Vec<_> = lines.iter().map(|line| line["session_action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["open", "resume", "resume", "close"]);
    for line in &lines {
        assert_eq!(line["session_id"], lines[0]["session_id"]);
        assert!(!line.to_string().contains(token) && !line.to_string().contains("of ann"));
    }
    let lost = server.send(in_session("increment"));
    assert!(lost.record.is_none(), "it ended before it became a call");
}

fn row_of_open() -> arrow_array::RecordBatch {
    use arrow_schema::{DataType, Field};
    let nothing: arrow_array::ArrayRef = Arc::new(arrow_array::Int64Array::from(vec![None::<i64>]));
    fields([
        (Field::new("count", DataType::Int64, false), int(1)),
        (Field::new("seconds", DataType::Int64, true), nothing),
    ])
}

#[test]
fn what_never_got_to_a_method_has_no_record() {
    let server = main();
    for request in [
        ask("GET", "/vgi/health"),
        call_of("test.Other.v1", "echo", "", no_columns(1)),
        echo("x").having("content-type", "text/plain"),
        post("/vgi/test.Main.v1/echo", bytes::Bytes::new()),
    ] {
        assert!(server.send(request).record.is_none());
    }
}

/// Records its calls.
#[derive(Clone)]
struct Told(Arc<Mutex<Vec<String>>>);

impl CallHook for Told {
    fn on_start(&self, call: &CallContext) -> Option<Box<dyn CallScope>> {
        self.0.lock().unwrap().push(format!("start {}", call.method()));
        Some(Box::new(self.clone()))
    }
}

impl CallScope for Told {
    fn end(&mut self, record: &CallRecord) {
        let status = record.http.as_ref().map_or(0, |http| http.status);
        let error = record.error.as_ref().map_or("", |error| error.error_type());
        self.0.lock().unwrap().push(format!("end {} {status} {error}", record.method).trim_end().to_owned());
        std::panic::panic_any("on purpose, in a hook");
    }
}

#[test]
fn hooks_are_told_of_every_call_with_and_without_an_access_log() {
    for record in [true, false] {
        let told = Arc::new(Mutex::new(Vec::new()));
        let counters = Arc::new(local::Counters::default());
        let service = Service::builder("server-1").protocol(local::protocol(&counters));
        let service = service.hook(Told(told.clone())).build().unwrap();
        let server = serve(service, |builder| builder.record_calls(record));
        let answered = server.send(local::local("who"));
        assert_eq!((answered.status, answered.record.is_some()), (200, record));
        let first = server.send(call_of(LOCAL, "produce", "/init", row([("bytes", int(1))])));
        server.send(turn_of((LOCAL, "produce"), no_columns(0), &Tokens::of(&first), &[]));
        server.send(local::local("big"));
        let told = told.lock().unwrap();
        assert_eq!(
            *told,
            [
                "start who",
                "end who 200",
                "start produce",
                "end produce 200",
                "start produce",
                "end produce 200",
                "start big",
                "end big 400 TypeError",
            ]
        );
    }
}

#[test]
fn a_call_that_is_cut_off_while_it_runs_ends_once() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let counters = Arc::new(local::Counters::default());
    let service = Service::builder("server-1").protocol(local::protocol(&counters));
    let service = service.hook(Told(told.clone())).build().unwrap();
    service.start(TransportKind::Http).unwrap();
    let server = serve(service, |builder| builder);
    let (head, body) = local::local("who").into_parts();
    let mut transaction =
        server.endpoint.begin(head, RequestOrigin { now: START, ..RequestOrigin::default() });
    transaction.receive_body(Body::Whole(body)).unwrap();
    let RequestStep::Work(work) = transaction.poll(START, Waker::noop()) else { panic!("a call runs") };
    let mut running = None;
    let done = work.run_noting(&|| START, &mut |call| {
        // The server ends before the handler runs; the handler runs anyway.
        assert_eq!(*told.lock().unwrap(), ["start who"]);
        running = Some(call.cut_off(START));
    });
    let record = running.unwrap();
    assert_eq!((record.error.unwrap().code(), record.http.unwrap().status), (Code::Cancelled, 499));
    drop((done, transaction));
    assert_eq!(*told.lock().unwrap(), ["start who", "end who 499 StatusError"]);
}

/// Records what a hook sees of the headers.
struct HeadersSeen(Arc<Mutex<Vec<String>>>);

impl CallHook for HeadersSeen {
    fn on_start(&self, call: &CallContext) -> Option<Box<dyn CallScope>> {
        let seen = format!("{:?} {:?} {:?}", call.peer().headers, call.traceparent(), call.tracestate());
        self.0.lock().unwrap().push(seen);
        None
    }
}

#[test]
fn hooks_know_the_callers_program_and_trace() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let counters = Arc::new(local::Counters::default());
    let service = Service::builder("server-1").protocol(local::protocol(&counters));
    let service = service.hook(HeadersSeen(seen.clone())).build().unwrap();
    let server = serve(service, |builder| builder);
    let take = || seen.lock().unwrap().pop().unwrap();
    server.send(local::local("who"));
    assert_eq!(take(), "None None None");
    let said = local::local("who").with("user-agent", "a program").with("tracestate", "a=1");
    server.send(said.with("traceparent", "00-1").with("tracestate", "b=2").with("sentry-trace", "1-2"));
    let text = take();
    for part in ["a program", "00-1", "a=1,b=2", "1-2", r#"Some("00-1") Some("a=1,b=2")"#] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // A trace state without a trace is ignored, and so is a header with two values.
    let said = local::local("who").with("tracestate", "a=1").with("user-agent", "one");
    server.send(said.with("user-agent", "another"));
    assert_eq!(take(), "None None None");
    server.send(local::local("who").with("user-agent", &"x".repeat(5000)));
    let text = take();
    assert!(text.contains(&"x".repeat(1000)) && !text.contains(&"x".repeat(1025)), "{text}");
}
