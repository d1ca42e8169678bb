//! Thousands of connections by well-behaved and misbehaving clients: every result is right, and afterwards the server has
//! its original number of descriptors and threads, and its original memory.

use crate::common::process::{Place, Socket, start_server};
use crate::common::random::{Random, announce, seed};
use crate::common::walk::{leave_a_stream_open, step};
use crate::common::{PATIENCE, echo_request, greet};
use rustix::net::sockopt::{Timeout, set_socket_linger, set_socket_timeout};
use rustix::net::{Shutdown, shutdown};
use std::io::{ErrorKind, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

/// Clients at the same time.
const CLIENTS: usize = 4;
/// Connections before the first count, so that one-time allocations are done.
const WARM_UP: usize = 400;
/// Connections that are checked for leaks.
const CONNECTIONS: usize = 3000;
/// The allowed growth of the server's memory, in KiB: 700 bytes for each connection; a leaked machine of a served
/// connection has about 48 KiB on average. Scattered free space in the heap accounts for a few hundred KiB.
const GROWTH: usize = 2048;

#[test]
fn nothing_is_left_behind_over_unix() {
    soak("soak::nothing_is_left_behind_over_unix", &Place::new_unix());
}

#[test]
fn nothing_is_left_behind_over_tcp() {
    soak("soak::nothing_is_left_behind_over_tcp", &Place::Tcp("0".into()));
}

fn soak(test: &str, place: &Place) {
    let seed = seed();
    announce(test, seed);
    let mut random = Random::new(seed);
    let (server, place) = start_server(place);
    // With one served connection there is one descriptor more than without.
    let mut first = place.connect().unwrap();
    greet(&mut first, "first").unwrap();
    let (descriptors, threads) = (server.descriptors() - 1, server.threads());
    drop(first);

    visit(&place, WARM_UP, &mut random);
    settles("descriptors", descriptors, || server.descriptors());
    let memory = server.memory();
    visit(&place, CONNECTIONS, &mut random);
    greet(&mut place.connect().unwrap(), "still there").unwrap();

    settles("descriptors", descriptors, || server.descriptors());
    // An idle thread ends after 10 s; the polling one stays.
    settles("threads", threads, || server.threads());
    assert_eq!(server.descriptors(), descriptors);
    place.clean_up();
    let grown = server.memory().saturating_sub(memory);
    println!("{CONNECTIONS} connections: grown by {grown} KiB from {memory} KiB");
    assert!(
        grown <= GROWTH,
        "expected at most {GROWTH} KiB more after {CONNECTIONS} connections, got {grown}"
    );
}

/// Waits until the count is back at its earlier value, or lower.
fn settles(what: &str, before: usize, count: impl Fn() -> usize) {
    let deadline = Instant::now() + PATIENCE;
    while count() > before {
        assert!(Instant::now() < deadline, "expected {before} {what} as before, got {}", count());
        thread::sleep(Duration::from_millis(5));
    }
}

/// Makes this many connections, by several clients at a time.
fn visit(place: &Place, connections: usize, random: &mut Random) {
    let clients: Vec<Random> = (0..CLIENTS).map(|_| random.split()).collect();
    thread::scope(|scope| {
        for (client, mut random) in clients.into_iter().enumerate() {
            scope.spawn(move || {
                for number in 0..connections / CLIENTS {
                    let visit = Visit { client, number, before: random.clone() };
                    match random.below(3) {
                        0 => rude(place, &mut random),
                        _ => polite(place, &mut random),
                    }
                    drop(visit);
                }
            });
        }
    });
}

/// Reports which connection failed.
struct Visit {
    client: usize,
    number: usize,
    before: Random,
}

impl Drop for Visit {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("client {}, connection {}, drawn from {:?}", self.client, self.number, self.before);
        }
    }
}

/// Makes some calls, then leaves between two calls or with a stream open.
fn polite(place: &Place, random: &mut Random) {
    let mut client = place.connect().unwrap();
    for _ in 0..random.below(5) {
        step(&mut client, random).unwrap();
    }
    if random.below(4) == 0 {
        leave_a_stream_open(&mut client, random).unwrap();
    }
}

/// Misbehaves as a client. The server's output is checked if it is deterministic.
fn rude(place: &Place, random: &mut Random) {
    let mut socket = place.raw();
    let length = if random.below(8) == 0 { 1 << 20 } else { 1 + random.below(3000) };
    let request = echo_request(length);
    match random.below(8) {
        // No byte.
        0 => {}
        // A part of a request.
        1 | 2 => drop(socket.write_all(&request[..random.below(request.len())])),
        // A part of a request, then the end of input: the server reports that it is truncated, or nothing if no byte of a
        // message arrived, and closes. A cut between two messages ends the stream: without a batch, or, if only the last
        // eight bytes are missing, with it.
        3 => {
            let cut = random.below(request.len());
            socket.write_all(&request[..cut]).unwrap();
            shutdown(&*socket, Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            socket.read_to_end(&mut answer).unwrap();
            let says = String::from_utf8_lossy(&answer);
            let is_told = says.contains("ArrowInvalid") || says.contains("with one batch, got none");
            assert!(
                answer.is_empty() || is_told || cut + 8 == request.len(),
                "expected an error after {cut} bytes, got {says:?}"
            );
        }
        // Garbage, before or within a request. The server may close before it has read everything.
        4 | 5 => {
            let count = random.below(request.len());
            let _ = socket.write_all(&request[..if random.below(2) == 0 { 0 } else { count }]);
            let garbage = random.below(2000);
            let _ = socket.write_all(&random.bytes(garbage));
            if random.below(2) == 0 {
                let _ = shutdown(&*socket, Shutdown::Write);
                if let Err(error) = socket.read_to_end(&mut Vec::new()) {
                    assert_ne!(error.kind(), ErrorKind::WouldBlock, "expected the connection to be closed");
                }
            }
        }
        // Several pipelined requests; only a part of the responses is read, slowly.
        6 => {
            write_ahead(&mut *socket, &request, 1 + random.below(4));
            for _ in 0..random.below(4) {
                thread::sleep(Duration::from_millis(1));
                assert!(socket.read(&mut [0; 100]).unwrap() > 0, "expected an answer");
            }
        }
        // A reset within the response.
        _ => {
            write_ahead(&mut *socket, &request, 1);
            assert!(socket.read(&mut [0; 10]).unwrap() > 0, "expected an answer");
            set_socket_linger(&*socket, Some(Duration::ZERO)).unwrap();
        }
    }
}

/// Sends requests: the first one whole, the others as far as the server accepts them while no response is read.
fn write_ahead(socket: &mut dyn Socket, request: &[u8], requests: usize) {
    socket.write_all(request).unwrap();
    set_socket_timeout(&*socket, Timeout::Send, Some(Duration::from_millis(20))).unwrap();
    for _ in 1..requests {
        match socket.write_all(request) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error}"),
        }
    }
}
