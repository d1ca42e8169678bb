//! Start-up work: it runs before the first request is served, and again until it succeeds.

use crate::ask::*;
use crate::common::batches::*;
use crate::serve::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use vgi_rpc_protocol::http::{RequestOrigin, RequestStep};
use vgi_rpc_protocol::service::{Method, Protocol, Service, TransportKind};
use vgi_rpc_protocol::wire::error::RpcError;

/// Returns a server whose start-up work fails this often, and the count of attempts.
fn failing(times: usize) -> (Server, Arc<AtomicUsize>) {
    let tried = Arc::new(AtomicUsize::new(0));
    let counted = tried.clone();
    let protocol = Protocol::new("test.Start.v1")
        .on_serve_start(move |transport| {
            assert_eq!(transport, TransportKind::Http);
            let tries = counted.fetch_add(1, Ordering::SeqCst);
            if tries < times { Err(RpcError::runtime_error("no database")) } else { Ok(()) }
        })
        .method(Method::new("nothing").unary(|_, _| Ok(())));
    let service = Service::builder("server-1").protocol(protocol).build().unwrap();
    (serve(service, |builder| builder), tried)
}

fn nothing() -> http::Request<bytes::Bytes> {
    call_of("test.Start.v1", "nothing", "", no_columns(1))
}

#[test]
fn work_that_fails_is_told_of_and_tried_again() {
    let (server, tried) = failing(2);
    let health = server.send(ask("GET", "/vgi/health"));
    assert_eq!((health.status, health.is_marked()), (500, false), "not even healthy");
    let call = server.send(nothing());
    assert_eq!((call.status, call.body_was_read), (500, false));
    assert_eq!(tried.load(Ordering::SeqCst), 2);
    assert_eq!(server.send(ask("GET", "/vgi/health")).status, 200);
    assert_eq!(server.send(nothing()).status, 200);
    assert_eq!(tried.load(Ordering::SeqCst), 3, "it does not run again after success");
}

#[test]
fn only_the_work_takes_a_thread() {
    let (server, tried) = failing(1);
    let begin = || {
        let (head, _) = ask("GET", "/vgi/health").into_parts();
        server.endpoint.begin(head, RequestOrigin { now: START, ..RequestOrigin::default() })
    };
    for status in [500, 200] {
        let mut transaction = begin();
        let RequestStep::Work(work) = transaction.poll(START, Waker::noop()) else {
            panic!("it is not started")
        };
        assert!(matches!(transaction.poll(START, Waker::noop()), RequestStep::Waiting));
        transaction.complete(work.run(&|| START)).unwrap();
        let RequestStep::Answer(answer) = transaction.poll(START, Waker::noop()) else {
            panic!("{transaction:?}")
        };
        assert_eq!(answer.response.status(), status);
        assert!(matches!(transaction.poll(START, Waker::noop()), RequestStep::Over));
    }
    assert_eq!(tried.load(Ordering::SeqCst), 2);
    assert!(matches!(begin().poll(START, Waker::noop()), RequestStep::Answer(_)), "it is started");
}

#[test]
fn start_up_work_that_is_lost_is_told_of_and_done_by_the_next_request() {
    let (server, tried) = failing(0);
    let (head, _) = ask("GET", "/vgi/health").into_parts();
    let mut transaction =
        server.endpoint.begin(head, RequestOrigin { now: START, ..RequestOrigin::default() });
    let RequestStep::Work(work) = transaction.poll(START, Waker::noop()) else { panic!("it is not started") };
    drop(work);
    transaction.lose_work();
    let RequestStep::Answer(answer) = transaction.poll(START, Waker::noop()) else {
        panic!("{transaction:?}")
    };
    assert_eq!((answer.response.status().as_u16(), tried.load(Ordering::SeqCst)), (500, 0));
    assert_eq!(server.send(nothing()).status, 200);
}

#[test]
fn a_panic_is_a_failure() {
    let tried = AtomicUsize::new(0);
    let protocol = Protocol::new("test.Start.v1")
        .on_serve_start(move |_| match tried.fetch_add(1, Ordering::SeqCst) {
            0 => std::panic::panic_any("on purpose, at the start"),
            _ => Ok(()),
        })
        .method(Method::new("nothing").unary(|_, _| Ok(())));
    let server = serve(Service::builder("server-1").protocol(protocol).build().unwrap(), |builder| builder);
    assert_eq!(server.send(nothing()).status, 500);
    assert_eq!(server.send(nothing()).status, 200);
}

#[test]
fn work_is_done_once_for_each_transport_however_they_take_turns() {
    let done = Arc::new(Mutex::new(Vec::new()));
    let noted = done.clone();
    let protocol = Protocol::new("test.Start.v1").on_serve_start(move |transport| {
        noted.lock().unwrap().push(transport);
        Ok(())
    });
    let service = Service::builder("server-1").protocol(protocol).build().unwrap();
    for transport in [TransportKind::Http, TransportKind::Unix, TransportKind::Http, TransportKind::Unix] {
        service.start(transport).unwrap();
    }
    assert_eq!(*done.lock().unwrap(), [TransportKind::Http, TransportKind::Unix]);
}

#[test]
fn work_is_done_once() {
    let (server, tried) = failing(0);
    (0..3).for_each(|_| assert_eq!(server.send(nothing()).status, 200));
    assert_eq!(tried.load(Ordering::SeqCst), 1);
}
