//! The specification's vectors for headers and SPIFFE IDs. The driver that parses PROXY v2 has the vectors for that.

use super::headers::{domains, from, proxies};
use super::*;
use serde_json::Value;

fn cases(name: &str) -> Vec<Value> {
    let vectors: Value =
        serde_json::from_str(include_str!("../../../tests/vectors/transport_identity_vectors.json")).unwrap();
    let cases = vectors[name].as_array().unwrap().clone();
    assert!(cases.len() >= 3, "{name}");
    cases
}

fn check(provider: &Provider, name: &str, headers: impl Fn(&Value) -> Vec<(String, String)>) {
    for case in cases(name) {
        let headers = headers(&case);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let found = from(provider, Some("127.0.0.1:1"), &headers);
        assert_eq!(Some(found.status().as_str()), case["expected"].as_str(), "{}", case["name"]);
        if let Some(stability) = case["subject_stability"].as_str() {
            let subject = found.identities()[0].subject.as_ref();
            assert_eq!(subject.map_or("none", |subject| subject.stability.as_str()), stability);
        }
    }
}

fn headers(case: &Value) -> Vec<(String, String)> {
    let pair = |(name, value): (&String, &Value)| (name.clone(), value.as_str().unwrap().to_owned());
    case["headers"].as_object().unwrap().iter().map(pair).collect()
}

#[test]
fn spiffe_ids() {
    for case in cases("spiffe_id_cases") {
        let is_valid = domains().check(case["value"].as_str().unwrap()).is_ok();
        assert_eq!(is_valid, case["expected"] == "valid", "{}", case["name"]);
    }
}

#[test]
fn envoy() {
    check(&providers::envoy(domains(), proxies()), "envoy_xfcc_cases", |case| {
        vec![("x-forwarded-client-cert".to_owned(), case["value"].as_str().unwrap().to_owned())]
    });
}

#[test]
fn gcp() {
    check(&providers::gcp_load_balancer(domains(), proxies()), "gcp_cases", headers);
}

#[test]
fn tailscale_serve() {
    let provider = providers::tailscale_serve("tailnet:test", proxies()).unwrap();
    check(&provider, "tailscale_serve_cases", headers);
}

#[test]
fn spiffe_ids_are_canonical() {
    let long = format!("spiffe://example.org/{}", "a".repeat(2048));
    let cases = [
        ("spiffe://example.org/a", Ok("example.org")),
        ("spiffe://example.org/A-1/b_.c", Ok("example.org")),
        ("SPIFFE://example.org/a", Err(SpiffeIdError::Scheme)),
        ("spiffe:/example.org/a", Err(SpiffeIdError::Scheme)),
        ("", Err(SpiffeIdError::Scheme)),
        ("spiffe://Example.org/a", Err(SpiffeIdError::TrustDomain)),
        ("spiffe:///a", Err(SpiffeIdError::TrustDomain)),
        ("spiffe://example.org./a", Err(SpiffeIdError::TrustDomain)),
        ("spiffe://example.org/", Err(SpiffeIdError::Path)),
        ("spiffe://example.org//a", Err(SpiffeIdError::Path)),
        ("spiffe://example.org/a/", Err(SpiffeIdError::Path)),
        ("spiffe://example.org/./a", Err(SpiffeIdError::Path)),
        ("spiffe://example.org/a\nb", Err(SpiffeIdError::Path)),
        ("spiffe://example.org/a#b", Err(SpiffeIdError::Path)),
        ("spiffe://example.org/\u{e9}", Err(SpiffeIdError::Path)),
        ("spiffe://example.com/a", Err(SpiffeIdError::OtherTrustDomain)),
        (&long, Err(SpiffeIdError::TooLong)),
    ];
    for (id, expected) in cases {
        assert_eq!(domains().check(id), expected, "{id}");
    }
}
