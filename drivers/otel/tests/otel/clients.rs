//! Calls by a client: spans, their injection into requests, and metrics.

use crate::support::*;
use arrow_array::RecordBatch;
use opentelemetry::Context;
use opentelemetry::trace::{TraceContextExt, Tracer, TracerProvider};
use std::sync::Arc;
use vgi_rpc_client::{Client, Remote};
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::service::Service;

fn connected(setup: &Setup, service: &Arc<Service>) -> [Client; 2] {
    [connect_tcp(service), connect_http(service)]
        .map(|client| client.check_kinds(false).hook(setup.otel.client()))
}

fn both(setup: &Setup) -> Arc<Service> {
    service(|builder| builder.hook(setup.otel.server()))
}

#[test]
fn the_span_of_a_client_is_the_parent_of_the_servers() {
    let setup = Setup::new();
    for mut client in connected(&setup, &both(&setup)) {
        client.call::<String>(&remote().method("echo"), (("text", "x"),)).unwrap();
        let [server, client] = <[_; 2]>::try_from(setup.spans()).unwrap();
        assert_eq!((server.kind, client.kind), ("server", "client"));
        assert_eq!((&server.name, &client.name), (&"vgi_rpc/echo".into(), &"vgi_rpc/echo".into()));
        assert_eq!((&server.trace, &server.parent), (&client.trace, &client.id));
        assert_eq!((client.parent.as_str(), client.status), ("", "ok"));
        assert_eq!(client.attributes["rpc.service"], PROTOCOL);
        assert_eq!(client.attributes["rpc.method"], "echo");
        assert_eq!(client.attributes["rpc.vgi_rpc.method_type"], "unary");
        assert_eq!(client.attributes["rpc.vgi_rpc.request_id"].as_str().unwrap().len(), 16);
    }
}

#[test]
fn the_current_span_is_the_parent_of_the_clients() {
    let setup = Setup::new();
    let tracer = setup.tracer.tracer("application");
    for mut client in connected(&setup, &both(&setup)) {
        let span = tracer.start("outer");
        let context = Context::current_with_span(span);
        {
            let _current = context.clone().attach();
            client.call::<String>(&remote().method("echo"), (("text", "x"),)).unwrap();
        }
        context.span().end();
        let [_, inner, outer] = <[_; 3]>::try_from(setup.spans()).unwrap();
        assert_eq!((&inner.trace, &inner.parent), (&outer.trace, &outer.id));
    }
}

#[test]
fn a_stream_is_one_span_of_the_client_and_the_parent_of_all_its_requests() {
    let setup = Setup::new();
    let service = both(&setup);
    for (index, mut client) in connected(&setup, &service).into_iter().enumerate() {
        let remote = remote();
        let method = remote.method("count");
        let params = RecordBatch::try_new(params("to"), number(3).columns().to_vec()).unwrap();
        let batches: Result<Vec<_>, _> = client.stream(&method, &params).unwrap().collect();
        assert_eq!(batches.unwrap().len(), 3);
        let mut spans = setup.spans();
        let of_client = spans.pop().unwrap();
        assert_eq!((of_client.kind, of_client.status), ("client", "ok"));
        assert_eq!(of_client.attributes["rpc.vgi_rpc.method_type"], "stream");
        // Over HTTP each turn is a request.
        assert_eq!(spans.len(), [1, 4][index]);
        for span in spans {
            assert_eq!((&span.trace, &span.parent), (&of_client.trace, &of_client.id));
        }

        let method = remote.method("negate");
        let none = number(0).project(&[]).unwrap();
        let mut stream = client.stream(&method, &none).unwrap();
        stream.exchange(&number(1)).unwrap();
        stream.exchange(&number(2)).unwrap();
        stream.cancel().unwrap();
        // The cancel request is not a call.
        let spans = setup.spans();
        let kinds: Vec<_> = spans.iter().map(|span| span.kind).collect();
        let expected: [&[_]; 2] = [&["server", "client"], &["server", "server", "server", "client"]];
        assert_eq!(kinds, expected[index]);
        let of_client = spans.last().unwrap();
        assert!(spans[..spans.len() - 1].iter().all(|span| span.parent == of_client.id));
    }
}

fn params(name: &str) -> arrow_schema::SchemaRef {
    let field = arrow_schema::Field::new(name, arrow_schema::DataType::Int64, false);
    Arc::new(arrow_schema::Schema::new(vec![field]))
}

#[test]
fn every_error_is_one_to_the_client() {
    let setup = Setup::new();
    for mut client in connected(&setup, &service(|builder| builder)) {
        client.call::<i64>(&remote().method("fail"), (("code", "NOT_FOUND"),)).unwrap_err();
        let span = setup.span();
        assert_eq!((span.status, span.message.as_str()), ("error", "ValueError: as asked"));
        assert_eq!(span.attributes["rpc.vgi_rpc.error_code"], "NOT_FOUND");
        assert_eq!(span.attributes["rpc.vgi_rpc.error_type"], "ValueError");
        assert_eq!(span.events.len(), 1);
        // The client continues.
        client.call::<String>(&remote().method("echo"), (("text", "x"),)).unwrap();
        assert_eq!(setup.span().status, "ok");
    }
}

#[test]
fn a_lost_connection_ends_the_span() {
    let setup = Setup::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || drop(listener.accept()));
    let mut client =
        vgi_rpc_unix::connect_tcp(&address).unwrap().check_kinds(false).hook(setup.otel.client());
    client.call::<String>(&remote().method("echo"), (("text", "x"),)).unwrap_err();
    let span = setup.span();
    assert_eq!(span.status, "error");
    assert_eq!(span.attributes["rpc.vgi_rpc.error_code"], "UNAVAILABLE");
    let points = setup.points("rpc.client.requests");
    assert_eq!(points.len(), 1);
    assert_eq!(points[0].attributes["rpc.method"], "_OTHER", "no server has confirmed this method");
}

#[test]
fn names_that_no_server_knows_are_one_series() {
    let setup = Setup::new();
    for mut client in connected(&setup, &both(&setup)) {
        client.call::<String>(&remote().method("echo"), (("text", "x"),)).unwrap();
        client.call::<i64>(&remote().method("fail"), (("code", "UNKNOWN"),)).unwrap_err();
        for name in ["a", "b", "c"] {
            client.call::<String>(&remote().method(name), ()).unwrap_err();
            client.call::<String>(&Remote::new(name).method("echo"), ()).unwrap_err();
        }
    }
    let points = setup.points("rpc.client.requests");
    let mut series: Vec<_> = points
        .iter()
        .map(|point| {
            let label = |name: &str| point.attributes[name].as_str().unwrap().to_owned();
            (label("rpc.service"), label("rpc.method"), label("status"), point.count)
        })
        .collect();
    series.sort();
    let row = |service: &str, method: &str, status: &str, count| {
        (service.to_owned(), method.to_owned(), status.to_owned(), count)
    };
    let expected = [
        row("_OTHER", "_OTHER", "error", 12),
        row(PROTOCOL, "echo", "ok", 2),
        row(PROTOCOL, "fail", "error", 2),
    ];
    assert_eq!(series, expected);
    let durations = setup.points("rpc.client.duration");
    assert_eq!(durations.len(), 3);
    assert!(durations.iter().all(|point| point.unit == "s" && point.sum > 0.0 && point.sum < 60.0));
}

#[test]
fn without_tracing_the_current_span_is_passed_on() {
    let setup = Setup::with(|config| config.enable_tracing(false).enable_metrics(false));
    let tracer = setup.tracer.tracer("application");
    let plain = service(|builder| builder);
    for mut client in connected(&setup, &plain) {
        let context = Context::current_with_span(tracer.start("outer"));
        let sent = {
            let _current = context.clone().attach();
            client.call::<String>(&remote().method("parent"), ()).unwrap()
        };
        context.span().end();
        let outer = setup.span();
        assert_eq!(sent, format!("00-{}-{}-01 none", outer.trace, outer.id));
        // Outside of it, the application's own value is unchanged.
        let metadata: Metadata = [("traceparent", "its own")].into_iter().collect();
        let remote = remote();
        let method = remote.method("parent").with_metadata(metadata);
        assert_eq!(client.call::<String>(&method, ()).unwrap(), "its own none");
    }
}
