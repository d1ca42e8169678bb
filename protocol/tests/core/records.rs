//! Records of calls, and the access-log lines made of them.

use crate::common::batches::{no_columns, row, text};
use crate::common::driver::{Command, Pair};
use crate::common::scenarios::{count, echo, scale, send, stream, tick, unary, values, versioned};
use arrow_schema::DataType;
use bytes::Buf;
use serde_json::{Value, json};
use std::time::Duration;
use vgi_rpc_protocol::access_log::{LineFormat, SampleRate};
use vgi_rpc_protocol::redaction::Redactor;
use vgi_rpc_protocol::service::{
    CallContext, CallHook, CallRecord, CallScope, Method, Peer, Protocol, Responder, Service, TransportKind,
};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::{IdSource, Limits, Next, access_log, client};

/// Returns the records of a script, with a second between commands.
fn records(script: Vec<Command>) -> Vec<CallRecord> {
    let mut pair = Pair::default();
    pair.server.record_calls();
    let mut records = Vec::new();
    for (second, command) in script.into_iter().enumerate() {
        pair.server.tell_time(Duration::from_secs(second as u64));
        pair.play(command);
        records.extend(std::iter::from_fn(|| pair.server.poll_record()));
    }
    records
}

fn only(script: Vec<Command>) -> CallRecord {
    let mut records = records(script);
    assert_eq!(records.len(), 1, "one record per call: {records:?}");
    records.remove(0)
}

#[test]
fn a_unary_call_is_recorded_without_its_values() {
    let record = only(vec![echo("a secret")]);
    assert_eq!((record.method.as_str(), &record.error), ("echo", &None));
    assert_eq!(record.request_fields, [("value".to_owned(), "Utf8".to_owned())]);
    assert_eq!((record.statistics.input.rows, record.statistics.output.rows), (1, 1));
    assert!(record.statistics.input.bytes >= "a secret".len() as u64);
    assert_eq!(record.protocol_hash.len(), 64);
    assert!(!format!("{record:?}").contains("secret"));
    assert!(!access_log::line(&record, Duration::ZERO, 0).contains("secret"));
}

#[test]
fn a_stream_is_one_record_with_what_it_moved_and_how_long_it_took() {
    let record = only(vec![count(2), tick(), tick(), tick()]);
    assert_eq!((record.statistics.input.batches, record.statistics.output.batches), (1, 2));
    assert_eq!((record.started, record.ended), (Duration::from_secs(0), Duration::from_secs(3)));
    let id = record.stream_id.unwrap();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");

    let record = only(vec![scale(2.0), send(values([1.0, 2.0])), send(values([3.0])), Command::Close]);
    let moved = record.statistics;
    assert_eq!((moved.input.batches, moved.input.rows, moved.output.rows), (3, 4, 3));
    assert_eq!((record.cancelled, record.error), (false, None));
}

#[test]
fn failures_are_recorded_wherever_they_happen() {
    let undeclared = unary("echo", row([("other", text("x"))]));
    let old = versioned(
        Some("0.9.0"),
        crate::common::scenarios::call(
            "test.Versioned.v1",
            "echo",
            vgi_rpc_protocol::client::CallKind::Unary,
            row([("value", text("x"))]),
        ),
    );
    for (script, error_type) in [
        (vec![unary("fail", row([("message", text("as asked"))]))], "ValueError"),
        (vec![undeclared], "TypeError"),
        (vec![old], "ProtocolVersionError"),
        (vec![stream("no_header", no_columns(1))], "TypeError"),
    ] {
        let record = only(script);
        assert_eq!(record.error.unwrap().error_type(), error_type, "{}", record.method);
    }
    // The server's own methods are recorded as calls.
    let own = crate::common::scenarios::request(
        vgi_rpc_protocol::client::CallKind::Unary,
        no_columns(1),
        [("vgi_rpc.method", b"__transport_options__"), ("vgi_rpc.request_version", b"1")],
    );
    let record = only(vec![own]);
    assert_eq!((record.method.as_str(), record.protocol.as_str()), ("__transport_options__", "test.Main.v1"));
    // A request without a known method is not a call.
    assert_eq!(records(vec![unary("no_such_method", no_columns(1))]).len(), 0);
}

#[test]
fn a_cancelled_stream_says_so() {
    let record = only(vec![count(9), tick(), Command::Cancel]);
    assert!(record.cancelled);
    let line = line(&record);
    assert_eq!((&line["cancelled"], &line["status"]), (&json!(true), &json!("error")));
    assert_eq!(line["error_code"], "CANCELLED");
}

#[test]
fn nothing_is_recorded_unless_asked_for() {
    let mut pair = Pair::default();
    pair.play(echo("x"));
    assert!(pair.server.poll_record().is_none());
}

fn line(record: &CallRecord) -> Value {
    let line = access_log::line(record, Duration::from_millis(1_777_217_445_123), 4);
    assert!(line.ends_with('\n') && !line[..line.len() - 1].contains('\n'));
    serde_json::from_str(&line).unwrap()
}

#[test]
fn a_line_has_what_the_specification_requires() {
    let line = line(&only(vec![echo("x")]));
    assert_eq!(line["timestamp"], "2026-04-26T15:30:45.123Z");
    let required = [
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
    ];
    assert!(required.iter().all(|key| line.get(key).is_some()), "{line}");
    assert_eq!((&line["status"], &line["error_type"]), (&json!("ok"), &json!("")));
    assert_eq!(line["request_fields"], json!([{ "name": "value", "type": "Utf8" }]));
    assert_eq!((&line["request_rows"], &line["dropped_records"]), (&json!(1), &json!(4)));
    assert!(line.get("error_code").is_none() && line.get("stream_id").is_none());
}

/// Returns a record of a call by a caller with claims, and with optional fields set.
fn with_claims(long: usize) -> CallRecord {
    let mut record = only(vec![echo("x")]);
    let auth = vgi_rpc_protocol::service::AuthContext::new("jwt", "ada")
        .with_claim("email", "ada@example.com")
        .with_claim("scope", "s".repeat(long));
    record.peer = std::sync::Arc::new(Peer::clone(&record.peer).with_auth(auth));
    record.externalized_bytes = 7;
    record
}

fn written(format: &LineFormat, record: &CallRecord) -> Option<Value> {
    let line = format.line(record, Duration::ZERO, 0)?;
    Some(serde_json::from_str(&line).unwrap())
}

#[test]
fn claims_are_redacted_and_the_redactor_can_be_replaced() {
    let record = with_claims(3);
    let line = written(&LineFormat::default(), &record).unwrap();
    assert_eq!(line["claims"], json!({ "email": "[redacted]", "scope": "sss" }));
    assert_eq!((&line["server_version"], &line["externalized_bytes"]), (&json!("0.1"), &json!(7)));
    let whole = written(&LineFormat::default().redact_claims(Redactor::none()), &record).unwrap();
    assert_eq!(whole["claims"]["email"], "ada@example.com");
    let nothing = LineFormat::default().redact_claims(Redactor::new(|_| panic!("on purpose")));
    assert!(written(&nothing, &record).unwrap().get("claims").is_none());
    assert!(written(&nothing, &only(vec![echo("x")])).unwrap().get("claims").is_none());
}

#[test]
fn claims_go_first_when_a_record_is_too_large() {
    let record = with_claims(5000);
    let format = LineFormat::default().max_record_bytes(2000);
    let line = written(&format, &record).unwrap();
    assert_eq!((&line["claims"], &line["truncated"]), (&json!({}), &json!(true)));
    assert!(line.get("request_fields").is_some() && line.get("input_bytes").is_some(), "{line}");
    let line = written(&format.max_record_bytes(10), &record).unwrap();
    assert_eq!(line["truncated"], "record_too_large");
    assert!(line.get("claims").is_none() && line.get("request_fields").is_none(), "{line}");
    // Escaped text counts at its full length.
    let record = with_claims(0);
    let mut odd = record.clone();
    let auth = record.peer.auth.clone().with_claim("scope", "\u{202e}".repeat(400));
    odd.peer = std::sync::Arc::new(Peer::clone(&record.peer).with_auth(auth));
    let line = LineFormat::default().max_record_bytes(2500).line(&odd, Duration::ZERO, 0).unwrap();
    assert!(line.len() <= 2501 && line.contains(r#""truncated":true"#), "{} bytes: {line}", line.len());
}

#[test]
fn a_part_of_the_calls_is_kept_all_records_of_a_stream_or_none_and_every_failure() {
    let format = LineFormat::default().sample(SampleRate::new(0.25).unwrap());
    let mut record = only(vec![count(1), tick(), tick()]);
    let mut kept = 0;
    for number in 0..1000 {
        record.stream_id = Some(format!("{number:032x}"));
        record.request_id = "first".into();
        let first = written(&format, &record);
        record.request_id = "second".into();
        let second = written(&format, &record);
        assert_eq!(first.is_some(), second.is_some());
        if let Some(line) = first {
            assert_eq!(line["sample_rate"], 0.25);
            kept += 1;
        }
    }
    assert!((180..320).contains(&kept), "{kept}");

    record.stream_id = None;
    let by_request = (0..1000).filter(|number| {
        record.request_id = number.to_string();
        written(&format, &record).is_some()
    });
    assert!((180..320).contains(&by_request.count()));

    let none = LineFormat::default().sample(SampleRate::new(0.0).unwrap());
    assert!(written(&none, &record).is_none());
    record.error = Some(RpcError::value_error("x"));
    assert!(written(&none, &record).unwrap().get("sample_rate").is_none());
    (record.error, record.cancelled) = (None, true);
    assert_eq!(written(&none, &record).unwrap()["status"], "error");
    record.cancelled = false;
    assert!(written(&LineFormat::default(), &record).unwrap().get("sample_rate").is_none());
    let all = LineFormat::default().sample(SampleRate::new(1.0).unwrap());
    assert!(written(&all, &record).unwrap().get("sample_rate").is_none());
}

#[test]
fn evidence_of_a_peer_is_named_as_the_reference_names_it() {
    use vgi_rpc_protocol::peer_identity::{PeerEvidence, ProviderResult, ProviderStatus};
    let mut record = only(vec![echo("x")]);
    let results = [
        ("tls", ProviderResult::without(ProviderStatus::NoMatch)),
        ("iroh", ProviderResult::without(ProviderStatus::Off)),
    ];
    let mut peer = Peer::clone(&record.peer);
    peer.evidence = PeerEvidence::new(results).unwrap();
    record.peer = std::sync::Arc::new(peer);
    let line = line(&record);
    assert_eq!(line["peer_identity_status"], "iroh:off,tls:no_match");
    assert!(line.get("peer_identity_sources").is_none());
}

/// Records its hooks, and panics in them.
#[derive(Clone, Default)]
struct Listener(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

impl CallHook for Listener {
    fn on_start(&self, call: &CallContext) -> Option<Box<dyn CallScope>> {
        self.0.lock().unwrap().push(format!("start {}", call.method()));
        Some(Box::new(self.clone()))
    }
}

impl CallScope for Listener {
    fn enter(&mut self) {
        self.0.lock().unwrap().push("enter".into());
        std::panic::panic_any("on purpose, in a hook");
    }

    fn exit(&mut self) {
        self.0.lock().unwrap().push("exit".into());
        std::panic::panic_any("on purpose, in a hook");
    }

    fn end(&mut self, record: &CallRecord) {
        let error = record.error.as_ref().map_or("ok", |error| error.error_type());
        self.0.lock().unwrap().push(format!("end {} {error}", record.method));
        std::panic::panic_any("on purpose, in a hook");
    }
}

#[test]
fn hooks_hear_of_every_call_and_harm_none() {
    crate::common::quiet_panics();
    let listener = Listener::default();
    let methods = [
        Method::new("good").unary(|_, _| Ok(())),
        Method::new("bad").unary(|_, _| Err::<(), _>(RpcError::value_error("as asked"))),
        Method::new("unsendable")
            .returns(DataType::Int64)
            .unary(|_, _| Ok(arrow_array::new_null_array(&DataType::Utf8, 1))),
    ];
    let service = Service::builder("hook00000000")
        .protocol(Protocol::new(crate::common::service::MAIN).methods(methods))
        .hook(listener.clone())
        .build()
        .unwrap();
    let peer = Peer::new(TransportKind::Pipe, "hook00000000");
    let server = Responder::new(service.into(), peer, Limits::default(), IdSource::seeded(1));
    let mut pair = Pair { server, ..Pair::default() };
    for method in ["good", "bad", "unsendable"] {
        pair.play(unary(method, no_columns(1)));
    }
    let heard = listener.0.lock().unwrap().clone();
    let expected = [
        ["start good", "enter", "exit", "end good ok"],
        ["start bad", "enter", "exit", "end bad ValueError"],
        ["start unsendable", "enter", "exit", "end unsendable TypeError"],
    ];
    assert_eq!(heard, expected.concat());
}

#[test]
fn a_hook_hears_nothing_of_a_handler_that_runs_after_the_end_of_its_call() {
    crate::common::quiet_panics();
    let listener = Listener::default();
    let service = Service::builder("hook00000000")
        .protocol(
            Protocol::new(crate::common::service::MAIN).method(Method::new("good").unary(|_, _| Ok(()))),
        )
        .hook(listener.clone())
        .build()
        .unwrap();
    let peer = Peer::new(TransportKind::Pipe, "hook00000000");
    let mut server = Responder::new(service.into(), peer, Limits::default(), IdSource::seeded(1));
    let mut client = client::Connection::new(Limits::default());
    unary("good", no_columns(1)).issue(&mut client).unwrap();
    let outbox = client.poll_transmit().unwrap();
    server.receive(outbox.copy_to_bytes(outbox.len()));
    let Ok(Next::Event(work)) = server.poll_work() else { panic!("a handler is to be invoked") };
    server.hang_up();
    drop(work.run());
    assert_eq!(*listener.0.lock().unwrap(), ["start good", "end good StatusError"]);
}

#[test]
fn start_up_work_is_repeated_until_it_succeeds_and_then_done_once() {
    let runs = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = runs.clone();
    let protocol = Protocol::new("test.Start.v1").on_serve_start(move |transport| {
        assert_eq!(transport, TransportKind::Unix);
        match counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => Err(RpcError::runtime_error("not yet")),
            _ => Ok(()),
        }
    });
    let service = Service::builder("start0000000").protocol(protocol).build().unwrap();
    assert!(service.start(TransportKind::Unix).is_err());
    assert!(service.start(TransportKind::Unix).is_ok());
    assert!(service.start(TransportKind::Unix).is_ok());
    assert_eq!(runs.load(std::sync::atomic::Ordering::Relaxed), 2);
}
