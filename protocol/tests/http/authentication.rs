//! Who sent a request, and that unauthenticated clients learn nothing else. WIRE_PROTOCOL 10, "Authentication (HTTP)".

use crate::ask::*;
use crate::common::batches::*;
use crate::local::{self, LOCAL, local};
use crate::serve::*;
use bytes::Bytes;
use http::Request;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use vgi_rpc_protocol::http::Sticky;
use vgi_rpc_protocol::http::auth::{AuthContext, AuthError, AuthRequest, Reason, bearer_static};

/// Returns a server with every feature, only for ann.
fn server() -> (Server, Arc<local::Counters>) {
    let (service, counters) = local::service();
    let server = serve(service, |builder| {
        builder
            .authenticate(bearer_static([("of ann", AuthContext::new("test", "ann"))]))
            .challenge("Bearer realm=\"test\"")
            .sticky(Sticky::default())
            .upload_urls(None)
            .max_request_bytes(Some(4000))
    });
    (server, counters)
}

fn ann(request: Request<Bytes>) -> Request<Bytes> {
    request.with("authorization", "Bearer of ann")
}

#[test]
fn a_known_caller_is_known_to_the_handler() {
    let (server, _) = server();
    assert_eq!(server.send(ann(local("who"))).text(), "test/ann true");
    let (service, _) = local::service();
    assert_eq!(
        serve(service, |builder| builder).send(local("who")).text(),
        "/ false",
        "without authentication"
    );
}

#[test]
fn a_stranger_is_refused_whatever_else_is_wrong() {
    let (server, counters) = server();
    let requests = [
        local("who"),
        local("who").having("content-type", "text/plain"),
        local("who").with("content-encoding", "br"),
        local("who").with("content-length", "4001"),
        local("who").with("vgi-accept-max-response-bytes", "1"),
        local("no_such_method"),
        call_of("test.Other.v1", "who", "", no_columns(1)),
        post("/vgi/test%2ELocal.v1/who", Bytes::new()),
        post("/vgi/test.Local.v1/who", Bytes::new()),
        post("/vgi/test.Local.v1/produce/init", Bytes::new()),
        post("/vgi/test.Local.v1/produce/exchange", Bytes::new()),
        post("/vgi/__upload_url__/init", Bytes::new()),
        post("/vgi/__describe__", Bytes::new()),
        call_of("vgi_rpc.Reflection.v1", "list_protocols", "", no_columns(1)),
        ask("DELETE", "/vgi/__session__"),
        ask("GET", "/vgi/__session__"),
        ask("GET", "/vgi"),
        ask("GET", "/vgi/describe"),
        ask("GET", "/vgi/test.Local.v1/who"),
        ask("GET", "/elsewhere"),
        ask("POST", "/elsewhere/a/b"),
    ];
    for request in requests {
        let what = format!("{} {}", request.method(), request.uri());
        let refused = server.send(request);
        assert_eq!((refused.status, refused.body_was_read), (401, false), "{what}");
        assert_eq!(refused.header("vgi-auth-reason"), Some("missing_credential"), "{what}");
        assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"test\""), "{what}");
        assert!(!String::from_utf8_lossy(&refused.body).contains(LOCAL), "{what}");
        assert!(refused.record.is_none(), "{what}");
    }
    assert_eq!(counters.runs(), 0);
}

#[test]
fn a_wrong_credential_is_refused_and_not_repeated() {
    let (server, _) = server();
    let credentials =
        ["Bearer of bob", "Bearer of anna", "Bearer of an", "Basic of ann", "Bearer ", "of ann"];
    for credential in credentials {
        let refused = server.send(local("who").with("authorization", credential));
        assert_eq!(refused.status, 401, "{credential}");
        assert_eq!(refused.header("vgi-auth-reason"), Some("invalid_credential"), "{credential}");
        assert!(!String::from_utf8_lossy(&refused.body).contains("of "), "{credential}");
    }
    let twice = ann(ann(local("who")));
    assert_eq!(server.send(twice).status, 401, "a proxy may have used either of them");
}

#[test]
fn the_body_of_a_401_is_json_or_a_page() {
    let (server, _) = server();
    let refused = server.send(local("who"));
    assert_eq!(refused.header("content-type"), Some("application/json"));
    let told: serde_json::Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!((&told["error"], &told["reason"]), (&"unauthorized".into(), &"missing_credential".into()));
    let page = server.send(ask("GET", "/vgi").with("accept", "text/html,application/xhtml+xml"));
    assert_eq!((page.status, page.header("content-type")), (401, Some("text/html; charset=utf-8")));
    assert_eq!((page.header("cache-control"), page.header("vary")), (Some("no-store"), Some("accept")));
}

#[test]
fn health_and_preflights_are_open() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let (service, _) = local::service();
    let server = serve(service, |builder| {
        builder.authenticate(move |_: &AuthRequest<'_>| {
            counted.fetch_add(1, Ordering::SeqCst);
            Err(AuthError::refused(Reason::MissingCredential, ""))
        })
    });
    for (method, path) in [
        ("GET", "/vgi/health"),
        ("HEAD", "/vgi/health"),
        ("OPTIONS", "/vgi/health"),
        ("OPTIONS", "/vgi/test.Local.v1/who"),
    ] {
        assert_eq!(server.send(ask(method, path)).status, 200, "{method} {path}");
    }
    assert_eq!(server.send(ask("GET", "/.well-known/security.txt")).status, 404);
    assert_eq!(asked.load(Ordering::SeqCst), 0, "the authenticator did not run");
    for path in ["/vgi/health/", "/vgi", "/nothing", "/vgi/test.Local.v1/who"] {
        assert_eq!(server.send(ask("GET", path)).status, 401, "{path}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}

#[test]
fn what_is_open_to_everybody_says_nothing() {
    let stranger = |prefix: &str| {
        let (service, counters) = local::service();
        let server = serve(service, |builder| {
            let ann = bearer_static([("of ann", AuthContext::new("test", "ann"))]);
            builder.prefix(prefix).authenticate(ann)
        });
        (server, counters)
    };
    let (_, body) = local("who").into_parts();
    for prefix in ["", "/.well-known/vgi"] {
        let (server, counters) = stranger(prefix);
        for path in ["/.well-known/vgi/test.Local.v1/who", "/.well-known/who", "/.well-known/vgi/describe"] {
            let answered = server.send(post(path, body.clone()));
            assert_eq!((answered.status, answered.body_was_read), (404, false), "{prefix} {path}");
            assert!(!String::from_utf8_lossy(&answered.body).contains(LOCAL), "{prefix} {path}");
        }
        assert_eq!(counters.runs(), 0, "{prefix}");
    }
}

#[test]
fn a_panic_in_an_authenticator_is_its_failure() {
    let (service, _) = local::service();
    let server = serve(service, |builder| {
        builder.authenticate(|_: &AuthRequest<'_>| -> Result<AuthContext, AuthError> {
            std::panic::panic_any("on purpose, in an authenticator")
        })
    });
    let answered = server.send(local("who"));
    assert_eq!((answered.status, answered.body_was_read), (500, false));
    assert!(!String::from_utf8_lossy(&answered.body).contains("on purpose"));
    assert_eq!(server.send(ask("GET", "/vgi/health")).status, 200);
}

#[test]
fn an_authenticator_that_cannot_say_is_no_refusal() {
    let server = |error: AuthError| {
        let (service, _) = local::service();
        serve(service, |builder| builder.authenticate(move |_: &AuthRequest<'_>| Err(error.clone())))
    };
    let outage = AuthError::Unavailable { retry_after: 7, detail: "key set at 10.0.0.1".into() };
    let answered = server(outage).send(local("who"));
    assert_eq!((answered.status, answered.header("retry-after")), (503, Some("7")));
    assert!(!String::from_utf8_lossy(&answered.body).contains("10.0.0.1"));
    let answered = server(AuthError::Failed("no such table: users".into())).send(local("who"));
    assert_eq!((answered.status, answered.is_marked()), (500, false));
    assert!(!String::from_utf8_lossy(&answered.body).contains("users"), "only the operator sees the cause");
}

#[test]
fn an_authenticator_sees_the_head_the_address_and_the_time() {
    let (service, _) = local::service();
    let server = serve(service, |builder| {
        builder.authenticate(|request: &AuthRequest<'_>| {
            let path = request.parts.uri.path();
            let seen = format!("{path} {} {}", request.remote_address.unwrap(), request.now.as_secs());
            Ok(AuthContext::new("seen", seen))
        })
    });
    let expected = format!("seen/{} {CLIENT} {} true", "/vgi/test.Local.v1/who", START.as_secs());
    assert_eq!(server.send(local("who")).text(), expected);
}
