//! Requests that wait for their sticky session: before their bodies are read, in order, and without a thread.

use super::support::*;
use crate::ask::{With, ask, unary};
use crate::common::batches::*;
use crate::serve::{Server, serve};
use bytes::Bytes;
use http::Request;
use std::time::Duration;
use vgi_rpc_protocol::http::{RequestStep, Sticky};
use vgi_rpc_protocol::memory::Account;
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::error::kind;

fn server(change: impl FnOnce(&mut Sticky)) -> (Server, Journal) {
    let (service, journal) = service(|builder| builder);
    let mut sticky = Sticky::default();
    change(&mut sticky);
    let server = serve(service, |builder| builder.sticky(sticky));
    // Start-up work is done.
    assert_eq!(server.send(unary("echo", row([("value", text("x"))]))).status, 200);
    journal.take();
    (server, journal)
}

fn opening() -> Request<Bytes> {
    unary("open", no_columns(1)).with("vgi-session-accept", "true")
}

fn opened(server: &Server) -> String {
    server.send(opening()).header("vgi-session").expect("a session's token").to_owned()
}

fn increment(token: &str) -> Request<Bytes> {
    unary("increment", no_columns(1)).with("vgi-session", token)
}

fn ending(token: &str) -> Request<Bytes> {
    ask("DELETE", "/vgi/__session__").with("vgi-session", token)
}

#[track_caller]
fn assert_waits(visit: &mut Visit) {
    assert!(matches!(visit.next(), RequestStep::Waiting));
    assert!(!visit.body_was_read());
    assert!(visit.transaction.poll_effect().is_none());
}

#[track_caller]
fn assert_lost(visit: &mut Visit) {
    let answered = visit.answer();
    assert_eq!((answered.status, answered.is_marked(), answered.body_was_read), (200, true, false));
    assert!(answered.error().is_kind(kind::SESSION_LOST), "{:?}", answered.error());
}

#[test]
fn a_second_request_waits_before_its_body_is_read_and_is_woken_when_the_first_ends() {
    let (server, journal) = server(|_| {});
    let token = opened(&server);
    journal.take();
    let mut first = Visit::begin(&server, increment(&token));
    let work = first.work();
    let (budget, account) = budget();
    let mut second = Visit::with_account(&server, increment(&token), account);
    assert_waits(&mut second);
    assert_waits(&mut second);
    assert_eq!((second.wakes(), journal.take()), (0, vec![]));
    first.complete(work);
    assert_eq!(second.wakes(), 1, "the first call has ended, whether or not its answer was fetched");
    assert_eq!(second.answer().integer(), 2);
    assert_eq!(first.answer().integer(), 1);
    drop(second);
    assert_eq!(budget.used(), 0);
}

#[test]
fn requests_are_served_in_the_order_in_which_they_came() {
    let (server, _) = server(|_| {});
    let token = opened(&server);
    let mut first = Visit::begin(&server, increment(&token));
    let work = first.work();
    let mut waiting: Vec<_> = (0..3).map(|_| Visit::begin(&server, increment(&token))).collect();
    waiting.iter_mut().for_each(assert_waits);
    first.complete(work);
    let wakes: Vec<_> = waiting.iter().map(Visit::wakes).collect();
    assert_eq!(wakes, [1, 0, 0]);
    // A later request does not overtake, although the woken one was not polled yet.
    let mut late = Visit::begin(&server, increment(&token));
    assert_waits(&mut late);
    assert_waits(&mut waiting[1]);
    for (number, visit) in waiting.iter_mut().enumerate() {
        assert_eq!(visit.wakes(), 1, "{number}");
        assert_eq!(visit.answer().integer(), 2 + number as i64);
    }
    assert_eq!((late.wakes(), late.answer().integer()), (1, 5));
}

#[test]
fn one_that_leaves_the_queue_holds_up_nobody() {
    let (server, _) = server(|_| {});
    let token = opened(&server);
    let mut first = Visit::begin(&server, increment(&token));
    let work = first.work();
    let [mut second, mut third, mut fourth] = [0; 3].map(|_| Visit::begin(&server, increment(&token)));
    [&mut second, &mut third, &mut fourth].into_iter().for_each(assert_waits);
    drop(third);
    first.complete(work);
    assert_eq!((second.wakes(), fourth.wakes()), (1, 0));
    drop(second);
    assert_eq!(fourth.wakes(), 1, "the next call gets its turn");
    assert_eq!(fourth.answer().integer(), 2);
}

#[test]
fn a_teardown_waits_in_the_same_queue() {
    let (server, _) = server(|_| {});
    let token = opened(&server);
    let mut first = Visit::begin(&server, increment(&token));
    let work = first.work();
    let mut second = Visit::begin(&server, increment(&token));
    assert_waits(&mut second);
    let mut teardown = Visit::begin(&server, ending(&token));
    assert_waits(&mut teardown);
    let mut after = Visit::begin(&server, increment(&token));
    assert_waits(&mut after);
    first.complete(work);
    assert_waits(&mut teardown);
    assert_eq!(second.answer().integer(), 2);
    assert_eq!((teardown.wakes(), after.wakes()), (1, 0));
    let answered = teardown.answer();
    assert_eq!((answered.status, answered.header("vgi-session-close")), (204, Some("true")));
    assert_eq!((server.endpoint.session_count(), after.wakes()), (0, 1));
    assert_lost(&mut after);
}

#[test]
fn a_session_that_expires_is_lost_to_those_who_wait() {
    let (server, journal) = server(|sticky| sticky.lifetime = Duration::from_secs(60));
    let token = opened(&server);
    let mut first = Visit::begin(&server, increment(&token));
    let work = first.work();
    let [mut polled, mut woken, mut served] = [0; 3].map(|_| Visit::begin(&server, increment(&token)));
    [&mut polled, &mut woken, &mut served].into_iter().for_each(assert_waits);
    journal.take();
    // One notices by itself, and the others are woken.
    polled.now += Duration::from_secs(61);
    assert_lost(&mut polled);
    assert_eq!((woken.wakes(), served.wakes()), (1, 1));
    assert_lost(&mut woken);
    // One is woken by the end of the previous call, when its own time has expired.
    first.complete(work);
    served.now += Duration::from_secs(61);
    assert_lost(&mut served);
    assert_eq!(first.answer().integer(), 1, "a call that has the session keeps it to its end");
    server.endpoint.expire_sessions(server.now + Duration::from_secs(61));
    assert_eq!(server.endpoint.session_count(), 0);
    assert_eq!(journal.take(), ["start", "enter", "exit", "end ok"]);
}

#[test]
fn a_session_that_expires_between_the_hand_over_and_the_next_poll_is_lost() {
    let (server, _) = server(|sticky| sticky.lifetime = Duration::from_secs(60));
    let token = opened(&server);
    let mut first = Visit::begin(&server, increment(&token));
    let work = first.work();
    let mut second = Visit::begin(&server, increment(&token));
    assert_waits(&mut second);
    first.complete(work);
    assert_eq!(second.wakes(), 1);
    second.now += Duration::from_secs(61);
    assert_lost(&mut second);
}

#[test]
fn sweeping_wakes_those_who_wait() {
    let (server, _) = server(|sticky| sticky.lifetime = Duration::from_secs(60));
    let token = opened(&server);
    let mut first = Visit::begin(&server, increment(&token));
    let _work = first.work();
    let mut second = Visit::begin(&server, increment(&token));
    assert_waits(&mut second);
    server.endpoint.expire_sessions(server.now + Duration::from_secs(61));
    assert_eq!(second.wakes(), 1);
    assert_lost(&mut second);
}

#[test]
fn one_too_many_is_refused() {
    let (server, _) = server(|sticky| sticky.max_waiting = 2);
    let token = opened(&server);
    let mut first = Visit::begin(&server, increment(&token));
    let work = first.work();
    let [mut second, mut third] = [0; 2].map(|_| Visit::begin(&server, increment(&token)));
    [&mut second, &mut third].into_iter().for_each(assert_waits);
    let answered = server.send(increment(&token));
    assert_eq!((answered.status, answered.is_marked(), answered.body_was_read), (200, true, false));
    assert_eq!(answered.error().code(), Code::ResourceExhausted);
    assert_eq!(server.send(ending(&token)).status, 503);
    first.complete(work);
    assert_eq!((second.answer().integer(), third.answer().integer()), (2, 3));
}

#[test]
fn work_that_is_dropped_gives_the_session_back() {
    let (server, journal) = server(|_| {});
    let token = opened(&server);
    journal.take();
    for with_its_transaction in [true, false] {
        let mut first = Visit::begin(&server, increment(&token));
        let work = first.work();
        let mut second = Visit::begin(&server, increment(&token));
        assert_waits(&mut second);
        if with_its_transaction {
            drop(first);
            assert_eq!(second.wakes(), 0, "the work owns the session");
        }
        drop(work);
        assert_eq!(second.wakes(), 1);
        drop(second);
    }
    assert_eq!(journal.take(), Vec::<String>::new(), "none of them was a call yet");
    assert_eq!(server.send(increment(&token)).integer(), 1, "its value is unchanged");
}

#[test]
fn a_call_that_breaks_off_at_any_step_gives_the_session_back() {
    let (server, _) = server(|_| {});
    let token = opened(&server);
    let steps: [fn(&mut Visit); 4] = [
        |visit| {
            // The body is still to be received.
            let waker = std::task::Waker::noop();
            assert!(matches!(visit.transaction.poll(visit.now, waker), RequestStep::NeedBody));
        },
        |visit| drop(visit.work()),
        |visit| {
            let work = visit.work();
            drop(work.run(&|| visit.now));
        },
        |visit| {
            let work = visit.work();
            visit.complete(work);
        },
    ];
    for (number, step) in steps.into_iter().enumerate() {
        let mut first = Visit::begin(&server, increment(&token));
        step(&mut first);
        let mut second = Visit::begin(&server, increment(&token));
        drop(first);
        assert!(second.answer().integer() > 0, "{number}");
    }
}

#[test]
fn a_session_whose_token_did_not_go_out_does_not_stay_open() {
    let (server, _) = server(|_| {});
    let open = || Visit::begin(&server, opening());
    // Its transaction is dropped with the answer in it.
    let mut visit = open();
    let work = visit.work();
    visit.complete(work);
    assert_eq!(server.endpoint.session_count(), 1);
    drop(visit);
    assert_eq!(server.endpoint.session_count(), 0);
    // The result of its work is dropped.
    let mut visit = open();
    let done = visit.work().run(&|| server.now);
    drop(visit);
    assert_eq!(server.endpoint.session_count(), 1);
    drop(done);
    assert_eq!(server.endpoint.session_count(), 0);
    // Only its record is used.
    let mut visit = open();
    let mut done = visit.work().run(&|| server.now);
    assert!(done.take_record(server.now).is_some());
    assert_eq!(server.endpoint.session_count(), 0);
    // Work that is completed after the request was answered.
    let mut visit = open();
    let work = visit.work();
    let done = work.run(&|| server.now);
    visit.transaction.lose_work();
    visit.transaction.complete(done).unwrap_err();
    assert_eq!(visit.answer().status, 500);
    assert_eq!(server.endpoint.session_count(), 0);
    // A session that was answered stays open.
    let mut visit = open();
    let token = visit.answer().header("vgi-session").unwrap().to_owned();
    drop(visit);
    assert_eq!(server.endpoint.session_count(), 1);
    assert_eq!(server.send(increment(&token)).integer(), 1);
}

#[test]
fn a_request_for_a_session_of_a_server_that_shuts_down_loses_it() {
    let (server, _) = server(|_| {});
    let token = opened(&server);
    let mut first = Visit::begin(&server, increment(&token));
    let _work = first.work();
    let mut second = Visit::with_account(&server, increment(&token), Account::default());
    assert_waits(&mut second);
    server.endpoint.shut_down();
    assert_eq!(second.wakes(), 1);
    assert_lost(&mut second);
}
