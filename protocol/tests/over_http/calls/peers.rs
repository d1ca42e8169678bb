//! The peer of a byte stream: identified once, before its first call.

use super::support::*;
use crate::common::batches::*;
use crate::common::driver::{Command, Rest};
use crate::common::scenarios::{stream, unary};
use crate::common::service::SERVER_ID;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use vgi_rpc_protocol::effect::{Completion, Failure, FailureReason, Question};
use vgi_rpc_protocol::memory::Account;
use vgi_rpc_protocol::peer_identity::{
    Assurance, Credentials, PeerAuthentication, PeerIdentity, Policy, Provider, ProviderResult,
    ProviderStatus, Stability, Subject, SubjectKind, providers,
};
use vgi_rpc_protocol::service::{Method, MethodSpec, Peer, Service, TransportKind, WaitingFor};
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::error::RpcError;

/// Returns a method that reports the caller and the evidence.
pub fn who() -> MethodSpec {
    Method::new("who").returns(arrow_schema::DataType::Utf8).unary(|_, context| {
        journal(context).note("run");
        let evidence = context.peer_evidence();
        let all: Vec<_> =
            evidence.results().map(|(name, result)| format!("{name}={}", result.status())).collect();
        let bound = context.auth().peer_evidence_binding().is_some();
        Ok(format!("{} {} {bound}", context.auth().principal, all.join(",")))
    })
}

fn call() -> Command {
    unary("who", no_columns(1))
}

fn serving(peers: PeerAuthentication) -> (Arc<Service>, Journal) {
    service_of(vec![who()], |builder| builder.peer_authentication(peers))
}

fn user(uid: u32) -> Peer {
    Peer::new(TransportKind::Unix, SERVER_ID).with_credentials(Credentials { pid: 1, uid, gid: 100 })
}

fn wire(service: &Arc<Service>, peer: Peer) -> Wire {
    Wire::with_peer(service, Account::default(), peer)
}

/// Returns the error of a call.
#[track_caller]
fn refused(wire: &mut Wire, command: Command) -> RpcError {
    wire.send(command);
    assert_eq!(wire.rest(), Rest::NeedInput);
    wire.told().iter().find_map(|told| told.error().cloned()).expect("an error")
}

#[track_caller]
fn answer(wire: &mut Wire, command: Command) -> String {
    wire.send(command);
    let done = wire.work().run();
    wire.server.complete(done).unwrap();
    wire.run().join(" ")
}

fn unix(policy: Policy) -> PeerAuthentication {
    PeerAuthentication::new(policy, [providers::unix_credentials("host:x").unwrap()]).unwrap()
}

#[test]
fn a_peer_is_the_caller_of_all_its_calls() {
    let (service, _) = serving(unix(Policy::primary("unix")));
    for uid in [0, 1000] {
        let mut wire = wire(&service, user(uid));
        for _ in 0..2 {
            let answered = answer(&mut wire, call());
            assert!(
                answered.contains(&format!("peer/unix/host%3Ax/uid%3A{uid} unix=available true")),
                "{answered}"
            );
        }
    }
}

#[test]
fn evidence_alone_makes_no_caller() {
    let (service, _) = serving(unix(Policy::observe()));
    let answered = answer(&mut wire(&service, user(7)), call());
    assert!(answered.contains(" unix=available false"), "{answered}");
    let (plain, _) = service_of(vec![who()], |builder| builder);
    let answered = answer(&mut wire(&plain, user(7)), call());
    assert!(answered.contains("  false"), "{answered}");
}

#[test]
fn a_peer_that_is_not_let_in_has_every_call_refused() {
    let (service, journal) = serving(unix(Policy::primary("unix")));
    let mut wire = wire(&service, Peer::new(TransportKind::Unix, SERVER_ID));
    journal.take();
    let count = || stream("count", row([("count", int(2))]));
    for command in [call(), count(), call(), unary("no_such_method", no_columns(1))] {
        let error = refused(&mut wire, command);
        assert_eq!(
            (error.code(), error.message()),
            (Code::Unauthenticated, "StatusError: the peer is not authenticated")
        );
    }
    assert_eq!(journal.take(), [""; 0], "no call has begun");
}

/// Returns a provider that asks a question and counts its runs.
fn asking(asked: Arc<AtomicUsize>) -> Provider {
    Provider::new("asks", move |query| {
        asked.fetch_add(1, Ordering::SeqCst);
        let answer = query.ask("who", || Question::new("who is it?"))?;
        let status = |failure: &Failure| match failure.reason {
            FailureReason::Unavailable => ProviderStatus::Unavailable,
            _ => ProviderStatus::Invalid,
        };
        Ok(match answer {
            Ok(answer) => match answer.value::<&str>() {
                Some(name) => ProviderResult::available(
                    PeerIdentity::new("asks", "test", Assurance::LocalDaemon, "test", query.transport)
                        .with_subject(Subject::verified(SubjectKind::User, *name, Stability::Stable)),
                ),
                None => std::panic::panic_any("on purpose"),
            },
            Err(failure) => ProviderResult::without(status(failure)),
        })
    })
}

fn asking_service() -> (Arc<Service>, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let peers = PeerAuthentication::new(Policy::primary("asks"), [asking(asked.clone())]).unwrap();
    (serving(peers).0, asked)
}

#[test]
fn a_question_is_asked_once_for_a_connection() {
    let (service, asked) = asking_service();
    let mut wire = wire(&service, user(7));
    wire.send(call());
    assert_eq!(wire.rest(), Rest::Waiting);
    assert_eq!(wire.server.waiting_for(), WaitingFor::Effect);
    let effect = wire.effect();
    assert_eq!(wire.rest(), Rest::Waiting);
    wire.server.complete_effect(effect.id, Completion::value("ann"));
    let done = wire.work().run();
    wire.server.complete(done).unwrap();
    assert!(wire.run().join(" ").contains("peer/asks/test/ann asks=available true"));
    assert!(answer(&mut wire, call()).contains("peer/asks/test/ann"));
    assert_eq!(asked.load(Ordering::SeqCst), 2, "once without and once with the answer");
    assert!(wire.withdrawn().is_empty());
}

#[test]
fn an_outage_is_not_kept_and_a_rejection_is() {
    let (service, asked) = asking_service();
    let mut wire = wire(&service, user(7));
    let fail = |wire: &mut Wire, reason| {
        wire.send(call());
        assert_eq!(wire.rest(), Rest::Waiting);
        let effect = wire.effect();
        wire.server.complete_effect(effect.id, Failure::new(reason, "10.0.0.1").into());
        assert_eq!(wire.rest(), Rest::NeedInput);
        wire.told().iter().find_map(|told| told.error().cloned()).expect("an error")
    };
    for _ in 0..2 {
        let error = fail(&mut wire, FailureReason::Unavailable);
        assert_eq!(
            (error.code(), error.message()),
            (Code::Unavailable, "StatusError: the peer cannot be authenticated now")
        );
    }
    assert_eq!(fail(&mut wire, FailureReason::Failed).code(), Code::Unauthenticated);
    assert_eq!(asked.load(Ordering::SeqCst), 6);
    assert_eq!(refused(&mut wire, call()).code(), Code::Unauthenticated);
    assert_eq!(asked.load(Ordering::SeqCst), 6, "it is not asked again");
}

#[test]
fn a_provider_that_panics_lets_nobody_in() {
    let (service, _) = asking_service();
    let mut wire = wire(&service, user(7));
    wire.send(call());
    assert_eq!(wire.rest(), Rest::Waiting);
    let effect = wire.effect();
    wire.server.complete_effect(effect.id, Completion::value(7));
    assert_eq!(wire.rest(), Rest::NeedInput);
    let error = wire.told().iter().find_map(|told| told.error().cloned()).unwrap();
    assert_eq!(error.message(), "RuntimeError: the peer could not be authenticated");
}

#[test]
fn a_call_that_is_given_up_withdraws_the_question() {
    let (service, _) = asking_service();
    let mut wire = wire(&service, user(7));
    wire.send(call());
    assert_eq!(wire.rest(), Rest::Waiting);
    let effect = wire.effect();
    wire.server.abandon(RpcError::status(Code::DeadlineExceeded, "too slow")).unwrap();
    assert_eq!(wire.withdrawn(), [effect.id]);
    let error = wire.told().iter().find_map(|told| told.error().cloned()).unwrap();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    // The next call asks again.
    wire.send(call());
    assert_eq!(wire.rest(), Rest::Waiting);
    let again = wire.effect();
    wire.server.complete_effect(effect.id, Completion::value("bob"));
    assert_eq!(wire.rest(), Rest::Waiting, "a late answer is ignored");
    wire.server.hang_up();
    assert_eq!(wire.withdrawn(), [again.id]);
    assert!(wire.records().is_empty());
}
