//! Calls to a server: spans, the current span, parents, statuses, metrics, and refused callers.

use crate::support::*;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use serde_json::Value;
use std::sync::{Arc, Mutex};
use vgi_rpc_client::CallError;
use vgi_rpc_http::client::HttpOptions;
use vgi_rpc_protocol::access_log;
use vgi_rpc_protocol::http::auth::{AuthContext, AuthError, AuthFailure, AuthRequest, Reason};
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::service::{CallContext, CallHook, CallRecord, CallScope};
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::keys;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn traceparent() -> String {
    format!("00-{TRACE}-{PARENT}-01")
}

#[test]
fn the_span_is_current_where_the_handler_runs_and_nowhere_else() {
    let setup = Setup::new();
    let service = service(|builder| builder.hook(setup.otel.server()));
    for mut client in [connect_tcp(&service), connect_http(&service)] {
        for _ in 0..2 {
            let seen: String = client.call(&remote().method("current"), ()).unwrap();
            let spans = setup.spans();
            let span = spans.iter().find(|span| span.name == "vgi_rpc/current").unwrap();
            assert_eq!(seen, ids(span));
            assert_eq!((span.kind, span.parent.as_str(), span.status), ("server", "", "ok"));
        }
        // Its thread has run handlers, and has no current span.
        let none: String = client.call(&remote().method("echo"), (("text", "x"),)).unwrap();
        assert_eq!(none, "x");
        setup.spans();
    }
    assert_eq!(current(), format!("{:032}-{:016}", 0, 0));
}

#[test]
fn calls_at_the_same_time_have_spans_of_their_own() {
    let setup = Setup::new();
    let service = service(|builder| builder.hook(setup.otel.server()));
    let address = serve_tcp(service, None);
    let seen: Vec<_> = std::thread::scope(|scope| {
        let call = || {
            let mut client = vgi_rpc_unix::connect_tcp(&address).unwrap().check_kinds(false);
            let call = |_| client.call::<String>(&remote().method("current"), ()).unwrap();
            (0..20).map(call).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(call)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let spans: std::collections::BTreeSet<_> = setup.spans().iter().map(ids).collect();
    assert_eq!(spans.len(), 80);
    assert_eq!(seen.into_iter().collect::<std::collections::BTreeSet<_>>(), spans);
}

#[test]
fn the_parent_is_that_of_the_metadata_and_then_that_of_the_headers() {
    let setup = Setup::new();
    let service = service(|builder| builder.hook(setup.otel.server()));
    let other = format!("00-{}-{}-01", "1".repeat(32), "2".repeat(16));
    let url = serve_http(&service, |builder| builder);
    let header = |name: &'static str, value: &str| {
        let (name, value) = (http::HeaderName::from_static(name), value.parse().unwrap());
        HttpOptions::default().header(name, value)
    };
    let plain = || HttpOptions::default().build(&url).unwrap().client();
    let with_header = || {
        let options = header("traceparent", &traceparent());
        let (name, value) = (http::HeaderName::from_static("tracestate"), "vendor=x".parse().unwrap());
        options.header(name, value).build(&url).unwrap().client()
    };
    let metadata: Metadata = [(keys::TRACEPARENT, other.as_str())].into_iter().collect();
    let remote = remote();
    let (without, with) = (remote.method("parent"), remote.method("parent").with_metadata(metadata));
    for (mut client, method, expected, parent) in [
        (plain(), &without, "none none".to_owned(), ""),
        (with_header(), &without, format!("{} vendor=x", traceparent()), PARENT),
        (plain(), &with, format!("{other} none"), "2222222222222222"),
        (with_header(), &with, format!("{other} none"), "2222222222222222"),
        (connect_tcp(&service), &with, format!("{other} none"), "2222222222222222"),
    ] {
        // A handler sees the same.
        assert_eq!(client.call::<String>(method, ()).unwrap(), expected);
        let spans = setup.spans();
        let span = spans.iter().find(|span| span.name == "vgi_rpc/parent").unwrap();
        assert_eq!(span.parent, parent);
        let state = if expected.ends_with("vendor=x") { "vendor=x" } else { "" };
        assert_eq!(span.state, state);
    }
    // Two headers, or a malformed one, name no span.
    let twice = header("traceparent", &traceparent())
        .header(http::HeaderName::from_static("traceparent"), other.parse().unwrap());
    for options in [twice, header("traceparent", "00-nothing-01")] {
        options.build(&url).unwrap().client().call::<String>(&without, ()).unwrap();
        assert_eq!(setup.span().parent, "");
    }
}

#[test]
fn a_span_that_is_current_where_requests_are_read_is_the_parent() {
    let setup = Setup::new();
    let service = service(|builder| builder.hook(setup.otel.server()));
    let of_test = SpanContext::new(
        TraceId::from_hex(TRACE).unwrap(),
        SpanId::from_hex(PARENT).unwrap(),
        TraceFlags::SAMPLED,
        false,
        TraceState::NONE,
    );
    let path = std::env::temp_dir().join(format!("vgi-rpc-otel-{}.sock", std::process::id()));
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let serving = std::thread::spawn(move || {
        let _current = Context::new().with_remote_span_context(of_test).attach();
        let (stream, _) = listener.accept().unwrap();
        vgi_rpc_blocking::BlockingServer::new(service).serve(stream.try_clone().unwrap(), stream).unwrap();
    });
    let mut client = vgi_rpc_unix::connect_unix(&path).unwrap().check_kinds(false);
    std::fs::remove_file(path).unwrap();
    client.call::<String>(&remote().method("current"), ()).unwrap();
    client.close().unwrap();
    serving.join().unwrap();
    let span = setup.span();
    assert_eq!((span.trace.as_str(), span.parent.as_str()), (TRACE, PARENT));
}

#[test]
fn the_status_of_a_span_says_who_is_at_fault() {
    let setup = Setup::new();
    let service = service(|builder| builder.hook(setup.otel.server()));
    let mut client = connect_tcp(&service).check_kinds(false);
    let at_fault = ["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"];
    for code in Code::ALL.map(Code::as_str) {
        client.call::<i64>(&remote().method("fail"), (("code", code),)).unwrap_err();
        let span = setup.span();
        let expected = if at_fault.contains(&code) { ("error", "as asked") } else { ("unset", "") };
        assert_eq!((span.status, span.message.as_str()), expected, "{code}");
        assert_eq!(span.attributes["rpc.vgi_rpc.error_code"], code);
        assert_eq!(span.attributes["rpc.vgi_rpc.error_type"], "ValueError");
        let (event, attributes) = &span.events[0];
        assert_eq!((event.as_str(), &attributes["exception.message"]), ("exception", &"as asked".into()));
        assert_eq!(attributes["exception.type"], "ValueError");
    }
}

#[test]
fn unknown_names_make_no_series_and_no_span() {
    let setup = Setup::new();
    let service = service(|builder| builder.hook(setup.otel.server()));
    for mut client in [connect_tcp(&service), connect_http(&service)] {
        client = client.check_kinds(false);
        client.call::<String>(&remote().method("echo"), (("text", "x"),)).unwrap();
        for name in ["nothing", "__describe__", "also nothing"] {
            client.call::<String>(&remote().method(name), ()).unwrap_err();
        }
        let other = vgi_rpc_client::Remote::new("test.Nowhere.v1");
        client.call::<String>(&other.method("echo"), ()).unwrap_err();
    }
    let names: Vec<_> = setup.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["vgi_rpc/echo", "vgi_rpc/echo"]);
    for metric in ["rpc.server.requests", "rpc.server.duration"] {
        let points = setup.points(metric);
        assert_eq!(points.len(), 1, "{points:#?}");
        let point = &points[0];
        assert_eq!((point.count, &point.attributes["rpc.method"]), (2, &"echo".into()));
        assert_eq!(point.attributes["status"], "ok");
        assert_eq!(point.scope, ["vgi_rpc", "0.1.0"]);
    }
}

/// The first bucket of the SDK's default bounds would contain everything below 5 s.
#[test]
fn durations_are_in_buckets_of_seconds() {
    let setup = Setup::new();
    let service = service(|builder| builder.hook(setup.otel.server()));
    let mut client = connect_tcp(&service).hook(setup.otel.client());
    client.call::<String>(&remote().method("echo"), (("text", "x"),)).unwrap();
    for metric in ["rpc.server.duration", "rpc.client.duration"] {
        let points = setup.points(metric);
        assert!(!points.is_empty(), "{metric}");
        for point in points {
            let (first, last) = (point.bounds.first(), point.bounds.last());
            assert_eq!((point.unit.as_str(), first, last), ("s", Some(&0.005), Some(&10.0)), "{metric}");
            assert!(point.bounds.is_sorted(), "{metric}");
        }
    }
}

/// Authenticates callers by the value of a header.
fn authenticate(request: &AuthRequest<'_>) -> Result<AuthContext, AuthError> {
    match request.header("x-caller")? {
        Some("ann") => Ok(AuthContext::new("test", "ann")
            .with_claim("tenant", "north")
            .with_claim("level", 3)
            .with_claim("groups", Value::Array(vec!["a".into()]))),
        Some("outage") => Err(AuthError::Unavailable { retry_after: 1, detail: "not there".into() }),
        Some(_) => Err(AuthError::Denied(AuthFailure::new(Reason::InvalidCredential, "not good"))),
        None => Err(AuthError::refused(Reason::MissingCredential, "none")),
    }
}

#[test]
fn callers_that_are_not_let_in_are_counted_by_reason() {
    let setup = Setup::with(|config| config.attribute("deployment", "test"));
    let service = service(|builder| builder.hook(setup.otel.server()));
    let told = Arc::new(Mutex::new(0));
    let counted = told.clone();
    let url = serve_http(&service, |builder| {
        builder
            .authenticate(authenticate)
            .on_auth_failure(move |_| *counted.lock().unwrap() += 1)
            .on_auth_failure(setup.otel.auth_failures(PROTOCOL))
    });
    let call = |caller: Option<&str>| {
        let name = http::HeaderName::from_static("x-caller");
        let options = caller.into_iter().fold(HttpOptions::default(), |options, caller| {
            options.header(name.clone(), caller.parse().unwrap())
        });
        options.build(&url).unwrap().client().call::<String>(&remote().method("echo"), (("text", "x"),))
    };
    assert!(call(Some("ann")).is_ok());
    for (caller, times) in [(None, 1), (Some("bob"), 2), (Some("outage"), 1)] {
        for _ in 0..times {
            assert!(matches!(call(caller), Err(CallError::Transport(_))));
        }
    }
    assert_eq!(*told.lock().unwrap(), 4, "both functions are called");
    let mut counts: Vec<_> = setup
        .points("rpc.server.auth_failure")
        .into_iter()
        .map(|point| {
            assert_eq!(point.attributes["rpc.system"], "vgi_rpc");
            assert_eq!(point.attributes["rpc.service"], PROTOCOL);
            assert_eq!(point.attributes["deployment"], "test");
            assert_eq!(point.unit, "{failure}");
            (point.attributes["error.type"].as_str().unwrap().to_owned(), point.count)
        })
        .collect();
    counts.sort();
    assert_eq!(counts, [("invalid_credential".to_owned(), 2), ("missing_credential".to_owned(), 1)]);
    assert_eq!(setup.spans().len(), 1, "no other call was resolved");
}

#[test]
fn claims_and_attributes_of_the_application_are_on_spans_and_the_domain_on_metrics() {
    let setup = Setup::with(|config| {
        config
            .attribute("deployment", "test")
            .claim_attribute("tenant", "app.tenant")
            .claim_attribute("level", "app.level")
            .claim_attribute("groups", "app.groups")
            .claim_attribute("missing", "app.missing")
    });
    let service = service(|builder| builder.hook(setup.otel.server()));
    let url = serve_http(&service, |builder| builder.authenticate(authenticate));
    let caller = (http::HeaderName::from_static("x-caller"), "ann".parse().unwrap());
    let agent = (http::HeaderName::from_static("user-agent"), "a test".parse().unwrap());
    let options = HttpOptions::default().header(caller.0, caller.1).header(agent.0, agent.1);
    let mut client = options.build(&url).unwrap().client();
    client.call::<String>(&remote().method("echo"), (("text", "x"),)).unwrap();
    let attributes = setup.span().attributes;
    for (name, value) in [
        ("app.tenant", "north"),
        ("app.level", "3"),
        ("deployment", "test"),
        ("rpc.vgi_rpc.auth.principal", "ann"),
        ("rpc.vgi_rpc.auth.domain", "test"),
        ("rpc.vgi_rpc.auth.authenticated", "true"),
        ("rpc.vgi_rpc.server_id", SERVER_ID),
        ("client.address", "127.0.0.1"),
        ("user_agent.original", "a test"),
    ] {
        assert_eq!(attributes[name], value, "{name}");
    }
    assert!(!attributes.contains_key("app.groups") && !attributes.contains_key("app.missing"));
    let points = setup.points("rpc.server.requests");
    let labels: Vec<_> = points[0].attributes.keys().map(String::as_str).collect();
    let expected = [
        "rpc.method",
        "rpc.service",
        "rpc.system",
        "rpc.vgi_rpc.auth.domain",
        "rpc.vgi_rpc.method_type",
        "status",
    ];
    assert_eq!(labels, expected);
}

#[test]
fn what_is_turned_off_is_not_made() {
    let setup = Setup::with(|config| config.enable_tracing(false));
    let quiet = service(|builder| builder.hook(setup.otel.server()));
    connect_tcp(&quiet).call::<String>(&remote().method("current"), ()).unwrap();
    assert!(setup.spans().is_empty() && !setup.points("rpc.server.requests").is_empty());

    let setup = Setup::with(|config| config.enable_metrics(false).record_exceptions(false));
    let traced = service(|builder| builder.hook(setup.otel.server()));
    let mut client = connect_tcp(&traced).check_kinds(false);
    client.call::<i64>(&remote().method("fail"), (("code", "INTERNAL"),)).unwrap_err();
    let span = setup.span();
    assert!(span.events.is_empty() && span.status == "error");
    assert!(setup.points("rpc.server.requests").is_empty());
}

/// Collects the lines of an access log.
struct Lines(Arc<Mutex<Vec<String>>>);

struct LinesScope(Arc<Mutex<Vec<String>>>);

impl CallHook for Lines {
    fn on_start(&self, _: &CallContext) -> Option<Box<dyn CallScope>> {
        Some(Box::new(LinesScope(self.0.clone())))
    }
}

impl CallScope for LinesScope {
    fn end(&mut self, record: &CallRecord) {
        self.0.lock().unwrap().push(access_log::line(record, Default::default(), 0));
    }
}

#[test]
fn the_access_log_names_the_span() {
    let setup = Setup::new();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let service = service(|builder| builder.hook(Lines(lines.clone())).hook(setup.otel.server()));
    let mut client = connect_http(&service);
    client.call::<String>(&remote().method("echo"), (("text", "x"),)).unwrap();
    let span = setup.span();
    let line: Value = serde_json::from_str(&lines.lock().unwrap()[0]).unwrap();
    assert_eq!((&line["trace_id"], &line["span_id"]), (&span.trace.into(), &span.id.into()));
}
