//! Headers are trusted only from a trusted proxy, if they occur once and are complete.

use super::*;
use http::{HeaderMap, HeaderName, HeaderValue};

const PROXY: &str = "127.0.0.1:4711";

pub(super) fn head(headers: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    let mut map = HeaderMap::new();
    for (name, value) in headers.iter().map(pair) {
        map.append(name, value);
    }
    map
}

pub(super) fn proxies() -> TrustedProxies {
    TrustedProxies::new(["127.0.0.1", "::1"]).unwrap()
}

pub(super) fn domains() -> TrustDomains {
    TrustDomains::new(["example.org"]).unwrap()
}

/// Returns a provider's result for these headers, sent from this source.
pub(super) fn from(provider: &Provider, source: Option<&str>, headers: &[(&str, &str)]) -> ProviderResult {
    let headers = head(headers);
    let mut query = PeerQuery::new("http");
    (query.source, query.headers) = (source, Some(&headers));
    query.now = Some(std::time::Duration::from_secs(1_800_000_000));
    provider.resolve(&query).unwrap()
}

const ENDPOINT: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Returns each provider with headers that it accepts.
fn good() -> Vec<(Provider, Vec<(&'static str, String)>)> {
    let text = |pairs: &[(&'static str, &str)]| pairs.iter().map(|(n, v)| (*n, (*v).to_owned())).collect();
    vec![
        (
            providers::tailscale_serve("tailnet:x", proxies()).unwrap(),
            text(&[
                ("tailscale-user-login", "ann@example.org"),
                ("tailscale-user-name", "Ann"),
                ("tailscale-user-profile-pic", "https://x/y"),
                ("tailscale-app-capabilities", "{\"a/b\":[{}]}"),
            ]),
        ),
        (
            providers::iroh_header("iroh:x", proxies()).unwrap(),
            text(&[("vgi-forwarded-iroh-endpoint", ENDPOINT)]),
        ),
        (
            providers::envoy(domains(), proxies()),
            text(&[("x-forwarded-client-cert", &format!("Hash={HASH};URI=spiffe://example.org/w"))]),
        ),
        (
            providers::gcp_load_balancer(domains(), proxies()),
            text(&[
                ("x-client-cert-present", "true"),
                ("x-client-cert-chain-verified", "true"),
                ("x-client-cert-spiffe-id", "spiffe://example.org/w"),
                ("x-client-cert-error", ""),
            ]),
        ),
    ]
}

#[test]
fn only_trusted_proxies_are_believed() {
    for (provider, headers) in good() {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
        let status = |source| from(&provider, source, &headers).status();
        for source in [PROXY, "[::1]:4711", "[::ffff:127.0.0.1]:1", "127.0.0.1"] {
            assert_eq!(status(Some(source)), ProviderStatus::Available, "{provider:?} {source}");
        }
        for source in
            [None, Some("127.0.0.2:1"), Some("192.0.2.1:4711"), Some("unix"), Some("127.0.0.1 "), Some("")]
        {
            assert_eq!(status(source), ProviderStatus::UntrustedProxy, "{provider:?} {source:?}");
        }
        let without = provider.resolve(&PeerQuery::new("tcp")).unwrap();
        assert_eq!(without.status(), ProviderStatus::NotApplicable, "{provider:?}");
    }
}

#[test]
fn behind_a_proxy_of_connections_no_header_is_believed() {
    for (provider, headers) in good() {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
        let headers = head(&headers);
        let status = |source, asserted, endpoint| {
            let mut query = PeerQuery::new("http");
            (query.source, query.asserted_source, query.iroh_endpoint) = (Some(source), asserted, endpoint);
            query.headers = Some(&headers);
            provider.resolve(&query).unwrap().status()
        };
        assert_eq!(status(PROXY, Some("192.0.2.1:1"), None), ProviderStatus::UntrustedProxy);
        assert_eq!(status("192.0.2.1:1", Some(PROXY), None), ProviderStatus::UntrustedProxy);
        assert_eq!(status(PROXY, Some(PROXY), None), ProviderStatus::UntrustedProxy);
        assert_eq!(status(PROXY, None, Some([1; 32])), ProviderStatus::UntrustedProxy);
    }
}

#[test]
fn a_header_that_is_there_twice_is_no_evidence() {
    for (provider, headers) in good() {
        for (repeated, _) in &headers {
            let mut all: Vec<_> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
            let (_, value) = *all.iter().find(|(name, _)| name == repeated).unwrap();
            all.push((*repeated, value));
            assert_eq!(from(&provider, Some(PROXY), &all).status(), ProviderStatus::Invalid, "{repeated}");
        }
        let none = from(&provider, Some(PROXY), &[("x-other", "")]).status();
        // A Google load balancer always states whether there is a certificate.
        let expected = if headers.len() == 4 && provider.name() == "spiffe" {
            ProviderStatus::Invalid
        } else {
            ProviderStatus::NoMatch
        };
        assert_eq!(none, expected, "{provider:?}");
    }
}

#[test]
fn what_is_nearly_good_is_no_evidence() {
    let [serve, iroh, envoy, gcp] = &good()[..] else { panic!() };
    let upper = ENDPOINT.to_ascii_uppercase();
    for value in ["", &ENDPOINT[1..], &upper, &format!("{ENDPOINT}0"), &format!("g{}", &ENDPOINT[1..])] {
        let found = from(&iroh.0, Some(PROXY), &[("vgi-forwarded-iroh-endpoint", value)]);
        assert_eq!(found.status(), ProviderStatus::Invalid, "{value}");
    }
    let id = "URI=spiffe://example.org/w";
    for value in [
        format!("Hash={HASH}"),
        id.to_owned(),
        format!("Hash={};{id}", &HASH[1..]),
        format!("Hash={HASH};{id};{id}"),
        format!("Hash={HASH};{id},Hash={HASH};{id}"),
        format!("Hash={HASH};{id};Role=admin"),
        format!("Hash={HASH};{id};Subject=\"O=a\\, b\""),
        format!("Hash={HASH};URI=spiffe://other.org/w"),
        format!("Hash={HASH};URI=spiffe://example.org/%77"),
        format!("Hash={HASH};URI=\"spiffe%3A//example.org/w\""),
        format!("Hash=\"x\\\";{id};Hash={HASH}\""),
    ] {
        let found = from(&envoy.0, Some(PROXY), &[("x-forwarded-client-cert", &value)]);
        assert_eq!(found.status(), ProviderStatus::Invalid, "{value}");
    }
    let gcp_with = |changed: &str, value: Option<&str>| {
        let mut headers: Vec<_> = gcp.1.iter().map(|(name, value)| (*name, &**value)).collect();
        headers.retain(|(name, _)| *name != changed);
        headers
            .extend(value.map(|value| (gcp.1.iter().find(|(name, _)| *name == changed).unwrap().0, value)));
        from(&gcp.0, Some(PROXY), &headers).status()
    };
    assert_eq!(gcp_with("x-client-cert-error", None), ProviderStatus::Available);
    for (name, value) in [
        ("x-client-cert-present", None),
        ("x-client-cert-present", Some("false")),
        ("x-client-cert-present", Some("TRUE")),
        ("x-client-cert-chain-verified", None),
        ("x-client-cert-chain-verified", Some("false")),
        ("x-client-cert-spiffe-id", None),
        ("x-client-cert-spiffe-id", Some("")),
        ("x-client-cert-spiffe-id", Some("spiffe://other.org/w")),
        ("x-client-cert-error", Some("CERT_EXPIRED")),
    ] {
        assert_eq!(gcp_with(name, value), ProviderStatus::Invalid, "{name} {value:?}");
    }
    for headers in [
        &[("tailscale-user-login", "")][..],
        &[("tailscale-user-name", "Ann")],
        &[("tailscale-user-profile-pic", "")],
        &[("tailscale-user-login", "a"), ("tailscale-funnel-request", "1")],
        &[("tailscale-user-login", "a"), ("tailscale-app-capabilities", "{\"a/b\":{}}")],
        &[("tailscale-user-login", "\u{e9}")],
    ] {
        assert_eq!(from(&serve.0, Some(PROXY), headers).status(), ProviderStatus::Invalid, "{headers:?}");
    }
}

#[test]
fn what_they_find() {
    let found = |index: usize| {
        let (provider, headers) = good().swap_remove(index);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
        from(&provider, Some(PROXY), &headers).identities()[0].clone()
    };
    let serve = found(0);
    assert_eq!(serve.principal().as_deref(), Some("peer/tailscale/tailnet%3Ax/login%3Aann%40example.org"));
    assert_eq!(serve.subject.as_ref().unwrap().stability, Stability::Login);
    assert_eq!(
        serve.attributes,
        object("{\"user_login\":\"ann@example.org\",\"user_display_name\":\"Ann\"}")
    );
    assert!(serve.capabilities_verified && serve.capabilities == object("{\"a/b\":[{}]}"));
    assert_eq!((serve.source.as_str(), serve.proxy_address.as_deref()), ("serve_proxy", Some("127.0.0.1")));
    let iroh = found(1);
    assert_eq!(iroh.principal(), Some(format!("peer/iroh/iroh%3Ax/{ENDPOINT}")));
    assert_eq!(
        (iroh.assurance, iroh.attributes),
        (Assurance::ConfiguredProxy, object("{\"original_assurance\":\"cryptographic_peer\"}"))
    );
    let envoy = found(2);
    assert_eq!(
        (envoy.issuer.as_str(), envoy.attributes),
        ("spiffe://example.org", object(&format!("{{\"certificate_sha256\":\"{HASH}\"}}")))
    );
    let gcp = found(3);
    let expected = "{\"client_certificate_present\":true,\"client_certificate_chain_verified\":true}";
    assert_eq!((gcp.source.as_str(), gcp.attributes), ("gcp_load_balancer_mtls", object(expected)));
}
