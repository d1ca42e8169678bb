//! Calls that ask questions before they run: each waits, continues with the answer, and is recorded once however it ends.

use crate::ask::*;
use crate::common::batches::*;
use crate::serve::*;
use arrow_schema::DataType;
use http::StatusCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use vgi_rpc_protocol::effect::{Answers, Completion, EffectEvent, Failure, FailureReason, Question, Request};
use vgi_rpc_protocol::http::{Body, RequestOrigin, RequestStep, Transaction};
use vgi_rpc_protocol::service::{CallContext, Method, Protocol, Service};
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::error::RpcError;

/// Returns a server whose `double` asks two questions before it runs, and counts its runs.
fn asking(runs: &Arc<AtomicUsize>) -> Server {
    let runs = runs.clone();
    let double = Method::new("double").param("value", DataType::Int64).returns(DataType::Int64);
    let protocol = Protocol::new("test.Asking.v1").method(double.unary(move |args, _| {
        runs.fetch_add(1, Ordering::Relaxed);
        Ok(2 * args.get::<i64>("value")?)
    }));
    let admission = |_: &CallContext, answers: &Answers| {
        answers.ask("first", || Question::new("first"))??;
        answers.ask("second", || Question::new("second"))??;
        Ok(())
    };
    serve(Service::builder("server-1").protocol(protocol).admit(admission).build().unwrap(), |builder| {
        builder
    })
}

fn double() -> http::Request<bytes::Bytes> {
    call_of("test.Asking.v1", "double", "", row([("value", int(21))]))
}

/// Returns a call that waits for the answer to its first question.
fn waiting(server: &Server) -> Transaction {
    let (head, body) = double().into_parts();
    let mut transaction =
        server.endpoint.begin(head, RequestOrigin { now: START, ..RequestOrigin::default() });
    transaction.receive_body(Body::Whole(body)).unwrap();
    loop {
        match transaction.poll(START, Waker::noop()) {
            RequestStep::Work(work) => transaction.complete(work.run(&|| START)).unwrap(),
            RequestStep::Waiting => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(transaction.poll_effect(), Some(EffectEvent::Requested(_))));
    transaction
}

#[test]
fn a_call_goes_on_when_its_questions_are_answered() {
    let (runs, asked) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let counted = asked.clone();
    let server = asking(&runs).performing(move |effect| {
        let Request::Question(question) = &effect.request else { panic!("{effect:?}") };
        let expected = ["first", "second"][counted.fetch_add(1, Ordering::Relaxed)];
        assert_eq!(question.payload(), Some(&expected));
        Completion::value(())
    });
    let answered = server.send(double());
    assert_eq!((answered.status, answered.is_marked()), (200, false));
    assert_eq!(answered.record.unwrap().error, None);
    assert_eq!((runs.load(Ordering::Relaxed), asked.load(Ordering::Relaxed)), (1, 2));
}

#[test]
fn a_question_that_fails_fails_its_call() {
    let runs = Arc::<AtomicUsize>::default();
    let failure = Failure::new(FailureReason::Unavailable, "not today");
    let server = asking(&runs).performing(move |_| failure.clone().into());
    let answered = server.send(double());
    assert!(answered.error().message().contains("not today"));
    assert!(answered.record.unwrap().error.is_some());
    assert_eq!(runs.load(Ordering::Relaxed), 0);
}

#[test]
fn a_call_that_ends_while_it_waits_is_recorded() {
    let server = asking(&Arc::default());
    let record = waiting(&server).hang_up(START).unwrap();
    assert_eq!((record.error.unwrap().code(), record.http.unwrap().status), (Code::Cancelled, 499));

    let mut transaction = waiting(&server);
    let error = RpcError::status(Code::DeadlineExceeded, "too late");
    let record = transaction.abandon(&error, StatusCode::SERVICE_UNAVAILABLE, START).unwrap();
    assert_eq!((record.error, record.http.unwrap().status), (Some(error), 503));
    assert!(transaction.hang_up(START).is_none(), "it is recorded once");
    assert!(matches!(transaction.poll(START, Waker::noop()), RequestStep::Over));
}

#[test]
fn work_that_comes_back_to_nobody_gives_the_record() {
    let server = asking(&Arc::default());
    let (head, body) = double().into_parts();
    let mut transaction =
        server.endpoint.begin(head, RequestOrigin { now: START, ..RequestOrigin::default() });
    transaction.receive_body(Body::Whole(body)).unwrap();
    let mut done = loop {
        match transaction.poll(START, Waker::noop()) {
            // The first work is the service's start-up.
            RequestStep::Work(work) => {
                let mut done = work.run(&|| START);
                if format!("{done:?}").contains("Called") {
                    assert!(transaction.hang_up(START).is_none(), "the work is running");
                    break done;
                }
                assert!(done.take_record(START).is_none());
                transaction.complete(done).unwrap();
            }
            other => panic!("{other:?}"),
        }
    };
    let record = done.take_record(START).unwrap();
    assert_eq!((record.error.unwrap().code(), record.http.unwrap().status), (Code::Cancelled, 499));
    assert!(done.take_record(START).is_none(), "it is recorded once");
}
