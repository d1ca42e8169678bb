//! How a server starts, what it survives, and how it ends.

use crate::common::process::alone;
use crate::common::*;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::{Duration, Instant};
use vgi_rpc_unix::{Address, CallError, Ended, ServerGone, SocketFileError, SocketServer, SocketServerError};

fn server() -> SocketServer {
    SocketServer::new(service(&Gate::default()))
}

#[test]
fn a_socket_file_is_private_and_goes_with_its_server() {
    let bound = server().bind_unix(socket_path()).unwrap();
    let Address::Unix(path) = bound.address().clone() else { panic!() };
    assert_eq!(bound.address().to_string(), format!("UNIX:{}", path.display()));
    assert_eq!(fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    drop(bound);
    assert!(!path.exists());

    let running = Running::unix(&server());
    let path = running.path();
    greet(&mut running.connect(), "world").unwrap();
    running.handle.stop();
    assert_eq!(running.join(), Ended::Stopped);
    assert!(!path.exists());
}

#[test]
fn a_socket_file_that_is_another_ones_stays() {
    let running = Running::unix(&server());
    let path = running.path();
    fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    running.handle.stop();
    running.join();
    assert!(path.exists());
    drop(other);
    fs::remove_file(path).unwrap();
}

#[test]
fn a_stale_socket_is_replaced_and_anything_else_is_refused() {
    let path = socket_path();
    drop(UnixListener::bind(&path).unwrap());
    assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket());
    let bound = server().bind_unix(&path).unwrap();
    let taken = server().bind_unix(&path);
    assert!(matches!(taken, Err(SocketServerError::SocketFile(SocketFileError::InUse(_)))), "{taken:?}");
    drop(bound);

    fs::write(&path, "precious").unwrap();
    let refused = server().bind_unix(&path);
    assert!(
        matches!(refused, Err(SocketServerError::SocketFile(SocketFileError::NotASocket(_)))),
        "{refused:?}"
    );
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    fs::remove_file(&path).unwrap();

    let target = socket_path();
    std::os::unix::fs::symlink(&target, &path).unwrap();
    let refused = server().bind_unix(&path);
    assert!(
        matches!(refused, Err(SocketServerError::SocketFile(SocketFileError::NotASocket(_)))),
        "{refused:?}"
    );
    fs::remove_file(&path).unwrap();

    let absent = server().bind_unix("/nonexistent/folder/socket");
    assert!(matches!(absent, Err(SocketServerError::SocketFile(SocketFileError::Io { .. }))), "{absent:?}");
    let long = server().bind_unix(format!("/tmp/{}", "long".repeat(100)));
    assert!(matches!(long, Err(SocketServerError::SocketFile(SocketFileError::Io { .. }))), "{long:?}");
}

#[test]
fn tcp_addresses_are_resolved_and_reported() {
    for address in ["0", "127.0.0.1:0", "localhost:0"] {
        let running = Running::tcp(&server());
        let bound = server().bind_tcp(address).unwrap();
        let text = bound.address().to_string();
        assert!(text.starts_with("TCP:127.0.0.1:") || text.starts_with("TCP:::1:"), "{text}");
        let Address::Tcp(taken) = running.address else { panic!() };
        assert!(matches!(server().bind_tcp(&taken.to_string()), Err(SocketServerError::Bind { .. })));
    }
    assert!(matches!(server().bind_tcp("no port"), Err(SocketServerError::Bind { .. })));
}

#[test]
fn rude_clients_cost_nothing_after_they_are_gone() {
    let running = Running::unix(&server());
    let request = echo_request(100_000);
    for length in [0, 1, 8, 100, request.len() / 2, request.len() - 1, request.len()] {
        running.raw().write_all(&request[..length]).unwrap();
        let mut half = running.raw();
        half.write_all(&request[..length]).unwrap();
        half.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        half.read_to_end(&mut answer).unwrap();
        assert_eq!(answer.is_empty(), length == 0);
        let is_told = String::from_utf8_lossy(&answer).contains("closed the connection in the middle of");
        assert_eq!(is_told, length > 0 && length < request.len());
    }
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xff; 4096],
        &[0; 1 << 20],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
    ] {
        let mut socket = running.raw();
        // The server may close before it has read everything.
        let _ = socket.write_all(garbage);
        let _ = socket.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
    }
    let mut polite = running.connect();
    until("only the polite client is left", || running.handle.connections() == 1);
    greet(&mut polite, "still there").unwrap();
}

#[test]
fn a_peer_that_breaks_the_protocol_is_told() {
    let running = Running::tcp(&server());
    let Address::Tcp(address) = running.address else { panic!() };
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    assert!(!answer.is_empty(), "expected an error stream");
    // It keeps its side open, but is closed.
    until("the connection is closed", || running.handle.connections() == 0);
}

#[test]
fn connections_over_the_most_wait_in_the_backlog() {
    let running = Running::unix(&server().max_connections(2));
    let mut first = running.connect();
    let mut second = running.connect();
    greet(&mut first, "first").unwrap();
    // It has made a request, so it is not closed to make room.
    greet(&mut second, "second").unwrap();
    until("two are accepted", || running.handle.connections() == 2);
    let mut third = running.connect();
    let waiting = thread::spawn(move || greet(&mut third, "third").map(|answer| (answer, Instant::now())));
    for _ in 0..100 {
        greet(&mut first, "first").unwrap();
        assert!(!waiting.is_finished() && running.handle.connections() == 2);
    }
    let closed = Instant::now();
    drop(second);
    let (answer, answered) = waiting.join().unwrap().unwrap();
    assert_eq!(answer, "Hello, third!");
    assert!(answered >= closed);
}

#[test]
fn one_at_a_time_serves_all_in_turn() {
    let running = Running::unix(&server().threaded(false));
    let clients: Vec<_> = (0..20).map(|_| running.connect()).collect();
    thread::scope(|scope| {
        for mut client in clients {
            scope.spawn(move || greet(&mut client, "world").unwrap());
        }
        until("at most one at a time", || {
            assert!(running.handle.connections() <= 1);
            running.handle.connections() == 1
        });
    });
}

#[test]
fn an_idle_server_ends_only_without_connections() {
    let timeout = Duration::from_millis(300);
    let running = Running::unix(&server().idle_timeout(Some(timeout)));
    let path = running.path();
    // The first connection has a longer timeout.
    thread::sleep(timeout * 2);
    let mut client = running.connect();
    greet(&mut client, "world").unwrap();
    thread::sleep(timeout * 2);
    greet(&mut client, "still").unwrap();
    let closed = Instant::now();
    drop(client);
    assert_eq!(running.join(), Ended::Idle);
    assert!(closed.elapsed() >= timeout);
    assert!(!path.exists());
}

#[test]
fn a_drain_lets_calls_end_and_closes_the_rest() {
    let gate = Gate::default();
    let running = Running::unix(&SocketServer::new(service(&gate)));
    let mut idle = running.connect();
    greet(&mut idle, "idle").unwrap();
    let mut busy = running.connect();
    let call = thread::spawn(move || call(&mut busy, "wait").map(drop));
    gate.wait_for(1);
    let path = running.path();
    running.handle.drain(PATIENCE);
    until("the idle connection is closed", || running.handle.connections() == 1);
    assert_eq!(greet(&mut idle, "late").unwrap_err().transport_cause(), Some(&ServerGone));
    assert!(!path.exists());
    assert!(std::os::unix::net::UnixStream::connect(&path).is_err());
    gate.open();
    call.join().unwrap().unwrap();
    assert_eq!(running.join(), Ended::Drained);
}

#[test]
fn a_drain_ends_at_its_deadline() {
    let gate = Gate::default();
    let running = Running::unix(&SocketServer::new(service(&gate)));
    let mut busy = running.connect();
    let call = thread::spawn(move || call(&mut busy, "wait").map(drop));
    gate.wait_for(1);
    running.handle.drain(Duration::from_millis(200));
    assert_eq!(running.join(), Ended::DrainTimedOut);
    assert_eq!(call.join().unwrap().unwrap_err().transport_cause(), Some(&ServerGone));
    gate.open();
}

#[test]
fn a_stop_waits_for_no_handler() {
    let gate = Gate::default();
    let running = Running::unix(&SocketServer::new(service(&gate)));
    let mut busy = running.connect();
    let call = thread::spawn(move || call(&mut busy, "wait").map(drop));
    gate.wait_for(1);
    let began = Instant::now();
    running.handle.stop();
    assert_eq!(running.join(), Ended::Stopped);
    assert!(began.elapsed() < Duration::from_secs(1));
    assert!(call.join().unwrap().is_err());
    gate.open();
}

#[test]
fn a_signal_ends_a_server_and_removes_the_file() {
    alone("lifecycle::a_signal_ends_a_server_and_removes_the_file", || {
        // Calls that end in time are answered.
        let gate = Gate::default();
        let running = Running::unix(&SocketServer::new(service(&gate)).end_on_signals(true));
        let (path, mut busy) = (running.path(), running.connect());
        let answered = thread::spawn(move || call(&mut busy, "wait").map(drop));
        gate.wait_for(1);
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM).unwrap();
        gate.open();
        assert_eq!(running.join(), Ended::Drained);
        assert!(!path.exists());
        answered.join().unwrap().unwrap();

        let gate = Gate::default();
        let server = SocketServer::new(service(&gate)).threads(1).end_on_signals(true);
        let running = Running::unix(&server.drain_timeout(Duration::ZERO));
        let path = running.path();
        let mut busy = running.connect();
        let call = thread::spawn(move || call(&mut busy, "wait").map(drop));
        // The only thread is in a handler.
        gate.wait_for(1);
        let began = Instant::now();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM).unwrap();
        assert_eq!(running.join(), Ended::Signal);
        assert!(began.elapsed() < Duration::from_secs(1));
        assert!(!path.exists());
        gate.open();
        assert!(call.join().unwrap().is_err());
    });
}

#[test]
fn a_connect_times_out_when_nobody_accepts() {
    let path = socket_path();
    let bound = server().bind_unix(&path).unwrap();
    // Bound but not running: connections wait in the backlog.
    let options = vgi_rpc_unix::SocketOptions::default().read_timeout(Duration::from_millis(100));
    let mut client = options.unix(&path).unwrap();
    match greet(&mut client, "nobody") {
        Err(CallError::Transport(error)) => assert_eq!(error.io_kind(), Some(ErrorKind::TimedOut)),
        other => panic!("expected a timeout, got {other:?}"),
    }
    drop(bound);
}

#[test]
fn every_call_is_in_the_access_log_before_it_is_answered() {
    let path = socket_path().with_extension("log");
    let log = vgi_rpc_access_log::Options::new(&path).open().unwrap();
    let running = Running::unix(&server().access_log(log));
    // The query for kinds would add a line.
    let mut clients: Vec<_> = (0..4).map(|_| running.connect().check_kinds(false)).collect();
    let lines = || fs::read_to_string(&path).unwrap().lines().count();
    for round in 0..5 {
        for (number, client) in clients.iter_mut().enumerate() {
            greet(client, "world").unwrap();
            assert_eq!(lines(), round * 4 + number + 1);
        }
    }
    assert!(call(&mut clients[0], "panic").is_err());
    assert_eq!(lines(), 21);
    fs::remove_file(path).unwrap();
}

#[test]
fn start_up_work_that_fails_is_an_error() {
    use vgi_rpc_protocol::service::{Method, Protocol, Service};
    use vgi_rpc_protocol::wire::error::RpcError;
    let protocol = Protocol::new("test.Unix.v1")
        .method(Method::new("nothing").unary(|_, _| Ok(())))
        .on_serve_start(|_| Err(RpcError::runtime_error("as asked")));
    let service = Service::builder("unix00000000").protocol(protocol).build().unwrap();
    let bound = SocketServer::new(service.into()).bind_unix(socket_path()).unwrap();
    assert!(matches!(bound.run(), Err(SocketServerError::Start(_))));
}
