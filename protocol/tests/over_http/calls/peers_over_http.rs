//! The peer of a request, and what tokens and sessions are bound to.

use super::peers::who;
use super::support::*;
use crate::ask::{Tokens, With, ask, init, tick, unary};
use crate::common::batches::*;
use crate::serve::{Answered, CLIENT, Server, keys, serve};
use bytes::Bytes;
use http::Request;
use std::sync::Arc;
use vgi_rpc_protocol::effect::{
    Completion, Effect, Failure, FailureReason, Question, Request as EffectRequest,
};
use vgi_rpc_protocol::http::auth::{AuthContext, bearer_static, header};
use vgi_rpc_protocol::http::{EndpointBuilder, Sticky};
use vgi_rpc_protocol::peer_identity::{
    PeerAuthentication, Policy, Provider, ProviderResult, ProviderStatus, TrustedProxies, WhoIs,
    WhoIsResponse, providers,
};
use vgi_rpc_protocol::service::TransportKind;

const HEADER: &str = "vgi-forwarded-iroh-endpoint";

/// Returns a server behind a bridge at [`CLIENT`], for the callers ann and bob.
fn server(policy: Option<Policy>, set: impl FnOnce(EndpointBuilder) -> EndpointBuilder) -> Server {
    let service = service_of(vec![who()], |builder| builder).0;
    service.start(TransportKind::Http).unwrap();
    serve(service, |builder| {
        let builder = builder.cached_calls(0).token_keys(keys(1, [])).sticky(Sticky::default());
        let builder = set(builder);
        let proxies = TrustedProxies::new([CLIENT.split(':').next().unwrap()]).unwrap();
        let provider = providers::iroh_header("iroh:x", proxies).unwrap();
        match policy {
            Some(policy) => builder.peer_authentication(PeerAuthentication::new(policy, [provider]).unwrap()),
            None => builder,
        }
    })
}

fn with_callers(builder: EndpointBuilder) -> EndpointBuilder {
    builder.authenticate(bearer_static([
        ("ann", AuthContext::new("test", "ann")),
        ("bob", AuthContext::new("test", "bob")),
    ]))
}

/// Adds this peer and this caller to a request.
fn from(peer: &str, caller: &str, request: Request<Bytes>) -> Request<Bytes> {
    let request = if peer.is_empty() { request } else { request.with(HEADER, &peer.repeat(64)) };
    if caller.is_empty() { request } else { request.with("authorization", &format!("Bearer {caller}")) }
}

fn call() -> Request<Bytes> {
    unary("who", no_columns(1))
}

#[track_caller]
fn refused(answered: &Answered) -> (u16, &str) {
    assert!(!answered.body_was_read);
    (answered.status, answered.header("vgi-auth-reason").unwrap_or_default())
}

#[test]
fn policies_make_callers() {
    let said = |server: &Server, peer, caller| server.send(from(peer, caller, call())).text();
    let a = format!("peer/iroh/iroh%3Ax/{}", "a".repeat(64));

    let observe = server(Some(Policy::observe()), |builder| builder);
    assert_eq!(said(&observe, "a", ""), " iroh=available false");
    assert_eq!(said(&observe, "", ""), " iroh=no_match false");
    assert!(!observe.endpoint.authenticates());

    let require = server(Some(Policy::require("iroh")), with_callers);
    assert_eq!(said(&require, "a", "ann"), "ann iroh=available true");

    let primary = server(Some(Policy::primary("iroh")), |builder| builder);
    assert_eq!(said(&primary, "a", ""), format!("{a} iroh=available true"));
    assert!(!primary.endpoint.authenticates(), "a page in a browser may come from the same address");

    let any = server(Some(Policy::any_of(["iroh"])), with_callers);
    assert_eq!(said(&any, "a", "ann"), "ann iroh=available false");
    assert_eq!(said(&any, "", "ann"), "ann iroh=no_match false");
    assert_eq!(said(&any, "a", ""), format!("{a} iroh=available true"));

    let linked = |application: &AuthContext, _: &[&_]| application.principal == "ann";
    let all = server(Some(Policy::all_of(["iroh"], linked)), with_callers);
    assert_eq!(said(&all, "a", "ann"), format!("{a} iroh=available true"));
    assert_eq!(refused(&all.send(from("a", "bob", call()))), (401, "insufficient_scope"));
    assert_eq!(refused(&all.send(from("a", "", call()))), (401, "missing_credential"));
}

#[test]
fn who_is_not_let_in_is_told_the_stage() {
    let require = server(Some(Policy::require("iroh")), with_callers);
    let primary = server(Some(Policy::primary("iroh")), |builder| builder);
    let any = server(Some(Policy::any_of(["iroh"])), with_callers);
    for server in [&require, &primary] {
        assert_eq!(refused(&server.send(from("", "ann", call()))), (401, "missing_credential"));
        assert_eq!(refused(&server.send(from("Z", "ann", call()))), (401, "invalid_credential"));
        let elsewhere = server.send_from("192.0.2.8:1", from("a", "ann", call()));
        assert_eq!(refused(&elsewhere), (401, "proxy_required"));
        assert_eq!(elsewhere.header("vgi-auth-proxy-required"), Some("true"));
    }
    // Evidence does not make up for an invalid credential, nor a valid caller for invalid evidence.
    assert_eq!(refused(&any.send(from("a", "nobody", call()))), (401, "invalid_credential"));
    assert_eq!(refused(&any.send(from("Z", "ann", call()))), (401, "invalid_credential"));
    let nothing = any.send(from("", "", call()));
    assert_eq!(refused(&nothing), (401, "missing_credential"));
    assert_eq!(nothing.header("vgi-auth-proxy-required"), None, "the application's callers need no proxy");
    assert_eq!(refused(&require.send(from("a", "", call()))), (401, "missing_credential"));
    // Pages require authentication; the health endpoint does not.
    assert_eq!(primary.send(ask("GET", "/vgi/describe")).status, 401);
    assert_eq!(primary.send(ask("GET", "/vgi/health")).status, 200);
    let page = primary.send(from("a", "", ask("GET", "/vgi/describe")));
    assert_eq!((page.status, page.header("cache-control")), (200, Some("no-store")));
}

fn open(server: &Server, peer: &str, caller: &str) -> Tokens {
    Tokens::of(&server.send(from(peer, caller, init("count", row([("count", int(5))])))))
}

/// Returns the status of a turn: 200, or 400 for a token that does not open.
fn turn(server: &Server, peer: &str, caller: &str, tokens: &Tokens) -> u16 {
    server.send(from(peer, caller, tick("count", tokens))).status
}

#[test]
fn a_stream_goes_on_for_the_peer_that_opened_it() {
    let accept = |_: &AuthContext, _: &[&_]| true;
    let require = server(Some(Policy::require("iroh")), with_callers);
    let all = server(Some(Policy::all_of(["iroh"], accept)), with_callers);
    for server in [&require, &all] {
        let tokens = open(server, "a", "ann");
        assert_eq!(turn(server, "a", "ann", &tokens), 200);
        assert_eq!(turn(server, "b", "ann", &tokens), 400, "another peer");
        assert_eq!(turn(server, "a", "bob", &tokens), 400, "another caller of the same peer");
    }
    let primary = server(Some(Policy::primary("iroh")), |builder| builder);
    let tokens = open(&primary, "a", "");
    assert_eq!((turn(&primary, "a", "", &tokens), turn(&primary, "b", "", &tokens)), (200, 400));
    // Anonymous callers are distinguished by their peers.
    let anonymous = server(Some(Policy::require("iroh")), |builder| builder);
    let tokens = open(&anonymous, "a", "");
    assert_eq!((turn(&anonymous, "a", "", &tokens), turn(&anonymous, "b", "", &tokens)), (200, 400));
    // Tokens of one policy are not valid under another.
    let tokens = open(&require, "a", "ann");
    assert_eq!(turn(&all, "a", "ann", &tokens), 400);
}

#[test]
fn half_a_pair_of_tokens_is_of_no_use_to_another_peer() {
    let server = server(Some(Policy::require("iroh")), with_callers);
    let (a, b) = (open(&server, "a", "ann"), open(&server, "b", "ann"));
    let mixed = [
        Tokens { cursor: a.cursor.clone(), call: b.call.clone() },
        Tokens { cursor: b.cursor, call: a.call },
    ];
    for tokens in mixed {
        assert_eq!((turn(&server, "a", "ann", &tokens), turn(&server, "b", "ann", &tokens)), (400, 400));
    }
}

#[test]
fn tokens_without_evidence_are_as_they_were() {
    let (plain, observe) = (server(None, with_callers), server(Some(Policy::observe()), with_callers));
    let any = server(Some(Policy::any_of(["iroh"])), with_callers);
    let require = server(Some(Policy::require("iroh")), with_callers);
    let tokens = open(&plain, "a", "ann");
    for server in [&plain, &observe, &any] {
        assert_eq!(turn(server, "a", "ann", &tokens), 200);
        assert_eq!(turn(server, "b", "ann", &open(server, "a", "ann")), 200, "only the caller is bound");
    }
    assert_eq!(turn(&require, "a", "ann", &tokens), 400);
    assert_eq!(turn(&plain, "a", "ann", &open(&require, "a", "ann")), 400);
}

#[test]
fn a_sticky_session_is_its_peers() {
    let server = server(Some(Policy::require("iroh")), with_callers);
    let opened =
        server.send(from("a", "ann", unary("open", no_columns(1)).with("vgi-session-accept", "true")));
    let token = opened.header("vgi-session").expect("a session").to_owned();
    let within = |peer: &str, caller: &str| {
        server.send(from(peer, caller, unary("increment", no_columns(1)).with("vgi-session", &token)))
    };
    assert_eq!(within("a", "ann").integer(), 1);
    for (peer, caller) in [("b", "ann"), ("a", "bob")] {
        let lost = within(peer, caller);
        assert_eq!((lost.status, lost.is_marked()), (200, true), "{:?}", lost.told());
    }
    assert_eq!(within("a", "ann").integer(), 2);
    let end = |peer: &str| {
        server.send(from(peer, "ann", ask("DELETE", "/vgi/__session__").with("vgi-session", &token)))
    };
    end("b");
    assert_eq!(within("a", "ann").integer(), 3, "another peer does not end it");
    end("a");
    assert!(within("a", "ann").is_marked());
}

#[test]
fn the_local_daemon_is_asked_for_each_request() {
    let service = service_of(vec![who()], |builder| builder).0;
    service.start(TransportKind::Http).unwrap();
    let peers = PeerAuthentication::new(
        Policy::primary("tailscale"),
        [providers::tailscale_local_api("tailnet:x").unwrap()],
    );
    let peers = peers.unwrap().service_name("svc:reports").unwrap();
    let server = serve(service, |builder| builder.peer_authentication(peers));
    let user = |effect: &Effect| {
        let EffectRequest::Question(question) = &effect.request else { panic!("{effect:?}") };
        let target = &question.payload::<WhoIs>().unwrap().target;
        assert_eq!(target, "/localapi/v0/whois?addr=192.0.2.7%3A4711&proto=tcp&svc_name=svc%3Areports");
        let body = "{\"Node\":{\"StableID\":\"n\"},\"UserProfile\":{\"ID\":7}}".into();
        Completion::value(WhoIsResponse { status: 200, content_type: Some("application/json".into()), body })
    };
    let known = server.clone().performing(user);
    assert_eq!(known.send(call()).text(), "peer/tailscale/tailnet%3Ax/user%3A7 tailscale=available true");
    let down = server.clone().performing(|_| Failure::new(FailureReason::TimedOut, "10.0.0.1").into());
    let answered = down.send(call());
    assert_eq!((answered.status, answered.header("retry-after")), (503, Some("5")));
    assert!(!String::from_utf8_lossy(&answered.body).contains("10.0.0.1"));
    let unknown = server.performing(|_| {
        Completion::value(WhoIsResponse { status: 404, content_type: None, body: Bytes::new() })
    });
    assert_eq!(refused(&unknown.send(call())), (401, "missing_credential"));
}

#[test]
fn a_provider_may_bring_its_answers() {
    let own = || {
        Provider::new("own", |query| {
            Ok(match query.ask("own", || Question::answered_by(|| Completion::value(7))) {
                Ok(Ok(answer)) if answer.value() == Some(&7) => {
                    ProviderResult::without(ProviderStatus::NoMatch)
                }
                Ok(_) => ProviderResult::without(ProviderStatus::Invalid),
                Err(ask) => return Err(ask),
            })
        })
    };
    for (provider, expected) in [(own(), false), (own().with_own_answers(), true)] {
        let service = service_of(vec![who()], |builder| builder).0;
        let peers = PeerAuthentication::new(Policy::observe(), [provider]).unwrap();
        let server = serve(service, |builder| builder.peer_authentication(peers));
        assert_eq!(server.endpoint.has_own_answers(), expected);
        let server = server.performing(|effect| effect.request.own_answer().unwrap());
        assert_eq!(server.send(call()).text(), " own=no_match false");
    }
}

#[test]
fn the_operator_is_told_what_was_found() {
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let tells = told.clone();
    let server = server(Some(Policy::primary("iroh")), move |builder| {
        builder.on_auth_failure(move |error| tells.lock().unwrap().push(format!("{error:?}")))
    });
    let answered = server.send_from("192.0.2.8:1", from("a", "", call()));
    assert!(!String::from_utf8_lossy(&answered.body).contains("untrusted"));
    let told = told.lock().unwrap();
    assert!(told.len() == 1 && told[0].contains("untrusted_proxy"), "{told:?}");
}

#[test]
fn credentials_of_headers_go_with_evidence() {
    let server =
        server(Some(Policy::require("iroh")), |builder| builder.authenticate(header("x-user", "edge")));
    assert_eq!(server.send(from("a", "", call()).with("x-user", "ann")).text(), "ann iroh=available true");
    assert_eq!(
        refused(&server.send(from("", "", call()).with("x-user", "ann"))),
        (401, "missing_credential")
    );
}
