//! Settings that are refused.

use super::*;

fn names(providers: &[&str]) -> Vec<Provider> {
    let none = |_: &PeerQuery<'_>| Ok(ProviderResult::without(ProviderStatus::NoMatch));
    providers.iter().map(|name| Provider::new(*name, none)).collect()
}

#[test]
fn proxies_are_exact_addresses() {
    for text in ["", "10.0.0.0/8", "localhost", "127.0.0.1:80", "::1%lo", "*", " 127.0.0.1", "127.1"] {
        let result = TrustedProxies::new([text]);
        assert_eq!(result, Err(PeerSettingError::ProxyAddress(text.into())), "{text}");
    }
    assert_eq!(
        TrustedProxies::new([""; 0]),
        Err(PeerSettingError::Missing("the addresses of trusted proxies"))
    );
    let proxies = TrustedProxies::new(["::ffff:192.0.2.1", "::1"]).unwrap();
    for (address, expected) in
        [("192.0.2.1", true), ("::ffff:192.0.2.1", true), ("::1", true), ("192.0.2.2", false), ("::2", false)]
    {
        assert_eq!(proxies.contains(address.parse().unwrap()), expected, "{address}");
    }
}

#[test]
fn trust_domains_are_names_in_lower_case() {
    let long = "a".repeat(256);
    for text in [
        "",
        "Example.org",
        ".example.org",
        "example.org.",
        "-a",
        "a:1",
        "a/b",
        "spiffe://a",
        "é",
        "a b",
        &long,
    ] {
        assert_eq!(TrustDomains::new([text]), Err(PeerSettingError::TrustDomain(text.into())), "{text}");
    }
    assert_eq!(TrustDomains::new([""; 0]), Err(PeerSettingError::Missing("a SPIFFE trust domain")));
    assert!(TrustDomains::new(["a", "a_b-c.d", &"a".repeat(255)]).is_ok());
}

#[test]
fn policies_name_providers_that_are_there() {
    type Case = (Policy, Vec<Provider>, Option<PeerSettingError>);
    let accept = |_: &crate::auth_context::AuthContext, _: &[&PeerIdentity]| true;
    let cases: [Case; 9] = [
        (Policy::observe(), Vec::new(), None),
        (Policy::require("a"), names(&["a", "b"]), None),
        (Policy::require("c"), names(&["a"]), Some(PeerSettingError::UnknownProvider("c".into()))),
        (Policy::primary("c"), names(&[]), Some(PeerSettingError::UnknownProvider("c".into()))),
        (Policy::any_of(["a", "c"]), names(&["a"]), Some(PeerSettingError::UnknownProvider("c".into()))),
        (Policy::all_of(["c"], accept), names(&["a"]), Some(PeerSettingError::UnknownProvider("c".into()))),
        (
            Policy::any_of([]),
            names(&["a"]),
            Some(PeerSettingError::Missing("a provider that the policy depends on")),
        ),
        (Policy::observe(), names(&["a", "a"]), Some(PeerSettingError::SameProvider("a".into()))),
        (Policy::observe(), names(&[""]), Some(PeerSettingError::Missing("the name of a provider"))),
    ];
    for (policy, providers, expected) in cases {
        let text = format!("{policy:?} {providers:?}");
        assert_eq!(PeerAuthentication::new(policy, providers).err(), expected, "{text}");
    }
    let empty = PeerAuthentication::new(Policy::all_of([], accept), names(&["a"]));
    assert_eq!(empty.err(), Some(PeerSettingError::Missing("a provider that the policy depends on")));
}

#[test]
fn issuers_and_services_have_names() {
    for make in [providers::unix_credentials, providers::iroh_proxy, providers::tailscale_local_api] {
        assert_eq!(make("").err(), Some(PeerSettingError::Missing("an issuer of identities")));
        assert_eq!(make("a\nb").err(), Some(PeerSettingError::Control("an issuer of identities")));
        assert!(make("tailnet:example.com").is_ok());
    }
    let named = |name: &str| PeerAuthentication::new(Policy::observe(), []).unwrap().service_name(name);
    let long = format!("svc:{}", "a".repeat(64));
    for name in ["", "analytics", "svc:", "svc:-a", "svc:a-", "svc:a b", "svc:a.b", &long] {
        assert_eq!(named(name).err(), Some(PeerSettingError::ServiceName(name.into())), "{name}");
    }
    assert!(named("svc:an-1").is_ok() && named(&long[..67]).is_ok());
}
