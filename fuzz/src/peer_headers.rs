//! Identity headers of proxies, and SPIFFE IDs: only a trusted proxy is believed, quoted text is never parsed as a field,
//! and an accepted subject has the required form.
//!
//! The first byte of an input selects the kind of the rest: an XFCC header, a SPIFFE ID, or lines of `NAME: VALUE`.

use crate::support::http_text::headers_and_body;
use http::{HeaderMap, HeaderValue};
use vgi_rpc_protocol::http::auth::{AuthError, AuthRequest, Authenticator, XfccPosition, xfcc};
use vgi_rpc_protocol::peer_identity::{
    Provider, ProviderResult, ProviderStatus, Stability, TrustDomains, TrustedProxies, XfccElement, providers,
};

/// Checks the input in `data`.
pub fn run(data: &[u8]) {
    let Some((manner, rest)) = data.split_first() else { return };
    match manner & 3 {
        0 => xfcc_header(rest),
        1 => spiffe_id(&String::from_utf8_lossy(rest)),
        _ => lines(rest),
    }
}

fn domains() -> TrustDomains {
    TrustDomains::new(["example.org"]).expect("a domain")
}

fn proxies() -> TrustedProxies {
    TrustedProxies::new(["127.0.0.1"]).expect("an address")
}

fn all() -> [Provider; 4] {
    [
        providers::envoy(domains(), proxies()),
        providers::gcp_load_balancer(domains(), proxies()),
        providers::iroh_header("iroh:x", proxies()).expect("an issuer"),
        providers::tailscale_serve("tailnet:x", proxies()).expect("an issuer"),
    ]
}

fn resolve(provider: &Provider, source: &str, headers: &HeaderMap) -> ProviderResult {
    let mut query = vgi_rpc_protocol::peer_identity::PeerQuery::new("http");
    (query.source, query.headers) = (Some(source), Some(headers));
    provider.resolve(&query).expect("it asks nothing")
}

/// Checks what a provider may find.
fn check(provider: &Provider, headers: &HeaderMap) -> ProviderResult {
    let elsewhere = resolve(provider, "127.0.0.2:1", headers);
    assert_eq!(elsewhere.status(), ProviderStatus::UntrustedProxy);
    let found = resolve(provider, "127.0.0.1:1", headers);
    for identity in found.identities() {
        let Some(subject) = &identity.subject else {
            assert_eq!(provider.name(), "tailscale");
            continue;
        };
        let is_sound = match provider.name() {
            "spiffe" => subject.stability == Stability::Stable && domains().check(&subject.key) == Ok("example.org"),
            "iroh" => subject.stability == Stability::Stable && subject.key.len() == 64,
            _ => subject.stability == Stability::Login && subject.key.len() > "login:".len(),
        };
        assert!(is_sound, "{subject:?}");
    }
    found
}

fn xfcc_header(value: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(value) else { return };
    let parsed = value.to_str().ok().and_then(|text| XfccElement::parse_all(text).ok());
    let mut request = http::Request::post("/").body(()).expect("a request").into_parts().0;
    request.headers.insert("x-forwarded-client-cert", value.clone());
    for position in [XfccPosition::Only, XfccPosition::First, XfccPosition::Last] {
        let judged = xfcc().position(position).authenticate(&AuthRequest::new(&request, None, Default::default()));
        match judged {
            Ok(auth) => assert!(!auth.principal.is_empty() && parsed.is_some()),
            Err(AuthError::Refused(failure)) => assert!(failure.detail.len() < 100),
            Err(other) => panic!("{other:?}"),
        }
    }
    let found = check(&providers::envoy(domains(), proxies()), &request.headers);
    let Some(elements) = parsed else { return assert!(found.identities().is_empty()) };
    assert!(!elements.is_empty());
    assert!(found.identities().is_empty() || elements.len() == 1);
    // With another client before it, that one is never taken for the nearest.
    let text = value.to_str().expect("it was parsed");
    let longer = format!("Subject=\"CN=mallory\";URI=spiffe://example.org/mallory,{text}");
    if let Ok(longer) = XfccElement::parse_all(&longer) {
        assert_eq!(longer.get(1..), Some(&elements[..]));
    }
}

fn spiffe_id(id: &str) {
    if domains().check(id).is_ok() {
        assert!(id.is_ascii() && id.len() <= 2048 && !id.ends_with('/'));
        let path = id.strip_prefix("spiffe://example.org/").expect("of the domain");
        assert!(path.split('/').all(|segment| !matches!(segment, "" | "." | "..")));
    }
    if let Ok(domains) = TrustDomains::new([id]) {
        assert_eq!(domains.check(&format!("spiffe://{id}/a")), Ok(id));
    }
}

fn lines(text: &[u8]) {
    let (headers, _) = headers_and_body(text);
    for provider in all() {
        let found = check(&provider, &headers);
        if headers.contains_key("tailscale-funnel-request") && provider.name() == "tailscale" {
            assert!(found.identities().is_empty(), "from the public internet");
        }
    }
}
