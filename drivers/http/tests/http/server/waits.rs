//! Requests that wait, for effects and for sticky sessions, on a server that has one thread for handlers.

use super::asking::{Gates, LIMIT, as_whom, authenticated, plain, session, within};
#[cfg(target_os = "linux")]
use super::process::alone;
use super::{PATIENCE, Running, until};
use std::thread;
use std::time::{Duration, Instant};
use vgi_rpc_http::Ended;

/// Short enough to wait for.
const TIMEOUT: Duration = Duration::from_millis(300);

#[test]
fn a_request_that_waits_for_an_effect_keeps_no_thread() {
    let gates = Gates::default();
    let running = Running::new(&gates.server(gates.endpoint()));
    let mut waiting = running.connect();
    waiting.send(plain("gated"));
    gates.effects.wait_for(1);
    let mut other = running.connect();
    for _ in 0..20 {
        assert_eq!(other.call(plain("who")).string(), "");
        assert_eq!(running.connect().call(plain("who")).string(), "");
    }
    assert!(!waiting.has_input());
    gates.effects.open_gate();
    assert_eq!(waiting.answer().number(), 2);
    assert_eq!(waiting.call(plain("asked")).number(), 1);
}

#[test]
fn a_request_that_waits_for_a_session_keeps_no_thread() {
    let gates = Gates::default();
    // The handler that holds the session occupies one of them, and the requests that wait for it none.
    let running = Running::new(&gates.server(gates.endpoint()).threads(2));
    let mut first = running.connect();
    let session = session(&mut first);
    first.send(within(&session, "hold"));
    gates.handlers.wait_for(1);
    let mut waiting: Vec<_> = (0..8).map(|_| running.connect()).collect();
    waiting.iter_mut().for_each(|client| client.send(within(&session, "count")));
    for _ in 0..20 {
        assert_eq!(running.connect().call(plain("who")).string(), "");
    }
    assert!(waiting.iter().all(|client| !client.has_input()));
    gates.handlers.open_gate();
    assert_eq!(first.answer().number(), 1);
    let mut counts: Vec<_> = waiting.iter_mut().map(|client| client.answer().number()).collect();
    counts.sort_unstable();
    assert_eq!(counts, [2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn with_one_thread_a_session_that_is_waited_for_is_no_deadlock() {
    let gates = Gates::default();
    let running = Running::new(&gates.server(gates.endpoint()));
    let (mut first, mut second, mut third) = (running.connect(), running.connect(), running.connect());
    let session = session(&mut first);
    first.send(within(&session, "hold"));
    gates.handlers.wait_for(1);
    second.send(within(&session, "count"));
    third.send(plain("gated"));
    // Requests that need no handler are answered although its one thread is busy.
    assert_eq!(running.connect().call("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 200);
    gates.handlers.open_gate();
    assert_eq!(first.answer().number(), 1);
    assert_eq!(second.answer().number(), 2);
    gates.effects.open_gate();
    assert_eq!(third.answer().number(), 2);
}

#[test]
fn the_effects_of_one_request_are_not_anothers() {
    let gates = Gates::default();
    let running = Running::new(&gates.server(authenticated(gates.endpoint())));
    let mut client = running.connect();
    // Two questions each; every request numbers its own from the beginning.
    for _ in 0..5 {
        for name in ["ann", "bob"] {
            assert_eq!(client.call(as_whom("who", name)).string(), name);
            assert_eq!(client.call(as_whom("asked", name)).number(), 1);
        }
    }
    // Pipelined.
    let names: Vec<_> = (0..20).map(|number| format!("n{number}")).collect();
    client.send(names.iter().flat_map(|name| as_whom("who", name)).collect::<Vec<_>>());
    for name in &names {
        assert_eq!(&client.answer().string(), name);
    }
}

#[test]
fn an_effect_that_ends_late_does_not_reach_the_next_request() {
    let gates = Gates::default();
    let running = Running::new(&gates.server(authenticated(gates.endpoint())));
    let mut client = running.connect();
    client.send(as_whom("who", "slow ann"));
    gates.effects.wait_for(1);
    let began = Instant::now();
    let late = client.answer();
    assert!(began.elapsed() < PATIENCE && late.status == 503, "{} after {LIMIT:?}", late.status);
    assert!(late.field("retry-after").is_some());
    assert!(!late.closes());
    // The same number refers to this request's question, which waits for the thread that performs the other.
    client.send(as_whom("who", "bob"));
    gates.effects.open_gate();
    let answer = client.answer();
    // It may also have timed out, but never gets the other's response.
    assert!(answer.status == 503 || answer.string() == "bob");
    assert_eq!(client.call(as_whom("who", "bob")).string(), "bob");
}

#[test]
fn requests_behind_one_that_waits_are_answered_after_it() {
    let gates = Gates::default();
    let running = Running::new(&gates.server(gates.endpoint()));
    for sends_eof in [false, true] {
        let mut client = running.connect();
        client.send([plain("gated"), plain("who"), plain("asked"), plain("who")].concat());
        if sends_eof {
            client.half_close();
        }
        gates.effects.wait_for(1);
        assert!(sends_eof || !client.has_input());
        gates.effects.open_gate();
        assert_eq!(client.answer().number(), 2);
        assert_eq!(client.answer().string(), "");
        assert_eq!(client.answer().number(), 1);
        assert_eq!(client.answer().string(), "");
        if sends_eof {
            client.expect_end();
        }
    }
}

#[test]
fn a_request_that_waits_too_long_is_answered_with_503() {
    let gates = Gates::default();
    let server = gates.server(gates.endpoint()).threads(2).waiting_timeout(Some(TIMEOUT));
    let running = Running::new(&server);
    let mut holder = running.connect();
    let session = session(&mut holder);
    holder.send(within(&session, "hold"));
    gates.handlers.wait_for(1);
    for request in [plain("gated"), within(&session, "count")] {
        let mut client = running.connect();
        let began = Instant::now();
        client.send(request);
        let answer = client.answer();
        assert_eq!(answer.status, 503);
        assert_eq!(answer.field("retry-after"), Some("1"));
        assert!(answer.closes() && began.elapsed() + Duration::from_millis(1) >= TIMEOUT);
        client.expect_end();
    }
    gates.handlers.open_gate();
    assert_eq!(holder.answer().number(), 1);
    assert_eq!(running.connect().call(within(&session, "count")).number(), 2, "the other left the queue");
    gates.effects.open_gate();
}

#[test]
fn a_drain_waits_for_requests_that_wait() {
    let gates = Gates::default();
    let running = Running::new(&gates.server(gates.endpoint()));
    let (mut holder, mut waits, mut asks) = (running.connect(), running.connect(), running.connect());
    let session = session(&mut holder);
    asks.send(plain("gated"));
    gates.effects.wait_for(1);
    holder.send(within(&session, "hold"));
    gates.handlers.wait_for(1);
    waits.send(within(&session, "count"));
    // The connection is idle until the server has read it.
    thread::sleep(Duration::from_millis(200));
    running.handle.drain(PATIENCE);
    waits.expect_silence(Duration::from_millis(50));
    gates.handlers.open_gate();
    for (client, number) in [(&mut holder, 1), (&mut waits, 2)] {
        let answer = client.answer();
        assert!(answer.closes());
        assert_eq!(answer.number(), number);
        client.expect_end();
    }
    gates.effects.open_gate();
    let answer = asks.answer();
    assert!(answer.closes() && answer.number() == 2);
    asks.expect_end();
    assert!(matches!(running.join(), Ended::Drained));
}

#[test]
fn a_client_that_hangs_up_gives_its_place_in_the_queue_up() {
    for resets in [true, false] {
        let gates = Gates::default();
        let running = Running::new(&gates.server(gates.endpoint()));
        let (mut holder, mut leaves, mut next) = (running.connect(), running.connect(), running.connect());
        let session = session(&mut holder);
        holder.send(within(&session, "hold"));
        gates.handlers.wait_for(1);
        leaves.send(within(&session, "count"));
        // Fixes the order of the queue.
        thread::sleep(Duration::from_millis(100));
        next.send(within(&session, "count"));
        thread::sleep(Duration::from_millis(100));
        assert_eq!(running.handle.connections(), 3);
        if resets {
            leaves.reset();
            until("it is gone", || running.handle.connections() == 2);
        } else {
            // The client may have closed only one side, so the request is served.
            drop(leaves);
        }
        gates.handlers.open_gate();
        assert_eq!(holder.answer().number(), 1);
        assert_eq!(next.answer().number(), if resets { 2 } else { 3 });
        assert_eq!(next.call(within(&session, "count")).number(), if resets { 3 } else { 4 });
    }
}

#[test]
fn a_client_that_hangs_up_while_its_handler_holds_the_session_gives_it_back() {
    let gates = Gates::default();
    let running = Running::new(&gates.server(gates.endpoint()));
    let (mut holder, mut next) = (running.connect(), running.connect());
    let session = session(&mut holder);
    holder.send(within(&session, "hold"));
    gates.handlers.wait_for(1);
    next.send(within(&session, "count"));
    holder.reset();
    until("it is gone", || running.handle.connections() == 1);
    next.expect_silence(Duration::from_millis(50));
    gates.handlers.open_gate();
    assert_eq!(next.answer().number(), 2, "after the handler, which ran to its end");
}

#[test]
fn logs_come_with_the_answer() {
    let gates = Gates::default();
    let running = Running::new(&gates.server(gates.endpoint()));
    let mut client = running.connect();
    client.send(plain("talk"));
    gates.handlers.wait_for(1);
    client.expect_silence(Duration::from_millis(50));
    gates.handlers.open_gate();
    let answer = client.answer();
    let body = String::from_utf8_lossy(&answer.body);
    let places = ["before the gate", "behind the gate"].map(|log| body.find(log));
    assert!(places[0].is_some() && places[0] < places[1], "{places:?}");
}

/// Processor time of this process, in ticks of 10 ms.
#[cfg(target_os = "linux")]
fn processor_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn requests_that_wait_use_no_processor() {
    alone("server::waits::requests_that_wait_use_no_processor", || {
        let gates = Gates::default();
        let running = Running::new(&gates.server(gates.endpoint()));
        let mut holder = running.connect();
        let session = session(&mut holder);
        let mut waiting: Vec<_> = (0..50).map(|_| running.connect()).collect();
        waiting.iter_mut().for_each(|client| client.send(plain("gated")));
        gates.effects.wait_for(1);
        thread::sleep(Duration::from_millis(200));
        holder.send(within(&session, "hold"));
        gates.handlers.wait_for(1);
        let mut queued: Vec<_> = (0..10).map(|_| running.connect()).collect();
        queued.iter_mut().for_each(|client| client.send(within(&session, "count")));
        thread::sleep(Duration::from_millis(200));
        until("a second passes in which nothing is done", || {
            let ticks = processor_ticks();
            thread::sleep(Duration::from_secs(1));
            processor_ticks() - ticks <= 2
        });
        gates.effects.open_gate();
        gates.handlers.open_gate();
        waiting.iter_mut().for_each(|client| assert_eq!(client.answer().number(), 2));
        queued.iter_mut().for_each(|client| assert!(client.answer().number() > 1));
    });
}
