//! What pages of other origins may do. WIRE_PROTOCOL 10, "Response headers".

use crate::ask::*;
use crate::common::batches::*;
use crate::serve::*;
use vgi_rpc_protocol::http::auth::{AuthContext, bearer_static};
use vgi_rpc_protocol::http::cors::{Cors, Origins};

const ORIGIN: &str = "https://app.example";

fn listed() -> Server {
    let cors = Cors::new(Origins::Listed(vec![ORIGIN.into()]));
    serve_main(|builder| {
        let ann = bearer_static([("of ann", AuthContext::new("test", "ann"))]);
        builder.cors(cors).authenticate(ann)
    })
}

fn exposed(answered: &Answered) -> Vec<String> {
    let names = answered.header("access-control-expose-headers").unwrap_or_default();
    names.split(", ").map(str::to_owned).collect()
}

#[test]
fn nobody_is_granted_anything_unless_asked_for() {
    let answered = main().send(echo("x").with("origin", ORIGIN));
    assert!(!answered.headers.keys().any(|name| name.as_str().starts_with("access-control")));
    assert_eq!(answered.text(), "x", "only browsers enforce it");
}

#[test]
fn a_listed_origin_may_call_and_read() {
    let answered = listed().send(echo("x").with("origin", ORIGIN).with("authorization", "Bearer of ann"));
    assert_eq!(answered.status, 200);
    assert_eq!(answered.header("access-control-allow-origin"), Some(ORIGIN));
    assert_eq!(answered.header("vary"), Some("accept-encoding, x-vgi-accept-encoding, origin"));
    let exposed = exposed(&answered);
    for name in ["x-request-id", "x-vgi-rpc-error", "vgi-supported-encodings", "vgi-auth-reason"] {
        assert!(exposed.contains(&name.to_owned()), "{name}: {exposed:?}");
    }
}

#[test]
fn every_refusal_can_be_read_too() {
    let server = listed();
    let ours = |request: http::Request<bytes::Bytes>| request.with("origin", ORIGIN);
    let known = |request| ours(request).with("authorization", "Bearer of ann");
    let cases = [
        (ours(echo("x")), 401),
        (known(call_of("test.Other.v1", "echo", "", no_columns(1))), 404),
        (known(ask("GET", "/vgi/test.Main.v1/echo")), 405),
        (known(echo("x").having("content-type", "text/plain")), 415),
        (known(post("/vgi/test.Main.v1/echo", Default::default())), 400),
        (ours(ask("GET", "/vgi/health")), 200),
    ];
    for (request, status) in cases {
        let answered = server.send(request);
        assert_eq!(answered.status, status);
        assert_eq!(answered.header("access-control-allow-origin"), Some(ORIGIN), "{status}");
    }
}

#[test]
fn another_origin_gets_nothing() {
    for origin in ["https://app.example.evil", "http://app.example", "https://APP.example", "null"] {
        let answered = listed().send(echo("x").with("origin", origin).with("authorization", "Bearer of ann"));
        assert_eq!(answered.header("access-control-allow-origin"), None, "{origin}");
        let vary = answered.header("vary").unwrap();
        assert!(vary.ends_with(", origin"), "{origin}: a cache must still distinguish them");
    }
}

#[test]
fn a_preflight_is_answered_without_a_credential() {
    let preflight = ask("OPTIONS", "/vgi/test.Main.v1/echo")
        .with("origin", ORIGIN)
        .with("access-control-request-method", "POST")
        .with("access-control-request-headers", "content-type, vgi-session, authorization");
    let answered = listed().send(preflight);
    assert_eq!(answered.status, 200);
    assert_eq!(answered.header("access-control-allow-origin"), Some(ORIGIN));
    assert_eq!(answered.header("access-control-allow-methods"), Some("POST, OPTIONS"));
    let allowed = answered.header("access-control-allow-headers").unwrap();
    assert!(allowed.contains("vgi-session") && allowed.contains("authorization"), "{allowed}");
    assert!(answered.header("access-control-max-age").is_some());
}

#[test]
fn any_origin_means_any() {
    let server = serve_main(|builder| builder.cors(Cors::new(Origins::Any)));
    let answered = server.send(echo("x").with("origin", "https://anyone.example"));
    assert_eq!(answered.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answered.header("access-control-allow-credentials"), None);
}
