//! Machines that wait for a wake-up: it is never lost, costs nothing until it happens, and has a timeout.

use crate::lines::{PATIENCE, Told};
use crate::running::{Client, Running, options, until};
use std::io::ErrorKind;
use std::net::Shutdown;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};
use vgi_rpc_reactor::{Ended, GiveWay, Listener, Timeout};

/// Returns a client that waits, and the handle that wakes it.
fn parked(running: &Running) -> (Client, Told) {
    let mut client = running.connect();
    client.send("park\n");
    until("it waits", || running.world.waits.count() > 0);
    (client, running.world.waits.pop().unwrap())
}

fn whole(timeout: Duration) -> Timeout {
    Timeout { no_progress: None, whole: Some(timeout) }
}

#[test]
fn another_thread_ends_a_wait() {
    let running = Running::new(options(|_| {}));
    let (mut client, told) = parked(&running);
    client.expect_silence(Duration::from_millis(50));
    thread::spawn(move || told.tell("woken")).join().unwrap();
    assert_eq!(client.line(), "woken\n");
    assert_eq!(client.ask("nudge"), "nudged\n");
    assert_eq!(client.ask("echo on"), "on\n");
}

#[test]
fn output_and_input_of_a_connection_that_waits_are_in_order() {
    let running = Running::new(options(|_| {}));
    let mut client = running.connect();
    client.send("echo one\npark\necho two\n");
    assert_eq!(client.line(), "one\n");
    until("it waits", || running.world.waits.count() == 1);
    client.send("echo three\n");
    client.0.get_ref().shutdown(Shutdown::Write).unwrap();
    client.expect_silence(Duration::from_millis(50));
    running.world.waits.pop().unwrap().tell("woken");
    assert_eq!(client.rest(), "woken\ntwo\nthree\n");
    assert_eq!(running.world.hung_up.load(Ordering::SeqCst), 0);
}

/// Wakes each machine, at once or a little later.
fn wake_all(tickets: Receiver<Told>, seed: u64) {
    let mut random = seed;
    for told in tickets {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let pause = match random >> 61 {
            0 | 1 => 0,
            2..=5 => random >> 32 & 0x3fff,
            _ => random >> 32 & 0x1_ffff,
        };
        let began = Instant::now();
        while began.elapsed() < Duration::from_nanos(pause) {
            std::hint::spin_loop();
        }
        // Some get a spurious wake-up first.
        if random >> 60 & 1 == 0 {
            told.wake();
        }
        told.tell("woken");
    }
}

#[test]
fn no_wake_up_is_lost() {
    const CLIENTS: usize = 8;
    const WAITS: usize = 1250;
    let running = Running::new(options(|timeouts| timeouts.waiting = Timeout::NEVER));
    let (done, world) = (AtomicUsize::new(0), &running.world);
    thread::scope(|scope| {
        let wakers: Vec<_> = (0..2)
            .map(|seed| {
                let (send, receive) = channel();
                scope.spawn(move || wake_all(receive, seed + 1));
                send
            })
            .collect();
        let done = &done;
        scope.spawn(move || {
            let mut wakers = wakers.iter().cycle();
            while done.load(Ordering::SeqCst) < CLIENTS {
                // In about half of the cases this runs before the machine has returned from the poll that reports that it
                // waits.
                match world.waits.pop() {
                    Some(told) => wakers.next().unwrap().send(told).unwrap(),
                    None => thread::yield_now(),
                }
            }
        });
        for _ in 0..CLIENTS {
            let mut client = running.connect();
            scope.spawn(move || {
                // A failure ends the test, rather than leaving threads that wait for this one.
                let served = (0..WAITS).take_while(|_| client.ask("park") == "woken\n").count();
                done.fetch_add(1, Ordering::SeqCst);
                assert_eq!(served, WAITS);
            });
        }
    });
}

#[test]
fn a_machine_that_wakes_itself_goes_on() {
    let running = Running::new(options(|_| {}));
    let mut client = running.connect();
    for _ in 0..1000 {
        assert_eq!(client.ask("nudge"), "nudged\n");
    }
    client.send("nudge\n".repeat(100));
    (0..100).for_each(|_| assert_eq!(client.line(), "nudged\n"));
}

#[test]
fn a_machine_that_wakes_itself_without_end_holds_up_nobody() {
    let mut options = options(|_| {});
    options.threads = 1;
    let running = Running::new(options);
    let mut spinning = running.connect();
    spinning.send("spin\n");
    until("it spins", || running.world.polls.load(Ordering::SeqCst) > 100);
    let mut client = running.connect();
    for _ in 0..20 {
        assert_eq!(client.ask("echo on"), "on\n");
    }
}

#[test]
fn waking_a_connection_that_is_closed_does_nothing() {
    let running = Running::new(options(|_| {}));
    let mut client = running.connect();
    client.send("park\n");
    until("it waits", || running.world.waits.count() == 1);
    let told = running.world.waits.pop().unwrap();
    told.tell("woken");
    assert_eq!(client.line(), "woken\n");
    assert_eq!(client.ask("quit"), "bye\n");
    assert_eq!(client.rest(), "");
    until("its machine is dropped", || running.world.machines.load(Ordering::SeqCst) == 0);
    let polls = running.world.polls.load(Ordering::SeqCst);
    (0..1000).for_each(|_| told.wake());
    assert_eq!(running.connect().ask("echo on"), "on\n");
    assert!(running.world.polls.load(Ordering::SeqCst) < polls + 10);

    // Nor does a waker keep a server alive, or require one.
    until("it is gone", || running.handle.connections() == 0);
    let (_client, waiting) = parked(&running);
    let world = running.world.clone();
    running.handle.stop();
    running.join();
    until("all machines are dropped", || world.machines.load(Ordering::SeqCst) == 0);
    assert_eq!(world.hung_up.load(Ordering::SeqCst), 1, "one was within a request");
    told.wake();
    waiting.wake();
}

#[test]
fn a_wait_times_out_with_a_last_word() {
    let timeout = Duration::from_millis(400);
    let running = Running::new(options(|timeouts| timeouts.waiting = whole(timeout)));
    let began = Instant::now();
    let (mut client, told) = parked(&running);
    client.0.get_ref().set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    // Spurious wake-ups do not extend the timeout.
    while client.0.get_ref().peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
        assert!(began.elapsed() < PATIENCE);
        told.wake();
    }
    client.0.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(client.rest(), "timeout in Waiting\n");
    assert!(began.elapsed() >= timeout, "closed after {:?}", began.elapsed());
    told.tell("too late");
    assert_eq!(running.world.hung_up.load(Ordering::SeqCst), 0, "it ended the connection itself");
}

#[test]
fn a_wait_after_work_times_out_too() {
    let running = Running::new(options(|timeouts| timeouts.waiting = whole(Duration::from_millis(400))));
    let mut client = running.connect();
    client.send("wait\npark\n");
    running.world.gate.wait_for(1);
    // Timeouts are checked in this time, and nothing else happens in this server.
    thread::sleep(Duration::from_millis(700));
    running.world.gate.open();
    assert_eq!(client.rest(), "waited\ntimeout in Waiting\n");
}

#[test]
fn a_machine_may_be_woken_before_its_connection_is_served() {
    let running = Running::new(options(|_| {}));
    running.world.wakes_at_once.store(true, Ordering::SeqCst);
    let mut client = running.connect();
    until("it is polled", || running.world.polls.load(Ordering::SeqCst) > 0);
    assert_eq!(client.ask("echo on"), "on\n");
}

#[test]
fn a_drain_waits_for_those_that_wait() {
    let running = Running::new(options(|_| {}));
    let (mut client, told) = parked(&running);
    running.handle.drain(PATIENCE);
    client.expect_silence(Duration::from_millis(300));
    told.tell("woken");
    assert_eq!(client.rest(), "woken (last)\n");
    assert_eq!(running.join(), Ended::Drained);
}

#[test]
fn connections_that_wait_do_not_give_way() {
    let mut options = options(|timeouts| timeouts.fresh = Timeout::NEVER);
    options.max_connections = 2;
    options.give_way = GiveWay::Idle;
    let running = Running::new(options);
    let (mut first, first_told) = parked(&running);
    let (mut second, second_told) = parked(&running);
    let mut third = running.connect();
    third.send("echo served\n");
    third.expect_silence(Duration::from_millis(1500));
    first_told.tell("woken");
    assert_eq!(first.line(), "woken\n");
    // A connection that has been idle for a second is closed to make room.
    assert_eq!(third.line(), "served\n");
    assert_eq!(first.rest(), "");
    second_told.tell("woken");
    assert_eq!(second.line(), "woken\n");
}

#[cfg(unix)]
#[test]
fn a_peer_that_hangs_up_ends_its_wait() {
    let path = std::env::temp_dir().join(format!("vgi-rpc-reactor-wait-{}.sock", std::process::id()));
    let running = Running::on(Listener::unix(&path).unwrap(), options(|_| {}));
    // Before and after the wait begins.
    for pause in [0, 50] {
        let mut socket = UnixStream::connect(&path).unwrap();
        std::io::Write::write_all(&mut socket, b"park\necho ahead\n").unwrap();
        thread::sleep(Duration::from_millis(pause));
        drop(socket);
        until("it waited", || running.world.waits.count() == 1);
        until("it is gone", || running.handle.connections() == 0);
        until("its machine is dropped", || running.world.machines.load(Ordering::SeqCst) == 0);
        running.world.waits.pop().unwrap().tell("too late");
    }
    assert_eq!(running.world.hung_up.load(Ordering::SeqCst), 2);
}
