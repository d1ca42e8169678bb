//! The proxy proof gate in front of a server's authentication. The proxy proof specification.

use crate::ask::*;
use crate::local::{self, local};
use crate::serve::*;
use bytes::Bytes;
use http::Request;
use std::time::Duration;
use vgi_rpc_protocol::http::auth::{AuthContext, bearer_static, require_all};
use vgi_rpc_protocol::http::proof::{Gate, GateConfig, Secret, Secrets, mint};

const ORIGIN: &str = "my-worker";

fn secret() -> String {
    "11".repeat(32)
}

/// Returns a server for ann, behind a proxy that has the secret.
fn server() -> Server {
    let secrets = Secrets::parse(&format!("edge:{}", secret())).unwrap();
    let gate = Gate::new(GateConfig::new(ORIGIN, secrets)).unwrap();
    let ann = bearer_static([("of ann", AuthContext::new("test", "ann"))]);
    let both = require_all(gate, Some(Box::new(ann)));
    serve(local::service().0, |builder| builder.authenticate(both).advertise_proxy_proof(true))
}

fn proof(now: Duration, nonce: u8, origin: &str, secret: &str) -> String {
    mint("edge", &Secret::from_hex(secret).unwrap(), origin, now, [nonce; 16]).unwrap()
}

fn ann(proof: Option<&str>) -> Request<Bytes> {
    let request = local("who").with("authorization", "Bearer of ann");
    proof.into_iter().fold(request, |request, proof| request.with("vgi-proxy-proof", proof))
}

#[test]
fn a_request_needs_the_proof_and_the_credential() {
    let server = server();
    let good = |nonce| proof(START, nonce, ORIGIN, &secret());
    assert_eq!(server.send(ann(Some(&good(1)))).text(), "test/ann true");
    let without_credential = local("who").with("vgi-proxy-proof", &good(2));
    let refused = server.send(without_credential);
    assert_eq!((refused.status, refused.header("vgi-auth-reason")), (401, Some("missing_credential")));
}

#[test]
fn every_bad_proof_is_refused_alike() {
    let server = server();
    let used = proof(START, 3, ORIGIN, &secret());
    assert_eq!(server.send(ann(Some(&used))).status, 200);
    let missing = server.send(ann(None));
    assert_eq!((missing.status, missing.header("vgi-auth-reason")), (401, Some("proxy_required")));
    for (what, proof) in [
        ("replayed", used),
        ("of another secret", proof(START, 4, ORIGIN, &"22".repeat(32))),
        ("for another worker", proof(START, 5, "other-worker", &secret())),
        ("old", proof(START - Duration::from_secs(3600), 6, ORIGIN, &secret())),
        ("early", proof(START + Duration::from_secs(3600), 7, ORIGIN, &secret())),
        ("nonsense", "nonsense".into()),
    ] {
        let refused = server.send(ann(Some(&proof)));
        assert_eq!((refused.status, refused.body_was_read), (401, false), "{what}");
        assert_eq!(refused.header("vgi-auth-reason"), Some("proxy_required"), "{what}");
        assert_eq!(refused.body, missing.body, "{what}");
    }
}

#[test]
fn a_proof_comes_before_what_else_may_be_wrong() {
    let server = server();
    for request in [
        ann(None).having("content-type", "text/plain"),
        ask("GET", "/vgi"),
        post("/vgi/test.Local.v1/no_such_method", Bytes::new()),
    ] {
        assert_eq!(server.send(request).header("vgi-auth-reason"), Some("proxy_required"));
    }
    assert_eq!(server.send(ask("HEAD", "/vgi/health")).status, 200);
    assert_eq!(server.send(ask("OPTIONS", "/vgi/test.Local.v1/who")).status, 200);
}

#[test]
fn it_is_advertised_and_every_401_notes_the_proxy() {
    let server = server();
    let health = server.send(ask("HEAD", "/vgi/health"));
    assert_eq!(health.header("vgi-proxy-proof-required"), Some("true"));
    let refused = server.send(ann(None));
    assert_eq!(refused.header("vgi-proxy-proof-required"), Some("true"));
    assert_eq!(refused.header("vgi-auth-proxy-required"), Some("true"));
    assert_eq!(main().send(ask("HEAD", "/vgi/health")).header("vgi-proxy-proof-required"), None);
}
