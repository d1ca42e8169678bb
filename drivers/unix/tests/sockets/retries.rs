//! Retried calls on a byte-stream connection: only those that the server refused for now.

use crate::common::{PATIENCE, Running, nothing, numbers, remote, row, socket_path};
use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::DataType;
use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use vgi_rpc_protocol::service::{Idempotency, Method, Producer, Protocol, Service, Stream, Turn};
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::detail::RetryInfo;
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_unix::{CallError, Client, RetryPolicy, SocketServer};

/// How often the handlers ran, and how many of those runs fail.
#[derive(Clone, Default)]
struct Runs {
    made: Arc<AtomicUsize>,
    failing: Arc<AtomicUsize>,
}

impl Runs {
    /// Fails if the handler should fail.
    fn run(&self, delay: Duration) -> Result<(), RpcError> {
        self.made.fetch_add(1, Ordering::AcqRel);
        match self.failing.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)) {
            Ok(_) => Err(RpcError::status(Code::Unavailable, "not now").with_detail(RetryInfo::after(delay))),
            Err(_) => Ok(()),
        }
    }

    /// Makes this many next runs fail.
    fn fail(&self, runs: usize) {
        self.failing.store(runs, Ordering::Release);
    }

    fn made(&self) -> usize {
        self.made.swap(0, Ordering::AcqRel)
    }
}

/// Two batches, the second of which fails according to the runs.
#[derive(Serialize, Deserialize)]
struct Second {
    at: i64,
    #[serde(skip)]
    runs: Runs,
}

impl Producer for Second {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        self.at += 1;
        match self.at {
            3 => return turn.finish(),
            2 => self.runs.run(Duration::ZERO)?,
            _ => {}
        }
        turn.emit_columns(vec![Arc::new(Int64Array::from(vec![self.at]))])
    }
}

fn service(runs: &Runs) -> Arc<Service> {
    let of = |name: &str, idempotency, delay| {
        let runs = runs.clone();
        Method::new(name).idempotency(idempotency).unary(move |_, _| runs.run(delay))
    };
    let (opening, turn) = (runs.clone(), runs.clone());
    let protocol = Protocol::new("test.Unix.v1").methods([
        of("idempotent", Idempotency::Idempotent, Duration::ZERO),
        of("unknown", Idempotency::Unknown, Duration::ZERO),
        of("patient", Idempotency::NoSideEffects, Duration::from_millis(300)),
        Method::new("open")
            .idempotency(Idempotency::Idempotent)
            .header(numbers())
            .output(numbers())
            .producer(move |_, _| {
                opening.run(Duration::ZERO)?;
                Ok(Stream::new(Second { at: 9, runs: Runs::default() }).with_header(number()))
            }),
        Method::new("turn")
            .param("from", DataType::Int64)
            .idempotency(Idempotency::Idempotent)
            .output(numbers())
            .producer(move |args, _| Ok(Stream::new(Second { at: args.get("from")?, runs: turn.clone() }))),
    ]);
    Arc::new(Service::builder("retries00000").protocol(protocol).build().unwrap())
}

fn number() -> RecordBatch {
    row("n", Arc::new(Int64Array::from(vec![7])))
}

fn policy() -> RetryPolicy {
    RetryPolicy::default().first_delay(Duration::from_millis(1))
}

/// Runs a test with a client on a unix socket and one on a TCP socket.
fn on_sockets(test: impl Fn(Client, &Runs)) {
    let runs = Runs::default();
    let server = SocketServer::new(service(&runs));
    for running in [Running::unix(&server), Running::tcp(&server)] {
        test(running.connect(), &runs);
    }
}

fn call(client: &mut Client, method: &str) -> Result<(), CallError> {
    client.unary(&remote().method(method), &nothing()).map(drop)
}

#[test]
fn nothing_is_retried_unless_asked_for() {
    on_sockets(|mut client, runs| {
        runs.fail(1);
        call(&mut client, "idempotent").unwrap_err();
        assert_eq!(runs.made(), 1);
        call(&mut client, "idempotent").unwrap();
        assert_eq!(runs.made(), 1);
    });
}

#[test]
fn what_the_server_declares_idempotent_is_made_again_on_the_same_connection() {
    on_sockets(|client, runs| {
        let mut client = client.retry(policy());
        runs.fail(2);
        call(&mut client, "idempotent").unwrap();
        assert_eq!(runs.made(), 3);
        runs.fail(9);
        let error = call(&mut client, "idempotent").unwrap_err();
        assert!(matches!(&error, CallError::Rpc(error) if error.code() == Code::Unavailable), "{error}");
        assert_eq!(runs.made(), 3);
        runs.fail(1);
        let begun = Instant::now();
        call(&mut client, "patient").unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(300));
        assert_eq!(runs.made(), 2);
    });
}

#[test]
fn a_call_that_may_have_had_an_effect_is_not_made_again() {
    on_sockets(|client, runs| {
        let mut client = client.retry(policy());
        runs.fail(1);
        call(&mut client, "unknown").unwrap_err();
        assert_eq!(runs.made(), 1);
        // The caller may override it, either way.
        runs.fail(1);
        client.unary(&remote().method("unknown").idempotent(true), &nothing()).unwrap();
        assert_eq!(runs.made(), 2);
        runs.fail(1);
        client.unary(&remote().method("idempotent").idempotent(false), &nothing()).unwrap_err();
        assert_eq!(runs.made(), 1);
    });
}

#[test]
fn the_opening_of_a_stream_is_made_again_and_its_turns_are_not() {
    on_sockets(|client, runs| {
        let mut client = client.retry(policy());
        let remote = remote();
        runs.fail(2);
        let stream = client.stream(&remote.method("open").with_header(), &nothing()).unwrap();
        assert_eq!(stream.header(), Some(&number()));
        drop(stream);
        assert_eq!(runs.made(), 3);
        // The first batch has arrived, or the first turn itself fails.
        for from in [0, 1] {
            runs.fail(1);
            let from = row("from", Arc::new(Int64Array::from(vec![from])));
            let batches: Vec<_> = client.stream(&remote.method("turn"), &from).unwrap().collect();
            assert!(matches!(batches.last(), Some(Err(CallError::Rpc(_)))), "{batches:?}");
            assert_eq!(runs.made(), 1);
        }
        call(&mut client, "idempotent").unwrap();
        assert_eq!(runs.made(), 1);
    });
}

/// A client keeps its connection: to use another one, an application connects again.
#[test]
fn a_connection_that_was_lost_is_not_made_again() {
    let path = socket_path();
    let listener = UnixListener::bind(&path).unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut client =
        vgi_rpc_unix::connect_unix(&path).unwrap().check_kinds(false).retry(policy().attempts(9));
    let (mut socket, _) = listener.accept().unwrap();
    socket.set_nonblocking(false).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let reader = thread::spawn(move || {
        let mut request = [0; 64];
        assert!(socket.read(&mut request).unwrap() > 0);
    });
    let called = remote();
    let called = called.method("idempotent").idempotent(true);
    let error = client.unary(&called, &nothing()).unwrap_err();
    let CallError::Transport(error) = error else { panic!("{error}") };
    assert!(error.may_have_reached_server() && !error.client_is_usable(), "{error}");
    reader.join().unwrap();
    client.unary(&called, &nothing()).unwrap_err();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "it did not connect again");
    std::fs::remove_file(path).unwrap();
}
