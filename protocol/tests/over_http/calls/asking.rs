//! Authenticators that ask: alone, in a chain, and behind a gate that accepts a proof only once.

use super::support::*;
use crate::ask::{With, ask, unary};
use crate::common::batches::*;
use crate::serve::{START, Server, serve};
use bytes::Bytes;
use http::Request;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use vgi_rpc_protocol::effect::{Completion, Failure, FailureReason, Question, Request as EffectRequest};
use vgi_rpc_protocol::http::auth::{
    AuthContext, AuthError, AuthRequest, Authenticator, Precondition, Reason, bearer, bearer_static, chain,
    require_all,
};
use vgi_rpc_protocol::http::proof::{Gate, GateConfig, Secret, Secrets, mint};
use vgi_rpc_protocol::http::{Body, RequestStep};

/// Asks who owns this token.
struct WhoHas(String);

/// Returns an authenticator that asks who owns a token, under this key.
fn introspection(key: &'static str) -> impl Authenticator + 'static {
    bearer(move |token: &str, request: &AuthRequest<'_>| {
        let answer = request.ask(key, || Question::new(WhoHas(token.into())).shared_as(key))?;
        match answer.value::<Option<String>>() {
            Some(Some(name)) => Ok(AuthContext::new(key, name.clone())),
            _ => Err(AuthError::refused(Reason::InvalidCredential, "unknown token")),
        }
    })
}

fn found(name: &str) -> Completion {
    Completion::value(Some(name.to_owned()))
}

fn unknown() -> Completion {
    Completion::value(None::<String>)
}

fn server(authenticator: impl Authenticator + 'static) -> Server {
    let spec = vgi_rpc_protocol::service::Method::new("who").returns(arrow_schema::DataType::Utf8).unary(
        |_, context| {
            let auth = context.auth();
            Ok(format!("{}/{} {:?}", auth.domain, auth.principal, auth.claims.keys().collect::<Vec<_>>()))
        },
    );
    let service = service_of(vec![spec], |builder| builder).0;
    service.start(vgi_rpc_protocol::service::TransportKind::Http).unwrap();
    serve(service, |builder| builder.authenticate(authenticator))
}

fn who() -> Request<Bytes> {
    unary("who", no_columns(1)).with("authorization", "Bearer abc")
}

/// Returns the current question, and checks that the body has not been read.
#[track_caller]
fn asked(visit: &mut Visit, key: &str) -> vgi_rpc_protocol::effect::EffectId {
    let effect = visit.asked();
    assert!(!visit.body_was_read(), "the body is not read before authentication");
    let shared = format!("{} {key}", std::any::type_name::<WhoHas>());
    assert_eq!(effect.shared_key.as_deref(), Some(&*shared));
    let EffectRequest::Question(question) = effect.request else { panic!("{effect:?}") };
    assert_eq!(question.payload::<WhoHas>().unwrap().0, "abc");
    effect.id
}

#[test]
fn the_answer_says_who_the_caller_is() {
    let server = server(introspection("one"));
    let mut visit = Visit::begin(&server, who());
    let id = asked(&mut visit, "one");
    assert!(matches!(visit.next(), RequestStep::Waiting));
    visit.done(id, found("ann"));
    assert_eq!(visit.answer().text(), "one/ann []");

    let mut visit = Visit::begin(&server, who());
    let id = asked(&mut visit, "one");
    visit.done(id, unknown());
    let answered = visit.answer();
    assert_eq!((answered.status, answered.body_was_read), (401, false));
    assert_eq!(answered.header("vgi-auth-reason"), Some("invalid_credential"));

    let without = server.send(unary("who", no_columns(1)));
    assert_eq!((without.status, without.header("vgi-auth-reason")), (401, Some("missing_credential")));
}

#[test]
fn a_body_that_comes_early_is_kept_until_the_caller_is_known() {
    let server = server(introspection("one"));
    let mut visit = Visit::begin(&server, who());
    let (_, body) = who().into_parts();
    visit.transaction.receive_body(Body::Whole(body)).unwrap();
    let id = asked(&mut visit, "one");
    visit.data(id, b"unused");
    visit.done(id, found("ann"));
    assert_eq!(visit.answer().text(), "one/ann []");
}

#[test]
fn each_of_a_chain_asks_in_its_turn() {
    let fixed = bearer_static([("other", AuthContext::new("static", "bob"))]);
    let all: Vec<Box<dyn Authenticator>> =
        vec![Box::new(fixed), Box::new(introspection("one")), Box::new(introspection("two"))];
    let server = server(chain(all));
    let mut visit = Visit::begin(&server, who());
    let one = asked(&mut visit, "one");
    visit.done(one, unknown());
    let two = asked(&mut visit, "two");
    assert_ne!(one, two);
    visit.done(two, found("ann"));
    assert_eq!(visit.answer().text(), "two/ann []");

    let mut visit = Visit::begin(&server, who());
    let one = asked(&mut visit, "one");
    visit.done(one, found("cat"));
    assert_eq!(visit.answer().text(), "one/cat []", "the second is not asked");

    let of_bob = unary("who", no_columns(1)).with("authorization", "Bearer other");
    assert_eq!(server.send(of_bob).text(), "static/bob []", "no question is asked");

    // An outage is not a refusal, so the chain stops.
    let mut visit = Visit::begin(&server, who());
    let one = asked(&mut visit, "one");
    visit.done(one, Failure::new(FailureReason::Unavailable, "10.0.0.1 is down").into());
    assert_unavailable(&mut visit);
}

#[track_caller]
fn assert_unavailable(visit: &mut Visit) {
    let answered = visit.answer();
    assert_eq!((answered.status, answered.body_was_read), (503, false));
    assert!(answered.header("retry-after").is_some());
    assert!(!String::from_utf8_lossy(&answered.body).contains("10.0.0.1"), "only the operator sees it");
    assert_eq!(visit.withdrawn(), []);
}

#[test]
fn any_failure_to_answer_is_an_outage() {
    let server = server(introspection("one"));
    for reason in [
        FailureReason::TimedOut,
        FailureReason::Unavailable,
        FailureReason::OverBudget,
        FailureReason::Failed,
    ] {
        let mut visit = Visit::begin(&server, who());
        let id = asked(&mut visit, "one");
        visit.done(id, Failure::new(reason, "10.0.0.1 is down").into());
        assert_unavailable(&mut visit);
    }
}

#[test]
fn one_that_asks_too_much_fails() {
    for (count, status) in [(32, 200), (33, 500)] {
        let server = server(move |request: &AuthRequest<'_>| {
            for number in 0..count {
                request.ask(&number.to_string(), || Question::new(number))?;
            }
            Ok(AuthContext::anonymous())
        });
        let mut visit = Visit::begin(&server, who());
        for _ in 0..32 {
            let id = visit.asked().id;
            visit.done(id, Completion::Done);
        }
        let answered = visit.answer();
        assert_eq!(answered.status, status, "{count}");
        assert_eq!(visit.withdrawn(), []);
    }
}

#[test]
fn health_stays_open() {
    let server = server(introspection("one"));
    for method in ["GET", "HEAD"] {
        let mut visit = Visit::begin(&server, ask(method, "/vgi/health").with("authorization", "Bearer abc"));
        assert_eq!(visit.answer().status, 200);
    }
    let preflight = ask("OPTIONS", "/vgi/test.Main.v1/who").with("authorization", "Bearer abc");
    assert_eq!(Visit::begin(&server, preflight).answer().status, 200);
    let mut visit = Visit::begin(&server, ask("GET", "/vgi").with("authorization", "Bearer abc"));
    asked(&mut visit, "one");
}

#[test]
fn a_panic_after_an_answer_is_a_failure() {
    let server = server(|request: &AuthRequest<'_>| {
        request.ask("one", || Question::new(()))?;
        std::panic::panic_any("on purpose, in an authenticator")
    });
    let mut visit = Visit::begin(&server, who());
    let id = visit.asked().id;
    visit.done(id, Completion::Done);
    assert_eq!(visit.answer().status, 500);
}

/// Counts its checks.
struct Counted(Arc<AtomicUsize>, bool);

impl Precondition for Counted {
    fn claim(&self) -> &str {
        "counted"
    }

    fn check(&self, _: &AuthRequest<'_>) -> Result<Map<String, Value>, AuthError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        if self.1 { Ok(Map::new()) } else { Err(AuthError::refused(Reason::ProxyRequired, "shut")) }
    }
}

#[test]
fn a_gate_is_asked_once_for_each_request() {
    let checks = Arc::new(AtomicUsize::new(0));
    let all: Vec<Box<dyn Authenticator>> =
        vec![Box::new(introspection("one")), Box::new(introspection("two"))];
    let server = server(require_all(Counted(checks.clone(), true), Some(Box::new(chain(all)))));
    for number in 1..4 {
        let mut visit = Visit::begin(&server, who());
        let one = asked(&mut visit, "one");
        visit.done(one, unknown());
        let two = asked(&mut visit, "two");
        visit.done(two, found("ann"));
        assert_eq!(visit.answer().text(), "two/ann [\"counted\"]");
        assert_eq!(checks.load(Ordering::SeqCst), number);
    }
}

#[test]
fn gates_of_one_kind_are_told_apart() {
    let checks = [0, 1].map(|_| Arc::new(AtomicUsize::new(0)));
    let gate = |number: usize, key| {
        let inner: Box<dyn Authenticator> = Box::new(introspection(key));
        Box::new(require_all(Counted(checks[number].clone(), true), Some(inner))) as Box<dyn Authenticator>
    };
    let server = server(chain(vec![gate(0, "one"), gate(1, "two")]));
    let mut visit = Visit::begin(&server, who());
    let one = asked(&mut visit, "one");
    visit.done(one, unknown());
    let two = asked(&mut visit, "two");
    visit.done(two, found("ann"));
    assert_eq!(visit.answer().text(), "two/ann [\"counted\"]");
    assert_eq!(checks.each_ref().map(|checks| checks.load(Ordering::SeqCst)), [1, 1]);
}

#[test]
fn a_shut_gate_keeps_questions_in() {
    let checks = Arc::new(AtomicUsize::new(0));
    let server = server(require_all(Counted(checks, false), Some(Box::new(introspection("one")))));
    let answered = Visit::begin(&server, who()).answer();
    assert_eq!((answered.status, answered.header("vgi-auth-reason")), (401, Some("proxy_required")));
}

#[test]
fn a_proof_that_may_be_used_once_holds_for_the_whole_request_and_for_no_other() {
    const ORIGIN: &str = "my-worker";
    let secret = "11".repeat(32);
    let secrets = Secrets::parse(&format!("edge:{secret}")).unwrap();
    let gate = Gate::new(GateConfig::new(ORIGIN, secrets)).unwrap();
    let server = server(require_all(gate, Some(Box::new(introspection("one")))));
    let proof =
        |nonce| mint("edge", &Secret::from_hex(&secret).unwrap(), ORIGIN, START, [nonce; 16]).unwrap();
    let proven = |nonce| who().with("vgi-proxy-proof", &proof(nonce));

    let mut visit = Visit::begin(&server, proven(1));
    let id = asked(&mut visit, "one");
    // The gate does not accept the same proof for another request, even while the first one waits.
    assert_eq!(server.send(proven(1)).status, 401);
    // The answer may take long to arrive, and the proof would then be too old.
    visit.now += Duration::from_secs(3600);
    visit.done(id, found("ann"));
    assert!(visit.answer().text().starts_with("one/ann"));
    assert_eq!(server.send(proven(1)).status, 401);
    let mut visit = Visit::begin(&server, proven(2));
    let id = asked(&mut visit, "one");
    visit.done(id, found("ann"));
    assert_eq!(visit.answer().status, 200);
}

#[test]
fn the_operator_is_told_why_a_request_is_not_let_in() {
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let heard = told.clone();
    let authenticator = bearer(|token: &str, request: &AuthRequest<'_>| {
        request.ask("who", || Question::new(WhoHas(token.into())))?;
        Ok(AuthContext::anonymous())
    });
    let service = service_of(Vec::new(), |builder| builder).0;
    let server = serve(service, |builder| {
        builder.authenticate(authenticator).on_auth_failure(move |error| {
            heard.lock().unwrap().push(error.to_string());
            std::panic::panic_any("on purpose, in a report");
        })
    });
    let failures = [
        (Failure::unsupported(), 500, "the authenticator failed: the server is not set up to ask"),
        (Failure::new(FailureReason::Unavailable, "10.0.0.1 is down"), 503, "10.0.0.1 is down"),
    ];
    for (failure, status, text) in failures {
        let server = server.clone().performing(move |_| failure.clone().into());
        let answered = server.send(who());
        assert_eq!(answered.status, status);
        assert!(!String::from_utf8_lossy(&answered.body).contains("10.0.0.1"), "callers do not see it");
        let told = std::mem::take(&mut *told.lock().unwrap());
        assert!(told.len() == 1 && told[0].contains(text), "{told:?}");
    }
}
