//! A connection while its job runs: it is still served, and its end does not wait for the job.

use crate::lines::PATIENCE;
use crate::running::{Running, options, until};
use rustix::net::sockopt::set_socket_linger;
use std::io::{Read, Write};
use std::net::Shutdown;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use vgi_rpc_reactor::{Ended, Listener, Timeout};

/// A server on a unix socket.
#[cfg(unix)]
fn on_unix(name: &str) -> (Running, PathBuf) {
    let path = std::env::temp_dir().join(format!("vgi-rpc-reactor-{name}-{}.sock", std::process::id()));
    (Running::on(Listener::unix(&path).unwrap(), options(|_| {})), path)
}

#[test]
fn output_arrives_before_the_work_ends() {
    let mut options = options(|_| {});
    for threads in [1, 1024] {
        options.threads = threads;
        let running = Running::new(options.clone());
        let mut client = running.connect();
        client.send("echo first\ntell halfway\necho last\n");
        assert_eq!(client.line(), "first\n");
        assert_eq!(client.line(), "halfway\n");
        client.expect_silence(Duration::from_millis(50));
        running.world.gate.open();
        assert_eq!(client.line(), "done\n");
        assert_eq!(client.line(), "last\n");
        // Messages that are handled at once stay in order as well.
        for number in 0..200 {
            assert_eq!(client.ask(&format!("tell {number}")), format!("{number}\n"));
            assert_eq!(client.line(), "done\n");
        }
    }
}

#[test]
fn answers_of_quick_works_share_writes_and_do_not_wait_for_a_slow_one() {
    const QUICK: usize = 30;
    let running = Running::new(options(|_| {}));
    let mut client = running.connect();
    assert_eq!(client.ask("echo ready"), "ready\n");
    let shared = (0..50).any(|_| {
        let before = running.world.writes.load(Ordering::SeqCst);
        client.send("echo quick\n".repeat(QUICK));
        (0..QUICK).for_each(|_| assert_eq!(client.line(), "quick\n"));
        // If a job is slow because its thread was not scheduled, the earlier output is sent.
        running.world.writes.load(Ordering::SeqCst) - before < QUICK / 3
    });
    assert!(shared, "each response was written separately");

    client.send("echo quick\n".repeat(QUICK) + "wait\n");
    running.world.gate.wait_for(1);
    (0..QUICK).for_each(|_| assert_eq!(client.line(), "quick\n"));
    client.expect_silence(Duration::from_millis(50));
    running.world.gate.open();
    assert_eq!(client.line(), "waited\n");
}

#[test]
fn held_back_answers_are_soon_sent_though_the_supervisor_rested() {
    let running = Running::new(options(|_| {}));
    let mut client = running.connect();
    for _ in 0..3 {
        // The first job is long enough for the supervisor to become idle in the meantime.
        client.send("sleep 150\necho quick\nsleep 2000\n");
        assert_eq!(client.line(), "slept\n");
        let began = Instant::now();
        assert_eq!(client.line(), "quick\n");
        assert!(began.elapsed() < Duration::from_millis(1500), "it came with the next response");
        let late = began.elapsed();
        assert_eq!(client.line(), "slept\n");
        if late < Duration::from_millis(100) {
            return;
        }
    }
    panic!("the response was late each time");
}

#[test]
fn answers_from_before_a_panic_are_sent() {
    let running = Running::new(options(|_| {}));
    for _ in 0..20 {
        let mut client = running.connect();
        client.send("echo first\npanic\n");
        assert_eq!(client.rest(), "first\n");
    }
}

#[test]
fn much_output_flows_as_its_peer_reads_it() {
    let running = Running::new(options(|_| {}));
    let mut client = running.connect();
    const MUCH: usize = 30 << 20;
    client.send(format!("tell-much {MUCH}\n"));
    running.world.gate.wait_for(1);
    // The socket accepts a part of it.
    thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    assert_eq!(client.line().len(), MUCH + 1);
    assert!(began.elapsed() < PATIENCE / 2, "not only after the work timed out");
    running.world.gate.open();
    assert_eq!(client.line(), "done\n");
}

#[test]
fn output_from_before_the_work_flows_while_it_is_out() {
    let running = Running::new(options(|_| {}));
    let mut client = running.connect();
    client.send("flood-wait 20000\n");
    running.world.gate.wait_for(1);
    thread::sleep(Duration::from_millis(100));
    let began = Instant::now();
    assert_eq!(client.line().len(), 20_000 * 1024 + 1);
    assert!(began.elapsed() < PATIENCE / 2, "not only after the work timed out");
    running.world.gate.open();
    assert_eq!(client.line(), "waited\n");
}

#[test]
fn a_machine_that_closes_while_its_work_is_out_is_not_called_again() {
    let running = Running::new(options(|_| {}));
    let mut client = running.connect();
    client.send("tell close\n");
    assert_eq!(client.rest(), "");
    running.world.gate.open();
    // The server waits for the peer to close.
    thread::sleep(Duration::from_millis(50));
    assert_eq!(running.handle.connections(), 1);
    drop(client);
    until("it is gone", || running.world.machines.load(Ordering::SeqCst) == 0);
    let called = [&running.world.completed, &running.world.hung_up];
    assert_eq!(called.map(|count| count.load(Ordering::SeqCst)), [0, 0]);
}

#[test]
fn a_peer_that_does_not_read_is_given_up_while_its_work_is_out() {
    let running = Running::new(options(|timeouts| {
        timeouts.output = Timeout { no_progress: Some(Duration::from_millis(300)), whole: None }
    }));
    let mut client = running.connect();
    client.send(format!("tell-much {}\n", 30 << 20));
    until("it is given up", || running.world.hung_up.load(Ordering::SeqCst) == 1);
    until("it is gone", || running.world.machines.load(Ordering::SeqCst) == 0);
}

#[cfg(unix)]
#[test]
fn a_peer_that_hangs_up_takes_its_machine_with_it() {
    let (running, path) = on_unix("hang-up");
    let mut socket = UnixStream::connect(&path).unwrap();
    socket.write_all(b"wait\necho ahead\n").unwrap();
    running.world.gate.wait_for(1);
    drop(socket);
    until("its machine is dropped", || running.world.machines.load(Ordering::SeqCst) == 0);
    assert_eq!(running.world.hung_up.load(Ordering::SeqCst), 1);
    assert_eq!(running.handle.connections(), 0);
    // The job continues, and its result is discarded.
    running.world.gate.open();
    let mut socket = UnixStream::connect(&path).unwrap();
    socket.write_all(b"echo on\nquit\n").unwrap();
    let mut said = String::new();
    socket.read_to_string(&mut said).unwrap();
    assert_eq!(said, "on\nbye\n");
}

#[cfg(unix)]
#[test]
fn work_whose_peer_was_gone_before_it_began_is_run() {
    let (running, path) = on_unix("gone");
    for count in 1..=50 {
        let mut socket = UnixStream::connect(&path).unwrap();
        socket.write_all(b"wait\n").unwrap();
        drop(socket);
        running.world.gate.wait_for(count);
        until("its machine is dropped", || running.world.machines.load(Ordering::SeqCst) == 0);
    }
    assert_eq!(running.world.hung_up.load(Ordering::SeqCst), 50);
}

#[test]
fn a_reset_is_a_hang_up() {
    let running = Running::new(options(|_| {}));
    let mut client = running.connect();
    client.send("wait\n");
    running.world.gate.wait_for(1);
    set_socket_linger(client.0.get_ref(), Some(Duration::ZERO)).unwrap();
    drop(client);
    until("its machine is dropped", || running.world.machines.load(Ordering::SeqCst) == 0);
    assert_eq!(running.world.hung_up.load(Ordering::SeqCst), 1);
}

#[test]
fn output_that_cannot_be_sent_is_a_hang_up() {
    let running = Running::new(options(|_| {}));
    let mut client = running.connect();
    // More than the socket accepts, and its peer disconnects after the first bytes.
    client.send(format!("tell-much {}\n", 30 << 20));
    running.world.gate.wait_for(1);
    client.0.read_exact(&mut [0; 1000]).unwrap();
    drop(client);
    until("its machine is dropped", || running.world.machines.load(Ordering::SeqCst) == 0);
    assert_eq!(running.world.hung_up.load(Ordering::SeqCst), 1);
}

#[cfg(unix)]
#[test]
fn a_peer_that_only_stops_sending_gets_its_answer() {
    let (on_unix, path) = on_unix("half");
    let on_tcp = Running::new(options(|_| {}));
    let mut unix = UnixStream::connect(&path).unwrap();
    unix.write_all(b"wait\necho ahead\n").unwrap();
    let mut tcp = on_tcp.connect();
    tcp.send("wait\necho ahead\n");
    on_unix.world.gate.wait_for(1);
    on_tcp.world.gate.wait_for(1);
    unix.shutdown(Shutdown::Write).unwrap();
    tcp.0.get_ref().shutdown(Shutdown::Write).unwrap();
    tcp.expect_silence(Duration::from_millis(100));
    on_unix.world.gate.open();
    on_tcp.world.gate.open();
    let mut said = String::new();
    unix.read_to_string(&mut said).unwrap();
    assert_eq!(said, "waited\nahead\n");
    assert_eq!(tcp.rest(), said);
    for world in [&on_unix.world, &on_tcp.world] {
        assert_eq!(world.hung_up.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn while_work_is_out_only_a_wake_up_has_the_machine_polled() {
    let running = Running::new(options(|_| {}));
    let mut client = running.connect();
    client.send("tell first\n");
    assert_eq!(client.line(), "first\n");
    thread::sleep(Duration::from_millis(50));
    let polls = running.world.polls.load(Ordering::SeqCst);
    // The connection is checked for both, and its machine is notified of the drain.
    client.send("echo ahead\n");
    running.handle.drain(PATIENCE);
    client.expect_silence(Duration::from_millis(200));
    assert_eq!(running.world.polls.load(Ordering::SeqCst), polls);
    running.world.gate.open();
    assert_eq!(client.line(), "done (last)\n");
}

#[test]
fn machines_end_with_their_server_though_their_work_runs_on() {
    let running = Running::new(options(|_| {}));
    let mut clients: Vec<_> = (0..3).map(|_| running.connect()).collect();
    clients.iter_mut().for_each(|client| client.send("wait\n"));
    running.world.gate.wait_for(3);
    let (world, began) = (running.world.clone(), Instant::now());
    running.handle.stop();
    assert_eq!(running.join(), Ended::Stopped);
    assert!(began.elapsed() < PATIENCE / 2);
    assert_eq!(world.hung_up.load(Ordering::SeqCst), 3);
    assert_eq!(world.machines.load(Ordering::SeqCst), 0);
    clients.iter_mut().for_each(|client| assert_eq!(client.rest(), ""));
    world.gate.open();
}

/// A client that makes several requests, reads some of the responses, and disconnects.
#[cfg(unix)]
fn come_and_go(path: &Path, random: &mut u64) {
    let mut next = |below: u64| {
        *random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (*random >> 33) % below
    };
    let mut socket = UnixStream::connect(path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let requests = ["park\n", "tell something\n", "nudge\n", "echo on\n", "flood 300\n", "quit\n"];
    for _ in 0..next(4) {
        // The server may have closed it because of an earlier request.
        let _ = socket.write_all(requests[next(6) as usize].as_bytes());
        if next(2) == 0 {
            let _ = socket.read(&mut [0; 20]);
        }
        if next(8) == 0 {
            let _ = socket.shutdown(Shutdown::Write);
        }
    }
    thread::sleep(Duration::from_micros(next(3) * 50));
}

#[cfg(unix)]
#[test]
fn clients_that_leave_at_any_time_leave_nothing_behind() {
    let (running, path) = on_unix("leave");
    running.world.gate.open();
    let (done, world) = (AtomicUsize::new(0), &running.world);
    thread::scope(|scope| {
        let (done, path) = (&done, &path);
        scope.spawn(move || {
            while done.load(Ordering::SeqCst) < 4 {
                match world.waits.pop() {
                    Some(told) => told.tell("woken"),
                    None => thread::yield_now(),
                }
            }
        });
        for seed in 0..4 {
            scope.spawn(move || {
                let mut random = seed;
                (0..500).for_each(|_| come_and_go(path, &mut random));
                done.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    until("all machines are dropped", || running.world.machines.load(Ordering::SeqCst) == 0);
    assert_eq!(running.handle.connections(), 0);
    let mut socket = UnixStream::connect(&path).unwrap();
    socket.write_all(b"echo on\nquit\n").unwrap();
    let mut said = String::new();
    socket.read_to_string(&mut said).unwrap();
    assert_eq!(said, "on\nbye\n");
}

#[test]
fn a_panic_in_work_is_a_hang_up() {
    let running = Running::new(options(|_| {}));
    assert_eq!(running.connect().ask("panic"), "");
    until("its machine is dropped", || running.world.machines.load(Ordering::SeqCst) == 0);
    assert_eq!(running.world.hung_up.load(Ordering::SeqCst), 1);
}
