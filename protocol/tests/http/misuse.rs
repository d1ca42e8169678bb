//! A driver's misuse of a request's machine is refused, and changes nothing.

use crate::ask::*;
use crate::common::service::service;
use crate::serve::*;
use std::task::Waker;
use std::time::Duration;
use vgi_rpc_protocol::CommandError;
use vgi_rpc_protocol::http::{Body, RequestOrigin, RequestStep, RequestWorkResult, Transaction};

#[track_caller]
fn assert_misuse(result: Result<(), CommandError>) {
    assert!(matches!(result, Err(CommandError::Misuse { .. })), "{result:?}");
}

/// Returns a request whose handler has run, and the result of the run.
fn run(server: &Server, value: &str) -> (Transaction, RequestWorkResult) {
    let (head, body) = echo(value).into_parts();
    server.endpoint.service().start(vgi_rpc_protocol::service::TransportKind::Http).unwrap();
    let mut transaction =
        server.endpoint.begin(head, RequestOrigin { now: START, ..RequestOrigin::default() });
    transaction.receive_body(Body::Whole(body)).unwrap();
    let RequestStep::Work(work) = transaction.poll(START, Waker::noop()) else { panic!("{transaction:?}") };
    (transaction, work.run(&|| START))
}

fn answer(mut transaction: Transaction) -> (u16, Vec<u8>) {
    let RequestStep::Answer(answer) = transaction.poll(START, Waker::noop()) else {
        panic!("{transaction:?}")
    };
    (answer.response.status().as_u16(), answer.response.into_body().concat())
}

#[test]
fn the_work_of_another_request_is_refused() {
    let server = serve(service(), |builder| builder);
    let ((mut transaction, own), (_, foreign)) = (run(&server, "own"), run(&server, "foreign"));
    assert_misuse(transaction.complete(foreign));
    assert!(matches!(transaction.poll(START, Waker::noop()), RequestStep::Waiting));
    transaction.complete(own).unwrap();
    let (status, body) = answer(transaction);
    assert_eq!(status, 200);
    assert!(
        body.windows(3).any(|bytes| bytes == b"own") && !body.windows(7).any(|bytes| bytes == b"foreign")
    );
}

#[test]
fn work_is_refused_when_none_is_out() {
    let server = serve(service(), |builder| builder);
    let (mut lost, done) = run(&server, "lost");
    lost.lose_work();
    assert_misuse(lost.complete(done));
    assert_eq!(answer(lost).0, 500);

    let (mut gone, done) = run(&server, "gone");
    gone.hang_up(START + Duration::from_secs(1));
    assert_misuse(gone.complete(done));
    assert!(matches!(gone.poll(START, Waker::noop()), RequestStep::Over));
}

#[test]
fn a_second_body_is_refused() {
    let server = serve(service(), |builder| builder);
    let (head, body) = echo("first").into_parts();
    let mut transaction =
        server.endpoint.begin(head, RequestOrigin { now: START, ..RequestOrigin::default() });
    transaction.receive_body(Body::Whole(body)).unwrap();
    assert_misuse(transaction.receive_body(Body::TooLarge));

    let (mut transaction, done) = run(&server, "first");
    assert_misuse(transaction.receive_body(Body::TooLarge));
    transaction.complete(done).unwrap();
    // The response is ready, so a body is not needed, but is not an error either.
    transaction.receive_body(Body::TooLarge).unwrap();
    assert_eq!(answer(transaction).0, 200);
}
