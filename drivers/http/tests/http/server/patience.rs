//! Slow, silent and vanishing clients are disconnected, and do not delay other clients.

use super::client::{Client, echo, greet, head, length, post, wait, zeros};
use super::{Calls, Running, until};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Short enough to wait for. No test depends on anything finishing within it.
const TIMEOUT: Duration = Duration::from_millis(300);
/// The server's clock counts whole milliseconds.
const TICK: Duration = Duration::from_millis(1);

/// Sends a byte from time to time, until it is dropped.
struct Dripping(Arc<AtomicBool>, Option<thread::JoinHandle<()>>);

impl Dripping {
    fn on(client: &Client) -> Self {
        let (mut socket, over) = (client.writer(), Arc::new(AtomicBool::new(false)));
        let until_over = over.clone();
        let thread = thread::spawn(move || {
            while !until_over.load(Ordering::Acquire) && socket.write_all(b"a").is_ok() {
                thread::sleep(TIMEOUT / 20);
            }
        });
        Self(over, Some(thread))
    }
}

impl Drop for Dripping {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
        if let Some(thread) = self.1.take() {
            let _ = thread.join();
        }
    }
}

/// Asserts a response of 408 and the end, and not before the timeout.
#[track_caller]
fn expect_timeout(client: &mut Client, began: Instant) {
    let answer = client.answer();
    assert!(began.elapsed() + TICK >= TIMEOUT, "timed out after {:?}", began.elapsed());
    assert_eq!(answer.status, 408);
    assert!(answer.closes());
    client.expect_end();
}

#[test]
fn a_head_that_comes_too_slowly_is_given_up() {
    let running = Running::new(&Calls::default().server().head_timeout(Some(TIMEOUT)));
    let mut others = running.connect();
    for drips in [false, true] {
        let mut client = running.connect();
        // The timeout applies to the head, not to the age of its connection.
        client.greet("in time");
        let began = Instant::now();
        client.send("POST /anything HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
        let _dripping = drips.then(|| Dripping::on(&client));
        others.greet("meanwhile");
        expect_timeout(&mut client, began);
    }
    others.greet("after");
}

#[test]
fn a_body_that_stalls_is_given_up() {
    let calls = Calls::default();
    let running = Running::new(&calls.server().body_timeout(Some(TIMEOUT)));
    // A small body is read before its head is parsed, a large one after.
    for call in [greet("slow"), echo(&[7; 300_000])] {
        for sent in [0, call.body.len() / 2] {
            let mut client = running.connect();
            let began = Instant::now();
            client.send(head(&call, "1.1", &[&length(&call)]));
            client.send(&call.body[..sent]);
            expect_timeout(&mut client, began);
        }
    }
    assert_eq!(calls.made(), 0);
    running.connect().greet("after");
}

#[test]
fn a_body_that_drips_is_given_up() {
    let calls = Calls::default();
    let running = Running::new(&calls.server().whole_body_timeout(Some(TIMEOUT)));
    for body in [1000, 300_000] {
        let mut client = running.connect();
        let began = Instant::now();
        client.send(head(&greet("slow"), "1.1", &[&format!("Content-Length: {body}")]));
        let _dripping = Dripping::on(&client);
        expect_timeout(&mut client, began);
    }
    assert_eq!(calls.made(), 0);
}

#[test]
fn idle_connections_are_closed_without_a_word() {
    let running = Running::new(&Calls::default().server().idle_timeout(Some(TIMEOUT)));
    let began = Instant::now();
    let mut silent = running.connect();
    let mut client = running.connect();
    client.greet("once");
    silent.expect_end();
    assert!(began.elapsed() + TICK >= TIMEOUT, "closed after {:?}", began.elapsed());
    client.expect_end();
    running.until_empty();
}

#[test]
fn a_client_that_does_not_read_stalls_itself_and_takes_bounded_memory() {
    const REQUESTS: usize = 120;
    const LENGTH: i64 = 1 << 20;
    /// More than the system buffers of both sides hold.
    const MOST: usize = 64;
    let calls = Calls::default();
    let running = Running::new(&calls.server());
    let mut reluctant = running.connect();
    let mut writer = reluctant.writer();
    let requests: Vec<u8> = (0..REQUESTS).flat_map(|_| post(&zeros(LENGTH))).collect();
    let writing = thread::spawn(move || writer.write_all(&requests).unwrap());
    until("its first requests are answered", || calls.made() > 0);

    let mut others = running.connect();
    let (mut made, mut unchanged, mut greeted) = (0, 0, 0);
    until("nothing more is done for it", || {
        others.greet("meanwhile");
        greeted += 1;
        let now = calls.made() - greeted;
        unchanged = if now == made { unchanged + 1 } else { 0 };
        made = now;
        unchanged > 50
    });
    assert!(made <= MOST, "{made} responses were made for a client that reads none");

    for _ in 0..REQUESTS {
        assert_eq!(reluctant.answer().binary(), vec![0; LENGTH as usize]);
    }
    writing.join().unwrap();
    assert_eq!(calls.made() - greeted, REQUESTS);
}

#[test]
fn a_client_that_never_reads_is_given_up() {
    let running = Running::new(&Calls::default().server().write_timeout(Some(TIMEOUT)));
    let mut client = running.connect();
    client.send(post(&zeros(64 << 20)));
    until("it is connected", || running.handle.connections() == 1);
    running.until_empty();
    drop(client);
}

#[test]
fn clients_that_vanish_in_the_middle_of_a_request_leave_nothing() {
    let calls = Calls::default();
    let running = Running::new(&calls.server());
    for call in [greet("nobody"), echo(&[7; 300_000])] {
        let request = post(&call);
        for cut in 0..20 {
            running.connect().send(&request[..cut * request.len() / 20]);
        }
    }
    let mut others = running.connect();
    others.greet("after");
    drop(others);
    running.until_empty();
    assert_eq!(calls.made(), 1);
}

#[test]
fn clients_that_vanish_in_the_middle_of_an_answer_leave_nothing() {
    let calls = Calls::default();
    let running = Running::new(&calls.server());
    for read in [0, 1, 1000, 1_000_000] {
        let mut client = running.connect();
        client.send(post(&zeros(16 << 20)));
        assert_eq!(client.head().status, 200);
        client.read(read);
    }
    let mut client = running.connect();
    client.send(post(&wait()));
    calls.wait_for(1);
    drop(client);
    running.connect().greet("while a handler answers nobody");
    calls.open_gate();
    running.until_empty();
}

#[test]
fn handlers_that_take_long_delay_nobody_else() {
    const SLOW: usize = 8;
    let calls = Calls::default();
    let running = Running::new(&calls.server());
    let mut slow: Vec<_> = (0..SLOW).map(|_| running.connect()).collect();
    slow.iter_mut().for_each(|client| client.send(post(&wait())));
    calls.wait_for(SLOW);
    // None of these ends before the rest of the test.
    let mut others = running.connect();
    for _ in 0..50 {
        others.greet("meanwhile");
        running.connect().greet("newly connected");
    }
    calls.open_gate();
    for client in &mut slow {
        assert_eq!(client.answer().string(), "at last");
    }
}

#[test]
fn when_every_thread_is_at_work_requests_wait_and_all_else_goes_on() {
    let calls = Calls::default();
    let running = Running::new(&calls.server().threads(1).head_timeout(Some(TIMEOUT)));
    let mut slow = running.connect();
    slow.send(post(&wait()));
    calls.wait_for(1);
    let mut waiting = running.connect();
    waiting.send(post(&greet("patient")));
    // Requests that need no handler are still answered.
    let mut malformed = running.connect();
    assert_eq!(malformed.call("GARBAGE\r\n\r\n").status, 400);
    malformed.expect_end();
    let mut loris = running.connect();
    let began = Instant::now();
    loris.send("GET / HTT");
    expect_timeout(&mut loris, began);
    assert_eq!(calls.made(), 1);
    calls.open_gate();
    assert_eq!(slow.answer().string(), "at last");
    assert_eq!(waiting.answer().string(), "Hello, patient!");
}

#[test]
fn connections_beyond_the_limit_wait_until_another_closes() {
    let calls = Calls::default();
    let running = Running::new(&calls.server().max_connections(2));
    let (mut one, mut two) = (running.connect(), running.connect());
    one.greet("one");
    two.greet("two");
    let mut three = running.connect();
    three.send(post(&greet("three")));
    three.expect_silence(TIMEOUT);
    assert_eq!((running.handle.connections(), calls.made()), (2, 2));
    two.greet("two, again");
    drop(one);
    assert_eq!(three.answer().string(), "Hello, three!");
    two.greet("two, still");
}
