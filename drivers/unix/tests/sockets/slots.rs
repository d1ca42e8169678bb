//! How many callers are served at a time, and which connections the server closes.

use crate::common::*;
use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};
use vgi_rpc_unix::{Client, SocketOptions, SocketServer};

fn server() -> SocketServer {
    SocketServer::new(service(&Gate::default()))
}

fn is_open(socket: &mut UnixStream) -> bool {
    socket.set_nonblocking(true).unwrap();
    let read = socket.read(&mut [0]);
    socket.set_nonblocking(false).unwrap();
    matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn more_callers_than_sixty_four_are_at_work_at_a_time() {
    const CALLERS: usize = 100;
    let gate = Gate::default();
    let running = Running::unix(&SocketServer::new(service(&gate)));
    let mut clients: Vec<Client> = (0..CALLERS).map(|_| running.connect()).collect();
    thread::scope(|scope| {
        clients.iter_mut().for_each(|client| {
            scope.spawn(|| call(client, "wait").unwrap());
        });
        gate.wait_for(CALLERS);
        greet(&mut running.connect(), "meanwhile").unwrap();
        gate.open();
    });
}

#[test]
fn a_hundred_silent_connections_keep_no_caller_out() {
    let running = Running::unix(&server().max_connections(100));
    let mut silent: Vec<UnixStream> = (0..100).map(|_| running.raw()).collect();
    until("all are accepted", || running.handle.connections() == 100);
    greet(&mut running.connect(), "world").unwrap();
    assert_eq!(silent.remove(0).read(&mut [0]).unwrap(), 0);
    assert!(silent.iter_mut().all(is_open));
}

#[test]
fn clients_that_have_spoken_stay_however_many_wait() {
    let running = Running::unix(&server().max_connections(8));
    let mut clients: Vec<Client> = (0..8).map(|_| running.connect()).collect();
    clients.iter_mut().for_each(|client| drop(greet(client, "before").unwrap()));
    let waiting: Vec<UnixStream> = (0..20).map(|_| running.raw()).collect();
    thread::sleep(Duration::from_millis(1500));
    clients.iter_mut().for_each(|client| drop(greet(client, "after").unwrap()));
    drop(waiting);
}

#[test]
fn one_at_a_time_a_silent_connection_keeps_its_turn() {
    let running = Running::unix(&server().threaded(false));
    let mut first = running.connect();
    until("it is accepted", || running.handle.connections() == 1);
    let mut second = running.connect();
    let waiting = thread::spawn(move || greet(&mut second, "second").map(|_| Instant::now()));
    thread::sleep(Duration::from_millis(1500));
    greet(&mut first, "first").unwrap();
    let closed = Instant::now();
    drop(first);
    assert!(waiting.join().unwrap().unwrap() >= closed);
}

#[test]
fn a_connection_may_be_silent_or_idle_for_as_long_as_is_set() {
    let timeout = Duration::from_millis(400);
    let running = Running::unix(&server().first_byte_timeout(Some(timeout)));
    let began = Instant::now();
    let mut spoken = running.connect();
    greet(&mut spoken, "world").unwrap();
    assert_eq!(running.raw().read(&mut [0]).unwrap(), 0);
    assert!(began.elapsed() >= timeout, "closed after {:?}", began.elapsed());
    thread::sleep(timeout);
    greet(&mut spoken, "still").unwrap();

    let running = Running::unix(&server().connection_idle_timeout(Some(timeout)));
    let mut spoken = running.connect();
    greet(&mut spoken, "world").unwrap();
    until("it is closed", || running.handle.connections() == 0);
    greet(&mut spoken, "late").unwrap_err();

    // Disabled for one connection after another, and enabled where it is set.
    let running = Running::unix(&server().threaded(false).first_byte_timeout(Some(timeout)));
    assert_eq!(running.raw().read(&mut [0]).unwrap(), 0);
}

#[test]
fn timeouts_beyond_what_a_clock_can_express_never_pass() {
    let most = Some(Duration::MAX);
    let server = server()
        .idle_timeout(most)
        .first_byte_timeout(most)
        .connection_idle_timeout(most)
        .message_timeout(most)
        .request_timeout(most)
        .stream_timeout(most)
        .write_timeout(most);
    let running = Running::unix(&server);
    let options = SocketOptions::default()
        .connect_timeout(Duration::MAX)
        .read_timeout(Duration::MAX)
        .call_timeout(Duration::MAX);
    let mut client = options.unix(running.path()).unwrap();
    for _ in 0..3 {
        greet(&mut client, "world").unwrap();
        thread::sleep(Duration::from_millis(300));
    }
    let running = Running::tcp(&server);
    let vgi_rpc_unix::Address::Tcp(address) = running.address else { panic!() };
    greet(&mut options.tcp(&address.to_string()).unwrap(), "world").unwrap();
}
