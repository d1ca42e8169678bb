//! Policies: which caller they choose.

use super::*;
use crate::auth_context::AuthContext;

fn ann() -> AuthContext {
    AuthContext::new("test", "ann").with_claim("scope", "all")
}

fn anonymous() -> AuthContext {
    AuthContext::anonymous()
}

fn of(status: ProviderStatus) -> ProviderResult {
    match status {
        ProviderStatus::Available => ProviderResult::available(stable("a", "x")),
        other => ProviderResult::without(other),
    }
}

fn login() -> PeerIdentity {
    stable("a", "l").with_subject(Subject::verified(SubjectKind::User, "l", Stability::Login))
}

/// Returns every status, and the error of a policy that requires the provider.
fn failures() -> Vec<(ProviderStatus, PolicyError)> {
    use ProviderStatus::*;
    let provider = || Box::from("a");
    vec![
        (Off, PolicyError::NoEvidence { provider: provider() }),
        (NotApplicable, PolicyError::NoEvidence { provider: provider() }),
        (NoMatch, PolicyError::NoEvidence { provider: provider() }),
        (Unavailable, PolicyError::Unavailable { provider: provider() }),
        (PermissionDenied, PolicyError::Unavailable { provider: provider() }),
        (Invalid, PolicyError::Rejected { provider: provider(), status: Invalid }),
        (UntrustedProxy, PolicyError::Rejected { provider: provider(), status: UntrustedProxy }),
    ]
}

#[test]
fn the_cases_of_the_vectors() {
    let vectors = peer_vectors();
    for case in vectors["policy_cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let providers: Vec<_> =
            case["providers"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
        let result = |provider: &str| {
            let status = ProviderStatus::parse(case["statuses"][provider].as_str().unwrap()).unwrap();
            if status != ProviderStatus::Available {
                return ProviderResult::without(status);
            }
            if provider == "first" && case["first_subject_eligible"] == false {
                let identity = PeerIdentity { subject: None, ..stable(provider, "") };
                return ProviderResult::available(identity);
            }
            let count = case["eligible_subject_count"].as_u64().unwrap_or(1);
            ProviderResult::all_available((0..count).map(|n| stable(provider, &n.to_string())).collect())
        };
        let all = PeerEvidence::new(providers.iter().map(|name| (*name, result(name)))).unwrap();
        let application = if case["application_authenticated"] == true { ann() } else { anonymous() };
        let decided = Policy::any_of(providers.iter().copied()).decide(&all, application);
        match case["expected_provider"].as_str() {
            Some(provider) => assert_eq!(decided.unwrap().domain, provider, "{name}"),
            None => {
                assert_eq!(case["expected"], "invalid", "{name}");
                assert!(matches!(decided, Err(PolicyError::Ambiguous { .. })), "{name}: {decided:?}");
            }
        }
    }
}

#[test]
fn observe_changes_nothing() {
    for (status, _) in failures() {
        let all = evidence([("a", of(status))]);
        assert_eq!(Policy::observe().decide(&all, ann()), Ok(ann()));
        assert_eq!(Policy::observe().decide(&all, anonymous()), Ok(anonymous()));
    }
}

#[test]
fn require_keeps_the_caller_and_binds_it() {
    let policy = Policy::require("a");
    for (status, error) in failures() {
        assert_eq!(policy.decide(&evidence([("a", of(status))]), ann()), Err(error));
    }
    let capabilities = PeerIdentity { subject: None, ..stable("a", "") };
    for identity in [stable("a", "x"), login(), capabilities] {
        let all = evidence([("a", ProviderResult::available(identity)), ("b", of(ProviderStatus::Invalid))]);
        let binding = all.binding_digest(["a"], None);
        for application in [ann(), anonymous()] {
            let expected = application.clone().with_peer_evidence_binding(&*binding);
            assert_eq!(policy.decide(&all, application), Ok(expected));
        }
    }
}

#[test]
fn primary_takes_the_subject_for_the_caller() {
    let policy = Policy::primary("a");
    for (status, error) in failures() {
        assert_eq!(policy.decide(&evidence([("a", of(status))]), ann()), Err(error));
    }
    let all = evidence([("a", of(ProviderStatus::Available))]);
    let expected = AuthContext::new("a", "peer/a/issuer/x")
        .with_claim("issuer", "issuer")
        .with_claim("subject_kind", "workload")
        .with_claim("assurance", "cryptographic_peer")
        .with_claim("evidence_source", "test")
        .with_claim("subject", "x")
        .with_peer_evidence_binding(all.binding_digest(["a"], None));
    assert_eq!(policy.decide(&all, ann()), Ok(expected.clone()));
    // The claims that a precondition has added are kept.
    let gated = anonymous().with_claim("gate", "open").with_claim("subject", "forged");
    assert_eq!(policy.decide(&all, gated), Ok(expected.with_claim("gate", "open")));

    let no_subject = Err(PolicyError::NoSubject { provider: "a".into() });
    let claimed = stable("a", "x").with_subject(Subject::claimed(SubjectKind::User, "x", Stability::Stable));
    let unknown = stable("a", "x").with_subject(Subject::verified(SubjectKind::User, "x", Stability::None));
    for identity in [login(), claimed, unknown, PeerIdentity { subject: None, ..login() }] {
        let all = evidence([("a", ProviderResult::available(identity))]);
        assert_eq!(policy.decide(&all, anonymous()), no_subject);
    }
    let two = ProviderResult::all_available(vec![stable("a", "x"), stable("a", "y")]);
    let ambiguous = Err(PolicyError::Ambiguous { provider: "a".into() });
    assert_eq!(policy.decide(&evidence([("a", two)]), anonymous()), ambiguous);
    let one_eligible = ProviderResult::all_available(vec![stable("a", "x"), login()]);
    assert!(policy.decide(&evidence([("a", one_eligible)]), anonymous()).is_ok());
}

#[test]
fn any_of_takes_the_application_or_the_first_subject() {
    let policy = Policy::any_of(["a", "b"]);
    for (status, error) in failures() {
        let with_b = evidence([("a", of(status)), ("b", ProviderResult::available(stable("b", "y")))]);
        let without = evidence([("a", of(status)), ("b", ProviderResult::without(ProviderStatus::NoMatch))]);
        if matches!(error, PolicyError::Rejected { .. }) {
            // It never becomes an additional factor.
            for all in [&with_b, &without] {
                assert_eq!(policy.decide(all, ann()), Err(error.clone()));
                assert_eq!(policy.decide(all, anonymous()), Err(error.clone()));
            }
            continue;
        }
        assert_eq!(policy.decide(&with_b, ann()), Ok(ann()), "unbound");
        assert_eq!(policy.decide(&with_b, anonymous()).unwrap().principal, "peer/b/issuer/y");
        assert_eq!(policy.decide(&without, ann()), Ok(ann()));
        assert_eq!(policy.decide(&without, anonymous()), Err(error));
    }
    let down_behind = evidence([("a", of(ProviderStatus::NoMatch)), ("b", of(ProviderStatus::Unavailable))]);
    let unavailable = Err(PolicyError::Unavailable { provider: "b".into() });
    assert_eq!(policy.decide(&down_behind, anonymous()), unavailable);
    let only_login = evidence([("a", ProviderResult::available(login()))]);
    assert_eq!(policy.decide(&only_login, anonymous()), Err(PolicyError::NoSubject { provider: "a".into() }));
    let rejected_behind =
        evidence([("a", of(ProviderStatus::Available)), ("b", of(ProviderStatus::Invalid))]);
    assert!(matches!(policy.decide(&rejected_behind, anonymous()), Err(PolicyError::Rejected { .. })));
}

#[test]
fn all_of_takes_everybody_together() {
    let policy = |accept: bool| {
        Policy::all_of(["a", "b"], move |application, peers| {
            assert_eq!((&*application.principal, peers.len(), &*peers[1].provider), ("ann", 2, "b"));
            accept
        })
    };
    let with = |a| evidence([("a", a), ("b", ProviderResult::available(stable("b", "y")))]);
    let all = with(of(ProviderStatus::Available));
    let caller = policy(true).decide(&all, ann()).unwrap();
    assert_eq!((&*caller.domain, &*caller.principal), ("a", "peer/a/issuer/x"));
    assert_eq!(
        (&caller.claims["application_domain"], &caller.claims["application_principal"]),
        (&"test".into(), &"ann".into())
    );
    assert_eq!(caller.peer_evidence_binding(), Some(&*all.binding_digest(["a", "b"], Some(&ann()))));
    assert!(!caller.claims.contains_key("scope"), "claims of another caller");

    assert_eq!(policy(false).decide(&all, ann()), Err(PolicyError::Conflict));
    assert_eq!(policy(true).decide(&all, anonymous()), Err(PolicyError::NoApplicationAuth));
    for (status, error) in failures() {
        assert_eq!(policy(true).decide(&with(of(status)), ann()), Err(error));
    }
    let login = with(ProviderResult::available(login()));
    assert_eq!(policy(true).decide(&login, ann()), Err(PolicyError::NoSubject { provider: "a".into() }));
}
