//! A server at its limit on connections: which ones it closes, which ones it keeps, and that callers are eventually
//! served.

use crate::lines::{PATIENCE, World};
use crate::running::{Client, Running, options, until};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};
use vgi_rpc_reactor::{Address, GiveWay, Listener, Options, Reactor, Timeout};

/// Long enough for a connection to be closed if it may be.
const A_WHILE: Duration = Duration::from_millis(1500);
/// How long a connection must be idle before it may be closed.
const GRACE: Duration = Duration::from_secs(1);

fn room_for(connections: usize, give_way: GiveWay) -> Options {
    let mut options = options(|timeouts| timeouts.fresh = Timeout::NEVER);
    options.max_connections = connections;
    options.give_way = give_way;
    options
}

/// Connects, and waits until the server has accepted this many connections.
fn connected(running: &Running, count: usize) -> Client {
    let client = running.connect();
    until("it is accepted", || running.handle.connections() == count);
    client
}

#[test]
fn silent_connections_keep_no_caller_out() {
    let running = Running::new(room_for(100, GiveWay::Silent));
    let mut silent: Vec<_> = (1..=100).map(|count| connected(&running, count)).collect();
    let began = Instant::now();
    assert_eq!(running.connect().ask("echo served"), "served\n");
    assert!(began.elapsed() < GRACE, "served after {:?}", began.elapsed());
    // Only the oldest one was closed.
    assert_eq!(silent.remove(0).rest(), "");
    silent.iter_mut().for_each(|client| assert_eq!(client.ask("echo on"), "on\n"));
}

#[test]
fn a_server_that_has_just_filled_up_closes_no_connection() {
    let running = Running::new(room_for(2, GiveWay::Idle));
    let mut silent = connected(&running, 1);
    let mut idle = connected(&running, 2);
    assert_eq!(idle.ask("echo one"), "one\n");
    thread::sleep(A_WHILE);
    assert_eq!(silent.ask("echo first"), "first\n");
    assert_eq!(idle.ask("echo two"), "two\n");
}

/// A server with this capacity that does not run yet. Callers wait in its backlog.
struct Waiting(Reactor<World>);

impl Waiting {
    fn with_room_for(connections: usize) -> Self {
        let options = room_for(connections, GiveWay::Silent);
        Self(Reactor::new(Listener::tcp("0").unwrap(), World::default(), options).unwrap())
    }

    /// Returns a caller that has sent this.
    fn caller(&self, sent: &str) -> Client {
        let Address::Tcp(address) = *self.0.address() else { panic!("expected an address") };
        let mut client = Client::of(TcpStream::connect(address).unwrap());
        client.send(sent);
        client
    }

    fn run(self) -> Running {
        Running::of(self.0)
    }
}

#[test]
fn what_was_sent_is_answered_before_its_connection_could_give_way() {
    let waiting = Waiting::with_room_for(1);
    let callers: Vec<_> = (0..50).map(|number| waiting.caller(&format!("echo {number}\n"))).collect();
    let _running = waiting.run();
    for (number, mut client) in callers.into_iter().enumerate() {
        assert_eq!(client.line(), format!("{number}\n"));
    }
}

#[test]
fn a_connection_that_was_asked_to_give_way_and_is_at_work_keeps_no_other_from_being_asked() {
    let waiting = Waiting::with_room_for(2);
    // The oldest is checked first, and its request takes long.
    let mut at_work = waiting.caller("wait\n");
    let mut silent = waiting.caller("");
    let mut caller = waiting.caller("echo served\n");
    let (running, began) = (waiting.run(), Instant::now());
    assert_eq!(caller.line(), "served\n");
    assert_eq!(silent.rest(), "");
    assert!(began.elapsed() < PATIENCE / 2, "not only after the work timed out");
    running.world.gate.open();
    assert_eq!(at_work.line(), "waited\n");
}

#[test]
fn connections_that_have_spoken_stay_unless_idle_ones_may_go() {
    let running = Running::new(room_for(2, GiveWay::Silent));
    let mut first = connected(&running, 1);
    assert_eq!(first.ask("echo first"), "first\n");
    let mut second = connected(&running, 2);
    assert_eq!(second.ask("echo second"), "second\n");
    let mut third = running.connect();
    third.send("echo third\n");
    third.expect_silence(A_WHILE);
    assert_eq!(first.ask("echo still"), "still\n");
    drop(second);
    assert_eq!(third.line(), "third\n");
}

#[test]
fn the_longest_idle_connection_gives_way_and_not_before_a_second() {
    let running = Running::new(room_for(2, GiveWay::Idle));
    let mut first = connected(&running, 1);
    assert_eq!(first.ask("echo first"), "first\n");
    let mut second = connected(&running, 2);
    assert_eq!(second.ask("echo second"), "second\n");
    // The server's clock counts milliseconds.
    thread::sleep(Duration::from_millis(20));
    let began = Instant::now();
    assert_eq!(first.ask("echo first"), "first\n");
    let mut third = running.connect();
    assert_eq!(third.ask("echo third"), "third\n");
    assert!(began.elapsed() + Duration::from_millis(50) >= GRACE, "served after {:?}", began.elapsed());
    assert_eq!(second.rest(), "");
    assert_eq!(first.ask("echo still"), "still\n");
}

#[test]
fn connections_in_the_middle_of_something_do_not_give_way() {
    let mut options = room_for(4, GiveWay::Silent);
    options.timeouts.output = Timeout::NEVER;
    let running = Running::new(options);
    let mut head = connected(&running, 1);
    head.send("ec");
    let mut body = connected(&running, 2);
    body.send("body 3\nab");
    let mut at_work = connected(&running, 3);
    at_work.send("wait\n");
    running.world.gate.wait_for(1);
    let mut deaf = connected(&running, 4);
    deaf.send("flood 20000\n");
    let mut waiting = running.connect();
    waiting.send("echo at last\n");
    waiting.expect_silence(A_WHILE);
    head.send("ho head\n");
    assert_eq!(head.line(), "head\n");
    body.send("c");
    assert_eq!(body.line(), "3 294\n");
    assert_eq!(deaf.line().len(), 20_000 * 1024 + 1);
    running.world.gate.open();
    assert_eq!(at_work.line(), "waited\n");
    drop(head);
    assert_eq!(waiting.line(), "at last\n");
}

#[test]
fn requests_that_have_stopped_give_way_where_idle_connections_do() {
    let running = Running::new(room_for(3, GiveWay::Idle));
    let mut at_work = connected(&running, 1);
    at_work.send("wait\n");
    running.world.gate.wait_for(1);
    let mut head = connected(&running, 2);
    head.send("ec");
    let mut body = connected(&running, 3);
    body.send("body 3\nab");
    for number in ["one", "two"] {
        let mut waiting = running.connect();
        waiting.send(format!("echo {number}\n"));
        assert_eq!(waiting.line(), format!("{number}\n"), "a second after the others have stopped");
        // It is busy until both have been closed.
        waiting.send("ec");
    }
    running.world.gate.open();
    assert_eq!(at_work.line(), "waited\n", "a busy connection is kept");
}

#[test]
fn where_none_gives_way_new_connections_wait() {
    let running = Running::new(room_for(1, GiveWay::Never));
    let mut silent = connected(&running, 1);
    let mut waiting = running.connect();
    waiting.send("echo at last\n");
    waiting.expect_silence(A_WHILE);
    assert_eq!(silent.ask("echo first"), "first\n");
    drop(silent);
    assert_eq!(waiting.line(), "at last\n");
}

#[test]
#[cfg(target_os = "linux")]
fn the_address_with_the_most_connections_loses_its_oldest() {
    let [small, large, caller] = [2, 3, 4].map(|last| Ipv4Addr::new(127, 0, 0, last));
    let running = Running::new(room_for(6, GiveWay::Silent));
    let connected = |address, count| {
        let client = running.connect_from(address);
        until("it is accepted", || running.handle.connections() == count);
        client
    };
    // The first is the oldest of all, and its address has few.
    let mut few: Vec<_> = (1..=2).map(|count| connected(small, count)).collect();
    let mut many: Vec<_> = (3..=6).map(|count| connected(large, count)).collect();
    let mut callers: Vec<_> = (0..2).map(|_| running.connect_from(caller)).collect();
    callers.iter_mut().for_each(|client| assert_eq!(client.ask("echo served"), "served\n"));
    assert_eq!(many.remove(0).rest(), "");
    assert_eq!(many.remove(0).rest(), "");
    for client in few.iter_mut().chain(&mut many) {
        assert_eq!(client.ask("echo on"), "on\n");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn silent_connections_that_come_without_end_keep_no_caller_out() {
    let running = Running::new(room_for(20, GiveWay::Silent));
    let flood = thread::spawn({
        let Address::Tcp(address) = running.address else { panic!("expected an address") };
        let handle = running.handle.clone();
        move || {
            let mut held = Vec::new();
            while handle.connections() > 0 && held.len() < 5000 {
                held.extend(TcpStream::connect(address));
                if held.len() % 200 == 0 {
                    held.drain(..100);
                }
            }
        }
    });
    for _ in 0..50 {
        // From another address, whose few connections are kept.
        assert_eq!(running.connect_from(Ipv4Addr::new(127, 0, 0, 2)).ask("echo served"), "served\n");
    }
    running.handle.stop();
    flood.join().unwrap();
}

#[test]
fn a_connection_that_never_says_anything_is_closed_in_silence() {
    let timeout = Duration::from_millis(300);
    let running = Running::new(options(|timeouts| {
        timeouts.fresh = Timeout { no_progress: None, whole: Some(timeout) }
    }));
    let mut spoken = running.connect();
    assert_eq!(spoken.ask("echo one"), "one\n");
    let began = Instant::now();
    let mut silent = running.connect();
    assert_eq!(silent.rest(), "");
    assert!(began.elapsed() + Duration::from_millis(1) >= timeout, "closed after {:?}", began.elapsed());
    thread::sleep(timeout * 2);
    assert_eq!(spoken.ask("echo two"), "two\n");
}

#[test]
fn timeouts_beyond_what_a_clock_can_express_never_pass() {
    let most = Timeout::new(Duration::MAX, Duration::MAX);
    let mut options = options(|timeouts| {
        let each = [
            &mut timeouts.fresh,
            &mut timeouts.idle,
            &mut timeouts.head,
            &mut timeouts.body,
            &mut timeouts.stream,
            &mut timeouts.waiting,
            &mut timeouts.output,
            &mut timeouts.close,
        ];
        each.into_iter().for_each(|timeout| *timeout = most);
    });
    options.idle_timeout = Some(Duration::MAX);
    let running = Running::new(options);
    let mut client = running.connect();
    assert_eq!(client.ask("echo one"), "one\n");
    thread::sleep(Duration::from_millis(600));
    client.send("body 3\nab");
    thread::sleep(Duration::from_millis(600));
    client.send("c");
    assert_eq!(client.line(), "3 294\n");
    drop(client);
    until("it is gone", || running.handle.connections() == 0);
    running.handle.drain(Duration::MAX);
    running.join();
}

#[test]
fn a_server_has_a_thread_before_it_runs() {
    let bound = Reactor::new(Listener::tcp("0").unwrap(), World::default(), Options::default()).unwrap();
    let handle = bound.handle();
    assert_eq!(handle.threads(), 1);
    let Address::Tcp(address) = bound.address().clone() else { panic!("expected an address") };
    let mut client = Client::of(TcpStream::connect(address).unwrap());
    client.send("echo early\n");
    client.expect_silence(Duration::from_millis(100));
    assert_eq!(handle.connections(), 0);
    drop(bound);
    until("its thread ends", || handle.threads() == 0);
}
