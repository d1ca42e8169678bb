//! Concurrent calls of one sticky session: they run one after the other, and no call waits for another session's. The sticky
//! sessions specification, section 5.

use crate::ask::*;
use crate::common::batches::*;
use crate::serve::*;
use arrow_schema::DataType;
use bytes::Bytes;
use http::Request;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use vgi_rpc_protocol::http::Sticky;
use vgi_rpc_protocol::service::{Method, Protocol, Service};
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::error::{RpcError, kind};

const HELD: &str = "test.Held.v1";
/// How long a test waits for a certain event before it fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server whose method `hold` signals that it runs, and continues when it is released.
struct Held {
    server: Server,
    entered: Receiver<()>,
    go_on: Sender<()>,
}

fn held() -> Held {
    held_with(|_| ())
}

fn held_with(set: impl FnOnce(&mut Sticky)) -> Held {
    let mut sticky = Sticky::default();
    set(&mut sticky);
    let (says_entered, entered) = channel();
    let (go_on, told_to_go_on) = channel();
    let told_to_go_on: Arc<Mutex<Receiver<()>>> = Arc::new(Mutex::new(told_to_go_on));
    let lost = || RpcError::runtime_error("no session");
    let integer = |name: &str| Method::new(name).returns(DataType::Int64);
    let protocol = Protocol::new(HELD).methods([
        integer("open").unary(|_, context| context.open_session(0_i64, None).map(|()| 0_i64)),
        integer("increment").unary(move |_, context| {
            let count = context.session::<i64>().ok_or_else(lost)?;
            let seen = *count;
            // Lets any thread run that could interfere.
            thread::yield_now();
            *count = seen + 1;
            Ok(*count)
        }),
        integer("hold").unary(move |_, context| {
            says_entered.send(()).map_err(|_| lost())?;
            told_to_go_on.lock().unwrap().recv_timeout(PATIENCE).map_err(|_| lost())?;
            context.session::<i64>().copied().ok_or_else(lost)
        }),
    ]);
    let service = Service::builder("server-1").protocol(protocol).build().unwrap();
    let server = serve(service, |builder| builder.sticky(sticky));
    Held { server, entered, go_on }
}

impl Held {
    fn open(&self) -> String {
        let request = call_of(HELD, "open", "", no_columns(1)).with("vgi-session-accept", "true");
        self.server.send(request).header("vgi-session").unwrap().to_owned()
    }
}

fn within(token: &str, method: &str) -> Request<Bytes> {
    call_of(HELD, method, "", no_columns(1)).with("vgi-session", token)
}

#[test]
fn calls_of_one_session_run_one_after_the_other() {
    const THREADS: i64 = 8;
    const CALLS: i64 = 50;
    let Held { server, .. } = &held();
    let token = held_open(server);
    let mut counts: Vec<i64> = thread::scope(|scope| {
        let call = || -> Vec<i64> {
            (0..CALLS).map(|_| server.send(within(&token, "increment")).integer()).collect()
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(call)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    counts.sort_unstable();
    assert_eq!(counts, (1..=THREADS * CALLS).collect::<Vec<_>>(), "each saw the previous count");
}

fn held_open(server: &Server) -> String {
    let request = call_of(HELD, "open", "", no_columns(1)).with("vgi-session-accept", "true");
    server.send(request).header("vgi-session").unwrap().to_owned()
}

#[test]
fn a_busy_session_holds_up_no_other_and_no_call_without_one() {
    let held = held();
    let (busy, free) = (held.open(), held.open());
    let server = held.server.clone();
    thread::scope(|scope| {
        let running = scope.spawn(|| server.send(within(&busy, "hold")));
        held.entered.recv_timeout(PATIENCE).unwrap();
        assert_eq!(held.server.send(within(&free, "increment")).integer(), 1);
        assert_eq!(held.server.send(ask("GET", "/vgi/health")).status, 200);
        held.open();
        held.server.endpoint.expire_sessions(START + Duration::from_secs(1));
        held.go_on.send(()).unwrap();
        assert_eq!(running.join().unwrap().integer(), 0);
    });
}

#[test]
fn a_call_too_many_for_a_busy_session_is_refused_and_takes_no_thread() {
    let held = held_with(|sticky| sticky.max_waiting = 0);
    let token = held.open();
    let server = held.server.clone();
    thread::scope(|scope| {
        let running = scope.spawn(|| server.send(within(&token, "hold")));
        held.entered.recv_timeout(PATIENCE).unwrap();
        let error = held.server.send(within(&token, "increment")).error();
        assert_eq!(error.code(), Code::ResourceExhausted, "{error:?}");
        let ending = ask("DELETE", "/vgi/__session__").with("vgi-session", &token);
        assert_eq!(held.server.send(ending).status, 503);
        held.go_on.send(()).unwrap();
        assert_eq!(running.join().unwrap().integer(), 0);
    });
    assert_eq!(held.server.send(within(&token, "increment")).integer(), 1, "it still exists");
}

#[test]
fn a_teardown_waits_for_the_call_that_runs() {
    let held = held();
    let token = held.open();
    let server = held.server.clone();
    thread::scope(|scope| {
        let running = scope.spawn(|| server.send(within(&token, "hold")));
        held.entered.recv_timeout(PATIENCE).unwrap();
        let ending =
            scope.spawn(|| server.send(ask("DELETE", "/vgi/__session__").with("vgi-session", &token)).status);
        held.go_on.send(()).unwrap();
        assert_eq!(running.join().unwrap().integer(), 0, "the call kept its value");
        assert_eq!(ending.join().unwrap(), 204);
    });
    assert_eq!(held.server.endpoint.session_count(), 0);
}

#[test]
fn a_call_that_waits_for_a_session_that_ends_finds_it_lost() {
    let held = held();
    let token = held.open();
    let server = held.server.clone();
    thread::scope(|scope| {
        let running = scope.spawn(|| server.send(within(&token, "hold")));
        held.entered.recv_timeout(PATIENCE).unwrap();
        let waiting = scope.spawn(|| server.send(within(&token, "increment")));
        held.server.endpoint.shut_down();
        let error = waiting.join().unwrap().error();
        assert!(error.is_kind(kind::SESSION_LOST), "{error:?}");
        assert_eq!(held.server.endpoint.session_count(), 0);
        held.go_on.send(()).unwrap();
        assert_eq!(running.join().unwrap().integer(), 0, "its holder keeps it to the end");
    });
}

#[test]
fn an_expired_session_ends_for_others_while_a_call_has_it() {
    let held = held();
    let token = held.open();
    let server = held.server.clone();
    thread::scope(|scope| {
        let running = scope.spawn(|| server.send(within(&token, "hold")));
        held.entered.recv_timeout(PATIENCE).unwrap();
        let late = held.server.after(Duration::from_secs(300));
        let error = late.send(within(&token, "increment")).error();
        assert!(error.is_kind(kind::SESSION_LOST), "{error:?}");
        held.go_on.send(()).unwrap();
        assert_eq!(running.join().unwrap().integer(), 0);
        late.endpoint.expire_sessions(late.now);
        assert_eq!(late.endpoint.session_count(), 0);
    });
}
