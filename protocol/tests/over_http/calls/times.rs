//! Calls that were parked for long: the lifetime of their tokens and sessions begins at creation, not at the call's arrival.

use super::support::*;
use crate::ask::{Tokens, With, init, tick, unary};
use crate::common::batches::*;
use crate::serve::{Server, serve};
use std::time::Duration;
use vgi_rpc_protocol::effect::{Completion, Question};
use vgi_rpc_protocol::http::{EndpointBuilder, RequestStep, Sticky};

/// Returns a server that asks before it opens anything.
fn asking(set: impl FnOnce(EndpointBuilder) -> EndpointBuilder) -> Server {
    let (service, _) = service(|builder| {
        builder.admit(|call, answers| {
            if let "open" | "count" = call.method() {
                answers.ask("policy", || Question::new(()))??;
            }
            Ok(())
        })
    });
    service.start(vgi_rpc_protocol::service::TransportKind::Http).unwrap();
    serve(service, set)
}

/// Waits for the effect, and completes it after this time.
fn park(visit: &mut Visit, time: Duration) {
    let id = visit.asked().id;
    visit.now += time;
    visit.done(id, Completion::Done);
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn tokens_are_as_old_as_their_sealing() {
    for cached in [0, 16] {
        let server = asking(|builder| builder.token_lifetime(Some(MINUTE)).cached_calls(cached));
        let mut visit = Visit::begin(&server, init("count", row([("count", int(9))])));
        park(&mut visit, 10 * MINUTE);
        let tokens = Tokens::of(&visit.answer());
        let later = |time| server.after(10 * MINUTE + time).send(tick("count", &tokens)).status;
        assert_eq!(later(Duration::from_secs(50)), 200, "{cached}");
        assert_eq!(later(Duration::from_secs(70)), 400, "{cached}");
    }
}

#[test]
fn a_session_lives_from_its_opening() {
    let mut sticky = Sticky::default();
    sticky.lifetime = MINUTE;
    let server = asking(|builder| builder.sticky(sticky));
    let mut visit = Visit::begin(&server, unary("open", no_columns(1)).with("vgi-session-accept", "true"));
    park(&mut visit, 10 * MINUTE);
    let token = visit.answer().header("vgi-session").unwrap().to_owned();
    let later = |time| {
        let request = unary("increment", no_columns(1)).with("vgi-session", &token);
        server.after(10 * MINUTE + time).send(request).is_marked()
    };
    assert!(!later(Duration::from_secs(50)));
    assert!(later(Duration::from_secs(70)));
}

#[test]
fn a_session_is_held_while_its_call_is_admitted_and_given_back_if_that_breaks_off() {
    let server = asking(|builder| builder.sticky(Sticky::default()));
    let mut visit = Visit::begin(&server, unary("open", no_columns(1)).with("vgi-session-accept", "true"));
    park(&mut visit, Duration::ZERO);
    let token = visit.answer().header("vgi-session").unwrap().to_owned();
    let count = init("count", row([("count", int(9))])).with("vgi-session", &token);
    let mut first = Visit::begin(&server, count);
    first.asked();
    let mut second = Visit::begin(&server, unary("increment", no_columns(1)).with("vgi-session", &token));
    assert!(matches!(second.next(), RequestStep::Waiting));
    drop(first);
    assert_eq!(second.wakes(), 1);
    assert_eq!(second.answer().integer(), 1);
}
