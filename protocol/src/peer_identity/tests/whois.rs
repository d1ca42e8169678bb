//! Tailscale's daemon: the questions to it, its answers, and peers for which it is not asked.

use super::*;
use crate::effect::{Answers, Completion, Effects, Failure, FailureReason, Question};
use bytes::Bytes;

const NODE: &str = "{\"Node\":{\"StableID\":\"n1\",\"Name\":\"box.ts.net.\"},\"UserProfile\":{\"ID\":7,\"LoginName\":\"ann@x\",\
    \"DisplayName\":\"Ann\"},\"CapMap\":{\"a/b\":[{\"c\":1}]}}";

fn query<'a>() -> PeerQuery<'a> {
    let mut query = PeerQuery::new("tcp");
    query.source = Some("100.64.0.1:4711");
    query
}

fn changed<'a>(change: impl FnOnce(&mut PeerQuery<'a>)) -> PeerQuery<'a> {
    let mut query = query();
    change(&mut query);
    query
}

fn provider() -> Provider {
    providers::tailscale_local_api("tailnet:x").unwrap()
}

/// Returns the question of a provider.
fn question(query: &PeerQuery<'_>) -> (Box<str>, Question) {
    let ask = provider().resolve(query).expect_err("it asks");
    (ask.key, ask.question)
}

/// Returns a provider's result when the daemon completes the question with this.
fn completed(query: &PeerQuery<'_>, completion: Completion) -> ProviderResult {
    let ask = provider().resolve(query).expect_err("it asks");
    let mut effects = Effects::default();
    let id = effects.ask(&ask);
    effects.complete(id, completion);
    let mut answers = Answers::none();
    answers.insert(ask.key, effects.take(id).unwrap().into_answer());
    provider().resolve(&query.with_answers(&answers)).expect("it has its answer")
}

fn answered(query: &PeerQuery<'_>, status: u16, content_type: Option<&str>, body: &str) -> ProviderResult {
    let (content_type, body) = (content_type.map(str::to_owned), Bytes::from(body.to_owned()));
    completed(query, Completion::value(WhoIsResponse { status, content_type, body }))
}

fn json(body: &str) -> ProviderResult {
    answered(&query(), 200, Some("application/json"), body)
}

#[test]
fn the_daemon_is_asked_about_the_source() {
    let target = |query: &PeerQuery<'_>| question(query).1.payload::<WhoIs>().unwrap().target.clone();
    assert_eq!(target(&query()), "/localapi/v0/whois?addr=100.64.0.1%3A4711&proto=tcp");
    let mut proxied = query();
    proxied.asserted_source = Some("[fd7a::1]:2");
    proxied.destination = Some("[fd7a::2]:443");
    assert_eq!(
        target(&proxied),
        "/localapi/v0/whois?addr=%5Bfd7a%3A%3A1%5D%3A2&proto=tcp&dst_ip=fd7a%3A%3A2"
    );
    proxied.service_name = Some("svc:an-1");
    assert_eq!(
        target(&proxied),
        "/localapi/v0/whois?addr=%5Bfd7a%3A%3A1%5D%3A2&proto=tcp&svc_name=svc%3Aan-1"
    );
    let (_, question) = question(&query());
    let mut effects = Effects::default();
    let ask = provider().resolve(&query()).unwrap_err();
    effects.ask(&ask);
    let Some(crate::effect::EffectEvent::Requested(effect)) = effects.poll() else { panic!() };
    assert_eq!((effect.time_limit.as_secs(), effect.shared_key), (5, None));
    assert_eq!(question.payload::<WhoIs>().unwrap().max_bytes, 65_536);
}

#[test]
fn some_peers_need_no_question() {
    let status = |query: &PeerQuery<'_>| provider().resolve(query).unwrap().status();
    assert_eq!(status(&PeerQuery::new("unix")), ProviderStatus::NotApplicable);
    let mut bridged = query();
    bridged.iroh_endpoint = Some([1; 32]);
    assert_eq!(status(&bridged), ProviderStatus::NotApplicable, "the bridge is another peer");
    for source in ["", "box:1", "100.64.0.1:4711\r\n", "100.64.0.1&x=1:1"] {
        assert_eq!(
            status(&changed(|query| query.source = Some(source))),
            ProviderStatus::Invalid,
            "{source}"
        );
    }
    assert_eq!(status(&changed(|query| query.destination = Some("here"))), ProviderStatus::Invalid);
    assert_eq!(status(&changed(|query| query.service_name = Some("here"))), ProviderStatus::Invalid);
}

#[test]
fn a_user_or_a_tagged_node() {
    let identity = json(NODE).identities()[0].clone();
    assert_eq!(identity.principal().as_deref(), Some("peer/tailscale/tailnet%3Ax/user%3A7"));
    assert_eq!((identity.assurance, &*identity.source), (Assurance::LocalDaemon, "localapi"));
    assert_eq!(identity.subject.as_ref().unwrap().kind, SubjectKind::User);
    let attributes = "{\"node_id\":\"n1\",\"node_name\":\"box.ts.net.\",\"tags\":[],\"capability_target\":{\"kind\":\"node\"},\
        \"user_id\":\"7\",\"user_login\":\"ann@x\",\"user_display_name\":\"Ann\"}";
    assert_eq!(identity.attributes, object(attributes));
    assert!(identity.capabilities_verified && identity.capabilities == object("{\"a/b\":[{\"c\":1}]}"));

    let tagged = NODE.replace("\"Name\"", "\"Tags\":[\"tag:db\"],\"Name\"");
    let identity = json(&tagged).identities()[0].clone();
    assert_eq!(identity.principal().as_deref(), Some("peer/tailscale/tailnet%3Ax/node%3An1"));
    assert_eq!(identity.subject.as_ref().unwrap().kind, SubjectKind::TaggedNode);
    assert!(!identity.attributes.members().contains_key("user_id"), "the profile does not name the caller");

    let minimal = json("{\"Node\":{\"Tags\":null},\"UserProfile\":{\"ID\":1},\"CapMap\":null}");
    assert_eq!(minimal.status(), ProviderStatus::Available);
}

#[test]
fn a_response_of_another_form_is_no_evidence() {
    let replaced = |from: &str, to: &str| {
        assert!(NODE.contains(from), "{from}");
        NODE.replace(from, to)
    };
    let bodies = [
        String::new(),
        "[]".into(),
        "{}".into(),
        "{\"Node\":[]}".into(),
        "{\"Node\":{}}".into(),
        replaced("\"ID\":7", "\"ID\":0"),
        replaced("\"ID\":7", "\"ID\":-7"),
        replaced("\"ID\":7", "\"ID\":\"7\""),
        replaced("\"ID\":7", "\"ID\":7.0"),
        replaced("\"ID\":7", "\"ID\":true"),
        replaced("\"ID\":7", "\"ID\":7,\"ID\":8"),
        replaced("\"ann@x\"", "1"),
        replaced("\"n1\"", "1"),
        replaced("\"box.ts.net.\"", "[]"),
        replaced("[{\"c\":1}]", "{\"c\":1}"),
        replaced("\"CapMap\":{\"a/b\":[{\"c\":1}]}", "\"CapMap\":[]"),
        replaced("\"Name\"", "\"Tags\":[\"db\"],\"Name\""),
        replaced("\"Name\"", "\"Tags\":[1],\"Name\""),
        replaced("\"Name\"", "\"Tags\":\"tag:a\",\"Name\""),
        replaced("\"StableID\":\"n1\"", "\"Tags\":[\"tag:a\"]"),
        replaced("\"n1\"", "\"\",\"Tags\":[\"tag:a\"]"),
        replaced("{\"c\":1}", &format!("{}{}", "[".repeat(20), "]".repeat(20))),
        format!("{NODE}x"),
    ];
    for body in bodies {
        assert_eq!(json(&body).status(), ProviderStatus::Invalid, "{body}");
    }
}

#[test]
fn statuses_and_failures_are_told_apart() {
    let status = |status| answered(&query(), status, Some("application/json"), NODE).status();
    let cases = [
        (200, ProviderStatus::Available),
        (401, ProviderStatus::PermissionDenied),
        (403, ProviderStatus::PermissionDenied),
        (404, ProviderStatus::NoMatch),
        (500, ProviderStatus::Unavailable),
        (599, ProviderStatus::Unavailable),
        (302, ProviderStatus::Invalid),
        (204, ProviderStatus::Invalid),
        (400, ProviderStatus::Invalid),
    ];
    for (code, expected) in cases {
        assert_eq!(status(code), expected, "{code}");
    }
    for (content_type, is_good) in [
        (Some("application/json; charset=utf-8"), true),
        (Some("Application/JSON"), true),
        (Some("text/html"), false),
        (Some("application/jsonx"), false),
        (None, false),
    ] {
        let found = answered(&query(), 200, content_type, NODE).status();
        assert_eq!(found == ProviderStatus::Available, is_good, "{content_type:?}");
    }
    for (reason, expected) in [
        (FailureReason::TimedOut, ProviderStatus::Unavailable),
        (FailureReason::Unavailable, ProviderStatus::Unavailable),
        (FailureReason::OverBudget, ProviderStatus::Unavailable),
        (FailureReason::Unsupported, ProviderStatus::Unavailable),
        (FailureReason::Refused, ProviderStatus::Invalid),
        (FailureReason::Failed, ProviderStatus::Invalid),
    ] {
        assert_eq!(completed(&query(), Failure::new(reason, "").into()).status(), expected, "{reason:?}");
    }
    assert_eq!(completed(&query(), Completion::value(1)).status(), ProviderStatus::Invalid);
}

#[test]
fn what_is_known_of_the_connection() {
    let unix = providers::unix_credentials("host:x").unwrap();
    assert_eq!(unix.resolve(&query()).unwrap().status(), ProviderStatus::NotApplicable);
    let mut query = PeerQuery::new("unix");
    query.credentials = Some(Credentials { pid: 1, uid: 1000, gid: 100 });
    let identity = unix.resolve(&query).unwrap().identities()[0].clone();
    assert_eq!(identity.principal().as_deref(), Some("peer/unix/host%3Ax/uid%3A1000"));
    assert_eq!(identity.attributes, object("{\"uid\":1000,\"gid\":100}"));

    let iroh = providers::iroh_proxy("iroh:x").unwrap();
    assert_eq!(iroh.resolve(&query).unwrap().status(), ProviderStatus::NotApplicable);
    let mut query = self::query();
    query.iroh_endpoint = Some([0xab; 32]);
    let identity = iroh.resolve(&query).unwrap().identities()[0].clone();
    assert_eq!(identity.principal(), Some(format!("peer/iroh/iroh%3Ax/{}", "ab".repeat(32))));
    assert_eq!((identity.assurance, &*identity.source), (Assurance::ConfiguredProxy, "proxy_protocol_v2"));
    assert_eq!(identity.proxy_address.as_deref(), Some("100.64.0.1:4711"));
}
