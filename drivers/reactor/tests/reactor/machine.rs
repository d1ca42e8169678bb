//! The event loop carries a protocol other than vgi-rpc: phases, timeouts, last output, and draining.

use crate::lines::PATIENCE;
use crate::running::{Running, options, until};
use std::io::{BufRead, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use vgi_rpc_reactor::{Ended, Listener, Timeout};

fn no_progress(millis: u64) -> Timeout {
    Timeout { no_progress: Some(Duration::from_millis(millis)), whole: None }
}

fn whole(millis: u64) -> Timeout {
    Timeout { no_progress: None, whole: Some(Duration::from_millis(millis)) }
}

#[test]
fn requests_are_answered_whole_in_pieces_and_ahead() {
    let running = Running::new(options(|_| {}));
    let mut client = running.connect();
    assert_eq!(client.ask("echo one"), "one\n");
    for byte in b"echo two\n" {
        client.send([*byte]);
    }
    assert_eq!(client.line(), "two\n");
    let ahead: String = (0..100).map(|number| format!("echo {number}\nbody 3\nabc")).collect();
    client.send(ahead);
    for number in 0..100 {
        assert_eq!(client.line(), format!("{number}\n"));
        assert_eq!(client.line(), "3 294\n");
    }
    assert_ne!(client.ask("seed"), running.connect().ask("seed"));
    assert_eq!(client.ask("quit"), "bye\n");
    assert_eq!(client.rest(), "");
}

#[cfg(unix)]
#[test]
fn machines_know_where_their_connection_comes_from() {
    let running = Running::new(options(|_| {}));
    let mut client = running.connect();
    let local = client.0.get_ref().local_addr().unwrap();
    assert_eq!(client.ask("origin"), format!("tcp {local}\n"));

    let path = std::env::temp_dir().join(format!("vgi-rpc-reactor-{}.sock", std::process::id()));
    let running = Running::on(Listener::unix(&path).unwrap(), options(|_| {}));
    let mut socket = std::os::unix::net::UnixStream::connect(&path).unwrap();
    socket.write_all(b"origin\nquit\n").unwrap();
    let mut said = String::new();
    socket.read_to_string(&mut said).unwrap();
    let pid = cfg!(target_os = "linux").then(std::process::id);
    assert_eq!(said, format!("unix {pid:?}\nbye\n"));
    drop(running);
    assert!(!path.exists());
}

#[test]
fn a_client_that_has_said_all_is_still_answered() {
    let running = Running::new(options(|_| {}));
    let mut client = running.connect();
    client.send("echo one\nwait\necho two\n");
    client.0.get_ref().shutdown(Shutdown::Write).unwrap();
    running.world.gate.wait_for(1);
    running.world.gate.open();
    assert_eq!(client.rest(), "one\nwaited\ntwo\n");

    // A request that can never be completed is not waited for.
    let mut client = running.connect();
    client.send("echo one\necho tw");
    client.0.get_ref().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.rest(), "one\n");
}

#[test]
fn large_bodies_and_answers_of_many_segments_pass_intact() {
    let running = Running::new(options(|_| {}));
    let mut client = running.connect();
    let body = vec![3; 20 << 20];
    client.send(format!("body {}\n", body.len()));
    client.send(&body);
    assert_eq!(client.line(), format!("{} {}\n", body.len(), body.len() * 3));
    let flood = client.ask("flood 5000");
    assert_eq!(flood.len(), 5000 * 1024 + 1);
    assert!(flood.trim_end().bytes().all(|byte| byte == b'x'));
}

#[test]
fn work_that_waits_delays_nobody() {
    let running = Running::new(options(|_| {}));
    let mut waiting: Vec<_> = (0..8).map(|_| running.connect()).collect();
    waiting.iter_mut().for_each(|client| client.send("wait\n"));
    running.world.gate.wait_for(8);
    let mut client = running.connect();
    for _ in 0..100 {
        assert_eq!(client.ask("echo quick"), "quick\n");
    }
    running.world.gate.open();
    waiting.iter_mut().for_each(|client| assert_eq!(client.line(), "waited\n"));
}

#[test]
fn when_no_thread_is_left_everything_but_work_goes_on() {
    let mut options = options(|_| {});
    options.threads = 1;
    // Often enough for the thread to return at any point of the concurrent steps.
    for _ in 0..50 {
        let running = Running::new(options.clone());
        let mut waiting = running.connect();
        waiting.send("wait\n");
        running.world.gate.wait_for(1);
        let mut client = running.connect();
        assert_eq!(client.ask("body 0"), "0 0\n");
        client.send("echo later\n");
        running.world.gate.open();
        assert_eq!(client.line(), "later\n");
        assert_eq!(waiting.line(), "waited\n");
    }
}

#[test]
fn an_idle_connection_releases_memory() {
    let running = Running::new(options(|_| {}));
    let mut client = running.connect();
    assert_eq!(client.ask("echo one"), "one\n");
    until("its memory is released", || running.world.released.load(Ordering::SeqCst) == 1);
    assert_eq!(client.ask("echo two"), "two\n");
    until("it is released again", || running.world.released.load(Ordering::SeqCst) == 2);
}

#[test]
fn an_idle_connection_is_closed_in_silence() {
    let timeout = Duration::from_secs(2);
    let idle = Timeout { no_progress: Some(timeout), whole: None };
    let running = Running::new(options(|timeouts| timeouts.idle = idle));
    let began = Instant::now();
    // A silent client has the same timeout as between two requests.
    let mut silent = running.connect();
    let mut client = running.connect();
    assert_eq!(client.ask("echo one"), "one\n");
    assert_eq!(client.rest(), "");
    assert_eq!(silent.rest(), "");
    assert!(began.elapsed() >= timeout, "closed after {:?}", began.elapsed());
}

#[test]
fn each_phase_has_its_own_timeout_and_a_last_word() {
    let running = Running::new(options(|timeouts| timeouts.body = no_progress(200)));
    let mut head = running.connect();
    head.send("echo o");
    let mut idle = running.connect();
    assert_eq!(idle.ask("echo idle"), "idle\n");
    let mut body = running.connect();
    body.send("body 10\nabc");
    assert_eq!(body.rest(), "timeout in Body\n");
    head.send("ne\n");
    assert_eq!(head.line(), "one\n");
    assert_eq!(idle.ask("echo idle"), "idle\n");

    let running = Running::new(options(|timeouts| timeouts.head = no_progress(200)));
    let mut body = running.connect();
    body.send("body 10\nabc");
    let mut head = running.connect();
    head.send("echo o");
    assert_eq!(head.rest(), "timeout in Head\n");
    body.send("abcdefg");
    assert!(body.line().starts_with("10 "));
}

#[test]
fn a_byte_now_and_then_is_no_way_around_the_whole_timeout() {
    let timeout = 500;
    let running = Running::new(options(|timeouts| timeouts.head = whole(timeout)));
    let mut client = running.connect();
    let socket = client.0.get_ref().try_clone().unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let began = Instant::now();
    let mut said = String::new();
    client.send("echo ");
    while began.elapsed() < PATIENCE {
        client.send("x");
        match client.0.read_line(&mut said) {
            Ok(_) => break,
            Err(error) => assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)),
        }
    }
    assert_eq!(said, "timeout in Head\n");
    assert!(began.elapsed() >= Duration::from_millis(timeout), "closed after {:?}", began.elapsed());
}

#[test]
fn the_whole_timeout_counts_for_each_request() {
    let timeout = Duration::from_millis(800);
    let running = Running::new(options(|timeouts| timeouts.body = whole(800)));
    let end = Instant::now() + PATIENCE;
    // The next body has always begun when this one is answered; only the responses distinguish them. If the test itself
    // is delayed long enough for a timeout to pass, it starts again.
    'anew: while Instant::now() < end {
        let mut client = running.connect();
        let (began, mut last) = (Instant::now(), Instant::now());
        client.send("body 2\nx");
        while began.elapsed() < timeout * 2 {
            let sent = client.0.get_mut().write_all(b"ybody 2\nx");
            let answer = sent.is_ok().then(|| client.line());
            if last.elapsed() > timeout / 2 {
                continue 'anew;
            }
            assert_eq!(answer, Some(format!("2 {}\n", u64::from(b'x') + u64::from(b'y'))));
            last = Instant::now();
        }
        return;
    }
    panic!("expected {timeout:?} without being delayed");
}

#[test]
fn a_refusal_reaches_a_peer_that_is_still_sending() {
    let running = Running::new(options(|_| {}));
    let mut client = running.connect();
    client.send(vec![b'x'; 4 << 20]);
    client.0.get_ref().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.rest(), "too long\n");
}

#[test]
fn a_peer_that_never_ends_sending_is_not_listened_to_for_ever() {
    let close = Timeout::new(PATIENCE, Duration::from_millis(300));
    let running = Running::new(options(|timeouts| timeouts.close = close));
    let mut client = running.connect();
    let began = Instant::now();
    let chunk = vec![b'x'; 64 << 10];
    while client.0.get_mut().write_all(&chunk).is_ok() {
        assert!(began.elapsed() < PATIENCE, "expected the connection to be closed");
    }
    until("the connection is gone", || running.handle.connections() == 0);
}

#[test]
fn a_peer_that_does_not_read_is_given_up() {
    let running = Running::new(options(|timeouts| timeouts.output = no_progress(300)));
    let mut deaf = running.connect();
    deaf.send("flood 100000\n");
    let mut client = running.connect();
    assert_eq!(client.ask("echo quick"), "quick\n");
    until("it is given up", || running.handle.connections() == 1);
    assert_eq!(client.ask("echo quick"), "quick\n");
}

#[test]
fn a_panic_costs_its_connection_and_nothing_else() {
    let mut options = options(|_| {});
    options.threads = 2;
    let running = Running::new(options);
    for _ in 0..4 {
        assert_eq!(running.connect().ask("panic"), "");
    }
    assert_eq!(running.connect().ask("echo on"), "on\n");
    let handle = running.handle.clone();
    handle.stop();
    assert_eq!(running.join(), Ended::Stopped);
    until("its threads end", || handle.threads() == 0);
}

#[test]
fn a_destructor_that_panics_costs_its_connection_and_nothing_else() {
    let mut options = options(|_| {});
    options.threads = 1;
    let running = Running::new(options);
    let left = running.connect();
    running.world.drops_panic.store(true, Ordering::SeqCst);
    for _ in 0..4 {
        assert_eq!(running.connect().ask("echo on"), "on\n");
        assert_eq!(running.connect().ask("quit"), "bye\n");
        // Dropped when its job ends; no client waits for it.
        running.connect().send("echo unread\n");
    }
    until("they are gone", || running.handle.connections() == 1);
    assert_eq!(running.connect().ask("echo on"), "on\n");
    assert_eq!(running.handle.threads(), 1);
    let handle = running.handle.clone();
    handle.stop();
    assert_eq!(running.join(), Ended::Stopped);
    until("its threads end", || handle.threads() == 0);
    drop(left);
}

#[test]
fn a_drain_answers_what_is_under_way() {
    let running = Running::new(options(|_| {}));
    let mut idle = running.connect();
    assert_eq!(idle.ask("echo idle"), "idle\n");
    let mut begun = running.connect();
    begun.send("body 3\nab");
    let mut waiting = running.connect();
    waiting.send("wait\n");
    running.world.gate.wait_for(1);
    running.handle.drain(PATIENCE);
    assert_eq!(idle.rest(), "");
    begun.send("c");
    assert_eq!(begun.rest(), "3 294 (last)\n");
    running.world.gate.open();
    assert_eq!(waiting.rest(), "waited (last)\n");
    assert_eq!(running.join(), Ended::Drained);
}

#[test]
fn a_drain_ends_at_its_deadline() {
    let running = Running::new(options(|_| {}));
    let mut begun = running.connect();
    assert_eq!(begun.ask("echo one"), "one\n");
    begun.send("body 3\nab");
    // Accepted, and within a request or about to begin one.
    until("it is served", || running.handle.connections() == 1);
    let mut waiting = running.connect();
    waiting.send("wait\n");
    running.world.gate.wait_for(1);
    running.handle.drain(Duration::from_millis(50));
    assert_eq!(running.join(), Ended::DrainTimedOut);
}
