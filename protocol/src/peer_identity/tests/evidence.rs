//! Tests of evidence and its digest.

use super::*;
use crate::auth_context::AuthContext;

/// Returns the identity of the vectors.
fn identity() -> PeerIdentity {
    let vectors = peer_vectors();
    let text = |name: &str| vectors["identity"][name].as_str().unwrap().to_owned();
    let assurance = Assurance::parse(&text("assurance")).unwrap();
    let subject = Subject {
        kind: SubjectKind::parse(&text("subject_kind")).unwrap(),
        key: text("subject_key"),
        stability: Stability::parse(&text("subject_stability")).unwrap(),
        verified: vectors["identity"]["subject_verified"].as_bool().unwrap(),
    };
    let (provider, source, issuer) = (text("provider"), text("evidence_source"), text("issuer"));
    PeerIdentity::new(provider, source, assurance, issuer, text("transport")).with_subject(subject)
}

fn digest(identity: PeerIdentity) -> String {
    let provider = identity.provider.clone();
    let all = PeerEvidence::new([(provider.clone(), ProviderResult::available(identity))]).unwrap();
    all.binding_digest([&*provider], None)
}

#[test]
fn the_principal_and_the_digest_are_those_of_the_peer_vectors() {
    let expected = &peer_vectors()["expected"];
    assert_eq!(identity().principal().as_deref(), expected["canonical_principal"].as_str());
    assert_eq!(Some(&*digest(identity())), expected["binding_digest"].as_str());
}

#[test]
fn every_part_but_the_addresses_changes_the_digest() {
    let base = || identity().with_attributes(object("{\"a\":1}"));
    let changed: Vec<PeerIdentity> = vec![
        base(),
        PeerIdentity { source: "other".into(), ..base() },
        PeerIdentity { assurance: Assurance::LocalDaemon, ..base() },
        PeerIdentity { issuer: "other".into(), ..base() },
        PeerIdentity { transport: "http".into(), ..base() },
        PeerIdentity { subject: None, ..base() },
        base().with_subject(Subject::verified(SubjectKind::Workload, "x", Stability::Stable)),
        PeerIdentity { subject: base().subject.map(|s| Subject { kind: SubjectKind::User, ..s }), ..base() },
        PeerIdentity {
            subject: base().subject.map(|s| Subject { stability: Stability::Login, ..s }),
            ..base()
        },
        PeerIdentity { subject: base().subject.map(|s| Subject { verified: false, ..s }), ..base() },
        base().with_attributes(object("{\"a\":2}")),
        base().with_verified_capabilities(object("{}")),
        base().with_verified_capabilities(object("{\"a\":1}")),
        PeerIdentity { capabilities: object("{\"a\":1}"), ..base() },
    ];
    let digests: std::collections::BTreeSet<_> = changed.iter().cloned().map(digest).collect();
    assert_eq!(digests.len(), changed.len());
    let moved = base().with_addresses(Some("192.0.2.1:1"), Some("192.0.2.2"));
    assert_eq!(digest(moved), digest(base()));
}

#[test]
fn the_digest_covers_the_providers_asked_for_and_the_caller() {
    let status = |status| {
        evidence([("a", ProviderResult::without(status)), ("b", ProviderResult::available(stable("b", "x")))])
    };
    let (none, down) = (status(ProviderStatus::NoMatch), status(ProviderStatus::Unavailable));
    assert_ne!(none.binding_digest(["a"], None), down.binding_digest(["a"], None));
    assert_eq!(none.binding_digest(["b"], None), down.binding_digest(["b"], None));
    assert_eq!(none.binding_digest(["b", "a", "b"], None), none.binding_digest(["a", "b"], None));
    assert_ne!(none.binding_digest(["a", "b"], None), none.binding_digest(["b"], None));
    assert_eq!(PeerEvidence::empty().status("a"), ProviderStatus::Off);

    let ann = |domain, name| none.binding_digest(["b"], Some(&AuthContext::new(domain, name)));
    let distinct = [
        none.binding_digest(["b"], None),
        ann("", ""),
        ann("a", "b"),
        ann("ab", ""),
        ann("", "ab"),
        ann("a", "c"),
    ];
    assert_eq!(std::collections::BTreeSet::from(distinct).len(), 6);
}

#[test]
fn identities_count_in_any_order() {
    let both = |one, other| {
        let result = ProviderResult::all_available(vec![stable("a", one), stable("a", other)]);
        evidence([("a", result)]).binding_digest(["a"], None)
    };
    assert_eq!(both("x", "y"), both("y", "x"));
    assert_ne!(both("x", "y"), both("x", "x"));
}

#[test]
fn results_belong_to_their_providers() {
    let twice = [
        ("a", ProviderResult::without(ProviderStatus::NoMatch)),
        ("a", ProviderResult::without(ProviderStatus::NoMatch)),
    ];
    assert_eq!(PeerEvidence::new(twice), Err(EvidenceError::Duplicate("a".into())));
    let other = PeerEvidence::new([("a", ProviderResult::available(stable("b", "x")))]);
    assert_eq!(other, Err(EvidenceError::OtherProvider { expected: "a".into(), got: "b".into() }));
    for incomplete in [
        stable("a", ""),
        PeerIdentity { issuer: String::new(), ..stable("a", "x") },
        PeerIdentity { source: String::new(), ..stable("a", "x") },
    ] {
        let result = PeerEvidence::new([("a", ProviderResult::available(incomplete))]);
        assert!(matches!(result, Err(EvidenceError::Identity(_))), "{result:?}");
    }
    let none = ProviderResult::without(ProviderStatus::Available);
    assert_eq!(none.status(), ProviderStatus::Invalid);
    assert_eq!(ProviderResult::all_available(Vec::new()).status(), ProviderStatus::NoMatch);
}

#[test]
fn codes_are_those_of_the_specification_and_no_others() {
    let statuses = [
        "off",
        "not_applicable",
        "available",
        "unavailable",
        "permission_denied",
        "no_match",
        "invalid",
        "untrusted_proxy",
    ];
    for code in statuses {
        assert_eq!(ProviderStatus::parse(code).map(ProviderStatus::as_str), Some(code));
    }
    for case in peer_vectors()["invalid_cases"].as_array().unwrap() {
        match case["name"].as_str().unwrap() {
            "unknown_status" => assert_eq!(ProviderStatus::parse(case["status"].as_str().unwrap()), None),
            // Rust strings have no surrogates. In JSON they are escapes, which are refused.
            "unpaired_high_surrogate" => {
                assert_eq!(JsonObject::parse(b"{\"a\":\"\\ud800\"}"), Err(JsonError::Syntax));
            }
            "json_depth_17" => assert_eq!(case["limit"], MAX_JSON_DEPTH),
            "json_values_4097" => assert_eq!(case["limit"], MAX_JSON_VALUES),
            "json_bytes_65537" => assert_eq!(case["limit"], MAX_JSON_BYTES),
            other => panic!("{other} is new"),
        }
    }
}

#[test]
fn debug_leaves_out_what_attributes_say() {
    let identity = stable("a", "x").with_attributes(object("{\"mail\":\"ann@example.org\"}"));
    let all = evidence([("a", ProviderResult::available(identity))]);
    let shown = format!("{all:?}");
    assert!(shown.contains("mail") && !shown.contains("ann@"), "{shown}");
}
