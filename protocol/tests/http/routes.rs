//! The routes: which path and method leads where. WIRE_PROTOCOL 10, "Endpoints".

use crate::ask::*;
use crate::common::batches::*;
use crate::common::service::{MAIN, service};
use crate::common::streams::stream_of;
use crate::local;
use crate::serve::*;
use vgi_rpc_protocol::http::{Endpoint, EndpointError, Sticky};
use vgi_rpc_protocol::service::{Method, Protocol, Service};
use vgi_rpc_protocol::wire::error::kind;

#[test]
fn all_paths_begin_with_the_prefix() {
    for (given, prefix) in [("", ""), ("/", ""), ("/vgi", "/vgi"), ("/vgi/", "/vgi"), ("/a/b", "/a/b")] {
        let server = serve_main(|builder| builder.prefix(given));
        let path = |rest: &str| format!("{prefix}{rest}");
        let (_, body) = echo("x").into_parts();
        let echoed = server.send(post(&path(&format!("/{MAIN}/echo")), body.clone()));
        assert_eq!(echoed.text(), "x", "{given:?}");
        assert_eq!(server.send(ask("GET", &path("/health"))).status, 200, "{given:?}");
        assert_eq!(server.send(ask("GET", &path("/"))).status, 200, "{given:?}");
        if given.is_empty() {
            let default = Endpoint::builder(service(), |_| {}).build().unwrap();
            let server = Server { endpoint: default, ..server };
            assert_eq!(server.send(ask("GET", "/health")).status, 200, "the root is the default");
        } else if !prefix.is_empty() {
            assert_eq!(server.send(post(&format!("/{MAIN}/echo"), body)).status, 404, "{given:?}");
            assert_eq!(server.send(ask("GET", "/health")).status, 404, "{given:?}");
            assert_eq!(server.send(ask("GET", &format!("{prefix}x/health"))).status, 404, "{given:?}");
        }
    }
}

#[test]
fn a_prefix_that_is_no_path_is_refused() {
    let built = Endpoint::builder(service(), |_| {}).prefix("vgi").build();
    assert!(matches!(built, Err(EndpointError::Prefix(prefix)) if prefix == "vgi"));
}

#[test]
fn an_unknown_protocol_or_method_is_not_found() {
    let server = main();
    let unknown = server.send(call_of("test.Other.v1", "echo", "", no_columns(1)));
    assert_eq!((unknown.status, unknown.body_was_read), (404, false));
    assert!(unknown.error().is_kind(kind::PROTOCOL_NOT_SUPPORTED), "{:?}", unknown.error());
    assert!(unknown.error().message().contains(MAIN), "it lists the hosted protocols");
    for part in ["", "/init", "/exchange"] {
        let unknown = server.send(call_of(MAIN, "no_such_method", part, no_columns(1)));
        assert_eq!((unknown.status, unknown.is_marked()), (404, false), "{part}");
        assert!(unknown.error().is_kind(kind::METHOD_NOT_IMPLEMENTED), "{:?}", unknown.error());
    }
}

#[test]
fn what_is_no_name_is_not_repeated() {
    let error = main().send(post("/vgi/1-sesame/echo", Default::default()));
    assert_eq!(error.status, 404);
    assert!(!format!("{:?} {:?}", error.error(), error.body).contains("sesame"));
}

#[test]
fn a_percent_sign_in_the_protocol_is_refused_undecoded() {
    let server = main();
    for path in
        ["/vgi/test%2EMain.v1/echo", "/vgi/%74est.Main.v1/echo", "/vgi/%/echo", "/vgi/test.Main.v1%00/echo"]
    {
        let (_, body) = echo("x").into_parts();
        let refused = server.send(post(path, body));
        assert_eq!((refused.status, refused.body_was_read), (404, false), "{path}");
        assert!(refused.error().is_kind(kind::PROTOCOL_NOT_SUPPORTED), "{path}");
        let text = refused.error().message().to_owned();
        assert!(text.contains("expected the name of a protocol to consist of letters"), "{path}: {text}");
    }
}

#[test]
fn the_method_in_a_path_is_percent_decoded() {
    let umlaut = Method::new("größe/ %").unary(|_, _| Ok(()));
    let service = Service::builder("server-1").protocol(Protocol::new("test.Main.v1").method(umlaut));
    let server = serve(service.build().unwrap(), |builder| builder);
    let body = stream_of(&[(no_columns(1), routing("test.Main.v1", "größe/ %"))]);
    let answered = server.send(post("/vgi/test.Main.v1/gr%C3%B6%c3%9fe%2F%20%25", body.clone()));
    assert_eq!((answered.status, answered.is_marked()), (200, false), "{:?}", answered.told());
    let refused = server.send(post("/vgi/test.Main.v1/gr%ff", body));
    assert!(refused.error().is_kind(kind::METHOD_NOT_IMPLEMENTED), "a path that is not text names nothing");
}

#[test]
fn a_bad_protocol_name_is_a_protocol_that_is_not_hosted() {
    let long = "a".repeat(300);
    for name in ["", "a-b", "1a", "vgi_rpc", "a..b", "a b".replace(' ', "+").as_str(), &long] {
        let (_, body) = echo("x").into_parts();
        let refused = main().send(post(&format!("/vgi/{name}/echo"), body));
        assert_eq!((refused.status, refused.is_marked()), (404, false), "{name:?}");
        assert!(refused.error().is_kind(kind::PROTOCOL_NOT_SUPPORTED), "{name:?}: {:?}", refused.error());
    }
}

#[test]
fn a_query_does_not_matter() {
    let (_, body) = echo("x").into_parts();
    assert_eq!(main().send(post("/vgi/test.Main.v1/echo?trace=1/2", body)).text(), "x");
}

#[test]
fn other_methods_are_not_allowed_and_the_answer_says_which_are() {
    let server = serve_main(|builder| builder.sticky(Sticky::default()));
    let cases = [
        ("GET", "/vgi/test.Main.v1/echo", "POST, OPTIONS"),
        ("HEAD", "/vgi/test.Main.v1/echo", "POST, OPTIONS"),
        ("PUT", "/vgi/test.Main.v1/count/init", "POST, OPTIONS"),
        ("DELETE", "/vgi/test.Main.v1/count/exchange", "POST, OPTIONS"),
        ("POST", "/vgi/health", "GET, HEAD, OPTIONS"),
        ("POST", "/vgi", "GET, HEAD, OPTIONS"),
        ("POST", "/vgi/describe", "GET, HEAD, OPTIONS"),
        ("POST", "/vgi/__session__", "DELETE, OPTIONS"),
    ];
    for (method, path, allowed) in cases {
        let refused = server.send(ask(method, path));
        assert_eq!((refused.status, refused.header("allow")), (405, Some(allowed)), "{method} {path}");
    }
}

#[test]
fn a_path_of_two_segments_that_is_no_protocols_is_not_found_rather_than_not_allowed() {
    let server = serve_main(|builder| builder.prefix(""));
    for path in ["/.well-known/security.txt", "/favicon/ico", "/test.Other.v1/echo"] {
        let missing = server.send(ask("GET", path));
        assert_eq!((missing.status, missing.header("allow")), (404, None), "{path}");
        assert_eq!(missing.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
    }
}

#[test]
fn what_is_not_set_up_is_not_there() {
    let server = main();
    assert_eq!(server.send(ask("DELETE", "/vgi/__session__")).status, 404);
    let uploads = server.send(post("/vgi/__upload_url__/init", Default::default()));
    assert_eq!((uploads.status, uploads.is_marked()), (404, false));
    assert!(uploads.error().is_kind(kind::METHOD_NOT_IMPLEMENTED), "{:?}", uploads.error());
}

#[test]
fn reserved_names_belong_to_no_protocol() {
    for name in ["__describe__", "__transport_options__", "__anything__"] {
        let refused = main().send(post(&format!("/vgi/{name}"), Default::default()));
        assert_eq!((refused.status, refused.error().is_retryable()), (404, false), "{name}");
    }
}

#[test]
fn a_method_has_one_path_by_its_kind() {
    let server = main();
    let count = || row([("count", int(1))]);
    let cases = [
        call_of(MAIN, "echo", "/init", row([("value", text("x"))])),
        call_of(MAIN, "echo", "/exchange", row([("value", text("x"))])),
        call_of(MAIN, "count", "", count()),
        call_of(MAIN, "scale", "", row([("factor", floats([1.0]))])),
    ];
    for request in cases {
        let path = request.uri().path().to_owned();
        let refused = server.send(request);
        assert_eq!((refused.status, refused.is_marked()), (400, false), "{path}");
        assert_eq!(refused.error().error_type(), "TypeError", "{path}");
    }
}

#[test]
fn options_says_what_a_path_allows() {
    let server = serve_main(|builder| builder.sticky(Sticky::default()));
    let cases = [
        ("/vgi/test.Main.v1/echo", "POST, OPTIONS"),
        ("/vgi/test.Main.v1/count/init", "POST, OPTIONS"),
        ("/vgi/health", "GET, HEAD, OPTIONS"),
        ("/vgi/__session__", "DELETE, OPTIONS"),
    ];
    for (path, allowed) in cases {
        let answered = server.send(ask("OPTIONS", path));
        assert_eq!((answered.status, answered.header("allow")), (200, Some(allowed)), "{path}");
        assert!(answered.body.is_empty(), "{path}");
        assert_eq!(answered.header("vgi-accept-max-response-bytes-support"), Some("true"), "{path}");
    }
    assert_eq!(server.send(ask("OPTIONS", "/elsewhere")).status, 404);
}

#[test]
fn options_of_an_asterisk_asks_about_the_server_in_general() {
    for (server, allowed) in [
        (main(), "GET, HEAD, POST, OPTIONS"),
        (
            serve_main(|builder| builder.prefix("").sticky(Sticky::default())),
            "GET, HEAD, POST, DELETE, OPTIONS",
        ),
    ] {
        let answered = server.send(ask("OPTIONS", "*"));
        assert_eq!((answered.status, answered.header("allow")), (200, Some(allowed)));
        assert!(answered.body.is_empty());
        assert_eq!(answered.header("vgi-accept-max-response-bytes-support"), Some("true"));
    }
    assert_eq!(main().send(ask("GET", "*")).status, 404, "for other methods it names nothing");
}

#[test]
fn health_tells_who_answers() {
    let (service, _) = local::service();
    let health = serve(service, |builder| builder).send(ask("GET", "/vgi/health"));
    assert_eq!((health.status, health.header("content-type")), (200, Some("application/json")));
    let told: serde_json::Value = serde_json::from_slice(&health.body).unwrap();
    let expected = serde_json::json!({ "status": "ok", "server_id": "server-1", "protocol": local::LOCAL });
    assert_eq!(told, expected);
}

#[test]
fn introspection_is_reached_like_any_method() {
    let name = "vgi_rpc.Reflection.v1";
    let answered = main().send(call_of(name, "list_protocols", "", no_columns(1)));
    assert_eq!((answered.status, answered.is_marked()), (200, false));
    assert_eq!(answered.data().len(), 1);
}
