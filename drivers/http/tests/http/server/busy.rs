//! Responses while all threads are busy, and which clients are served at the limit on connections.

use super::client::{Answer, Client, greet, post, wait};
use super::{Calls, PROTOCOL, Running, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use vgi_rpc_effects::Performer;
use vgi_rpc_http::client::HttpOptions;
use vgi_rpc_http::{HttpServer, system_entropy};
use vgi_rpc_protocol::effect::{Completion, Question, Request};
use vgi_rpc_protocol::http::Endpoint;
use vgi_rpc_protocol::http::auth::AuthRequest;
use vgi_rpc_protocol::service::{AuthContext, Method, Protocol, Service};
use vgi_rpc_protocol::wire::error::RpcError;

/// Short enough to wait for. No test depends on anything finishing within it.
const A_WHILE: Duration = Duration::from_millis(300);

fn ask(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn health(client: &mut Client) -> Answer {
    client.call(ask("GET", "/health"))
}

/// Returns a server whose threads, this many, are all in handlers.
fn busy(calls: &Calls, server: &HttpServer, threads: usize) -> (Running, Vec<Client>) {
    let running = Running::new(server);
    assert_eq!(health(&mut running.connect()).status, 200, "it has started");
    let mut at_work: Vec<_> = (0..threads).map(|_| running.connect()).collect();
    at_work.iter_mut().for_each(|client| client.send(post(&wait())));
    calls.wait_for(threads);
    (running, at_work)
}

#[test]
fn what_needs_no_handler_is_answered_while_every_thread_is_in_one() {
    let calls = Calls::default();
    let (running, mut at_work) = busy(&calls, &calls.server(), 64);
    let mut patient = running.connect();
    patient.send(post(&greet("patient")));
    let mut client = running.connect();
    let method = format!("/{PROTOCOL}/greet");
    let unknown = format!("/{PROTOCOL}/unknown");
    for (request, status) in [
        (("GET", "/health"), 200),
        (("OPTIONS", "/health"), 200),
        (("OPTIONS", &method[..]), 200),
        (("GET", "/"), 200),
        (("GET", "/describe"), 200),
        (("GET", "/nothing"), 404),
        (("POST", &unknown[..]), 404),
        (("GET", &method[..]), 405),
        (("POST", &method[..]), 415),
        (("GET", "/.well-known/anything"), 404),
        // New connections are still accepted.
        (("GET", "/health"), 200),
    ] {
        assert_eq!(client.call(ask(request.0, request.1)).status, status, "{request:?}");
        assert_eq!(running.connect().call(ask(request.0, request.1)).status, status, "{request:?}");
    }
    patient.expect_silence(A_WHILE);
    assert_eq!(calls.made(), 64);
    calls.open_gate();
    assert_eq!(patient.answer().string(), "Hello, patient!");
    at_work.iter_mut().for_each(|client| assert_eq!(client.answer().string(), "at last"));
}

#[test]
fn many_requests_of_one_client_delay_no_other() {
    const REQUESTS: usize = 3000;
    let calls = Calls::default();
    let (running, _at_work) = busy(&calls, &calls.server().threads(1), 1);
    let mut greedy = running.connect();
    let mut writer = greedy.writer();
    let writing = thread::spawn(move || {
        let requests = ask("GET", "/health").repeat(REQUESTS);
        std::io::Write::write_all(&mut writer, requests.as_bytes()).unwrap();
    });
    for _ in 0..20 {
        assert_eq!(health(&mut running.connect()).status, 200);
    }
    for _ in 0..REQUESTS {
        assert_eq!(greedy.answer().status, 200);
    }
    writing.join().unwrap();
    calls.open_gate();
}

/// The authenticator's question.
struct WhoIsThis;

#[test]
fn an_authenticator_that_asks_takes_no_handlers_thread_and_delays_only_its_own_requests() {
    let calls = Calls::default();
    let asked = Arc::new(AtomicUsize::new(0));
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let counted = asked.clone();
    let endpoint = calls.endpoint().authenticate(move |request: &AuthRequest<'_>| {
        request.ask("who", || Question::new(WhoIsThis))?;
        Ok(AuthContext::anonymous())
    });
    let performer = Performer::new(move |request: &Request| {
        let Request::Question(question) = request else { panic!("{request:?}") };
        assert!(question.payload::<WhoIsThis>().is_some());
        counted.fetch_add(1, Ordering::AcqRel);
        let _ = released.lock().unwrap().recv();
        Completion::value(())
    });
    let server = HttpServer::new(endpoint.build().unwrap()).threads(1).effects(performer.threads(1));
    let running = Running::new(&server);
    let mut client = running.connect();
    assert_eq!(health(&mut client).status, 200);
    let mut first = running.connect();
    first.send(ask("GET", "/"));
    until("the question is asked", || asked.load(Ordering::Acquire) == 1);
    let mut second = running.connect();
    second.send(ask("GET", "/nothing"));
    for (method, path, status) in [
        ("GET", "/health", 200),
        ("HEAD", "/health", 200),
        ("OPTIONS", "/", 200),
        ("GET", "/.well-known/x", 404),
    ] {
        client.send(ask(method, path));
        assert_eq!(client.head().status, status, "{method} {path}");
        client = running.connect();
    }
    second.expect_silence(A_WHILE);
    assert_eq!(asked.load(Ordering::Acquire), 1);
    drop(release);
    assert_eq!(first.answer().status, 200);
    assert_eq!(second.answer().status, 404);
    assert_eq!(asked.load(Ordering::Acquire), 2);
}

/// Returns a server with this start-up work, and the number of reported failures.
fn starting(work: impl Fn() -> Result<(), RpcError> + Send + Sync + 'static) -> (Running, Arc<AtomicUsize>) {
    let protocol = Protocol::new(PROTOCOL)
        .method(Method::new("nothing").unary(|_, _| Ok(())))
        .on_serve_start(move |_| work());
    let service = Arc::new(Service::builder("test-server").protocol(protocol).build().unwrap());
    let failures = Arc::new(AtomicUsize::new(0));
    let counted = failures.clone();
    let server = HttpServer::new(Endpoint::builder(service, system_entropy).build().unwrap());
    let server = server.on_start_failure(move |error| {
        assert_eq!(error.message(), "as asked");
        counted.fetch_add(1, Ordering::AcqRel);
    });
    (Running::new(&server), failures)
}

#[test]
fn a_start_that_fails_is_an_error_everywhere() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = attempts.clone();
    let (running, failures) = starting(move || match counted.fetch_add(1, Ordering::AcqRel) {
        0..5 => Err(RpcError::runtime_error("as asked")),
        _ => Ok(()),
    });
    for (method, path) in [
        ("GET", "/health"),
        ("OPTIONS", "/health"),
        ("GET", "/"),
        ("GET", "/nothing"),
        ("GET", "/.well-known/x"),
    ] {
        assert_eq!(running.connect().call(ask(method, path)).status, 500, "{method} {path}");
    }
    for _ in 0..3 {
        assert_eq!(health(&mut running.connect()).status, 200);
    }
    assert_eq!((attempts.load(Ordering::Acquire), failures.load(Ordering::Acquire)), (6, 5));
}

#[test]
fn a_start_that_waits_holds_up_no_thread_that_polls() {
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let (running, _) = starting(move || {
        let _ = released.lock().unwrap().recv();
        Ok(())
    });
    let mut waiting = running.connect();
    waiting.send(ask("GET", "/health"));
    let mut malformed = running.connect();
    assert_eq!(malformed.call("GARBAGE\r\n\r\n").status, 400);
    waiting.expect_silence(A_WHILE);
    drop(release);
    assert_eq!(waiting.answer().status, 200);
}

#[test]
fn silent_and_idle_connections_give_way_to_new_ones() {
    let running = Running::new(&Calls::default().server().max_connections(3));
    let mut idle = running.connect();
    idle.greet("idle");
    thread::sleep(Duration::from_millis(20));
    let mut active = running.connect();
    active.greet("active");
    let mut silent = running.connect();
    until("all are accepted", || running.handle.connections() == 3);
    let began = Instant::now();
    let mut first = running.connect();
    first.greet("first");
    assert!(began.elapsed() < Duration::from_secs(1), "a silent connection is closed at once");
    silent.expect_end();

    let mut second = running.connect();
    second.send(post(&greet("second")));
    until("the idle one gives way", || {
        active.greet("active");
        first.greet("first");
        running.handle.connections() == 3 && second.has_input()
    });
    assert_eq!(second.answer().string(), "Hello, second!");
    idle.expect_end();
    active.greet("active");
}

#[test]
fn a_connection_that_never_sends_anything_is_closed() {
    let timeout = A_WHILE;
    let running = Running::new(&Calls::default().server().first_byte_timeout(Some(timeout)));
    let mut spoken = running.connect();
    spoken.greet("first");
    let began = Instant::now();
    let mut silent = running.connect();
    silent.expect_end();
    assert!(began.elapsed() + Duration::from_millis(1) >= timeout, "closed after {:?}", began.elapsed());
    thread::sleep(timeout);
    spoken.greet("second");
}

#[test]
fn timeouts_beyond_what_a_clock_can_express_never_pass() {
    let most = Some(Duration::MAX);
    let server = Calls::default()
        .server()
        .idle_timeout(most)
        .first_byte_timeout(most)
        .head_timeout(most)
        .body_timeout(most)
        .whole_body_timeout(most)
        .write_timeout(most);
    let running = Running::new(&server);
    let mut client = running.connect();
    for _ in 0..3 {
        client.greet("world");
        thread::sleep(A_WHILE);
    }
    let options = HttpOptions::default()
        .connect_timeout(Duration::MAX)
        .read_timeout(Duration::MAX)
        .call_timeout(Duration::MAX);
    let client = options.build(&format!("http://{}", running.address)).unwrap();
    client.capabilities().unwrap();
}
