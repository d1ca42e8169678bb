//! Upload URLs, obtained through an effect: late, twice, in time and never.

use super::support::*;
use crate::ask::{post, routing};
use crate::common::batches::*;
use crate::common::streams::stream_of;
use crate::serve::{Server, serve};
use bytes::Bytes;
use http::Request;
use std::time::Duration;
use vgi_rpc_protocol::effect::{Completion, Failure, FailureReason, Request as EffectRequest, UploadUrl};
use vgi_rpc_protocol::http::RequestStep;

fn server() -> Server {
    let server = serve(service(|builder| builder).0, |builder| builder.upload_urls(None));
    // Start-up work is done.
    server.send(crate::ask::unary("fail", no_columns(1)));
    server
}

fn asking(count: i64) -> Request<Bytes> {
    let mut metadata = routing("", "__upload_url__");
    metadata.remove("vgi_rpc.protocol");
    post("/vgi/__upload_url__/init", stream_of(&[(row([("count", int(count))]), metadata)]))
}

fn urls(name: &str, count: usize) -> Completion {
    let url = |number| UploadUrl {
        upload_url: format!("https://store.example/{name}/{number}"),
        download_url: format!("https://store.example/{name}/{number}"),
        expires_at: Duration::from_secs(1_800_000_600),
    };
    Completion::UploadUrls((0..count).map(url).collect())
}

#[test]
fn the_effect_says_how_many_are_wanted_and_how_long_that_may_take() {
    let server = server();
    let mut visit = Visit::begin(&server, asking(3));
    let effect = visit.asked();
    assert!(matches!(effect.request, EffectRequest::UploadUrls(3)), "{effect:?}");
    assert_eq!((effect.time_limit, effect.shared_key), (Duration::from_secs(30), None));
    assert!(matches!(visit.next(), RequestStep::Waiting), "it is not requested twice");
    assert_eq!(visit.withdrawn(), []);
    visit.done(effect.id, urls("one", 3));
    visit.done(effect.id, urls("other", 1));
    let answered = visit.answer();
    assert_eq!(answered.data()[0].0.num_rows(), 3);
    assert_eq!(answered.told(), ["data https://store.example/one/0"]);
    assert_eq!(visit.withdrawn(), []);
    visit.done(effect.id, urls("late", 1));
    assert!(matches!(visit.next(), RequestStep::Over));
}

#[test]
fn those_that_come_late_are_used_by_the_request_that_waits_for_them() {
    let server = server();
    let mut visit = Visit::begin(&server, asking(1));
    let id = visit.asked().id;
    for _ in 0..50 {
        assert!(matches!(visit.next(), RequestStep::Waiting));
        let mut other = Visit::begin(&server, asking(2));
        let id = other.asked().id;
        other.done(id, urls("other", 2));
        assert_eq!(other.answer().data()[0].0.num_rows(), 2);
    }
    visit.now += Duration::from_secs(3600);
    visit.done(id, urls("late", 1));
    assert_eq!(visit.answer().told(), ["data https://store.example/late/0"]);
}

#[test]
fn a_request_that_is_dropped_leaves_nothing_behind() {
    let server = server();
    let (budget, account) = budget();
    let mut visit = Visit::with_account(&server, asking(1), account);
    let id = visit.asked().id;
    drop(visit);
    assert_eq!(budget.used(), 0);
    // The id is ignored by a machine that asks nothing, and also by one that asks for itself and has the same id.
    let mut other = Visit::begin(&server, crate::ask::unary("echo", row([("value", text("x"))])));
    other.done(id, urls("late", 1));
    assert_eq!(other.answer().text(), "x");
}

#[test]
fn failures_have_the_code_of_their_class() {
    let server = server();
    for (reason, code) in [
        (FailureReason::TimedOut, "DeadlineExceeded"),
        (FailureReason::Unavailable, "Unavailable"),
        (FailureReason::OverBudget, "ResourceExhausted"),
        (FailureReason::Failed, "Unknown"),
    ] {
        let mut visit = Visit::begin(&server, asking(1));
        let id = visit.asked().id;
        visit.done(id, Failure::new(reason, "no store").into());
        assert_eq!(visit.outcome(), format!("{code} RuntimeError: no store"));
    }
}
