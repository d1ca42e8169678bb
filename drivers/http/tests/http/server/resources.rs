//! Memory, descriptors and threads of connections and bodies, and their release.

use super::client::{Client, echo, greet, place, post, post_chunked, wait, zeros};
use super::process::{Process, descriptors, end_with_parent, is_started, memory, tell, workers};
use super::{Calls, Running, until};
use vgi_rpc_http::HttpServer;
use vgi_rpc_protocol::Limits;

/// Idle connections in [`idle_connections`].
const CONNECTIONS: usize = 1000;
/// A large body.
const LARGE: usize = 64 << 20;

/// Runs one of the ignored tests below in its own process, and waits for it to succeed.
fn run_alone(test: &str) {
    let mut process = Process::start(test, 4096);
    println!("{}", process.told());
    let status = process.wait();
    assert!(status.success(), "{test}: {status}");
}

#[test]
fn a_thousand_idle_connections_take_few_threads_and_little_memory() {
    run_alone("server::resources::idle_connections");
}

#[test]
#[ignore = "run in a process of its own by another test"]
fn idle_connections() {
    if !is_started() {
        return;
    }
    end_with_parent();
    let running = Running::new(&Calls::default().server());
    let request = post(&echo(&[7; 3000]));
    let call = |client: &mut Client| assert_eq!(client.call(&request).binary(), [7; 3000]);
    call(&mut running.connect());
    let before = memory(std::process::id(), "VmRSS");
    let mut clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let mut client = running.connect();
            call(&mut client);
            client
        })
        .collect();
    until("all are connected", || running.handle.connections() == CONNECTIONS);
    // Memory kept for a connection's next request is released a little later. This includes both sides of the
    // connections.
    let mut each = 0;
    until("an idle connection takes at most 16 KiB", || {
        each = memory(std::process::id(), "VmRSS").saturating_sub(before) / CONNECTIONS;
        each <= 16 << 10
    });
    // Threads that were started under load end after they have been idle for a while.
    let mut threads = 0;
    until("few threads are left", || {
        threads = running.handle.threads();
        threads <= 4
    });
    clients.iter_mut().for_each(call);
    tell(&format!("{each} bytes resident per idle connection, {threads} threads"));
}

#[test]
fn a_large_body_goes_through_without_being_copied() {
    let mut process = Process::start("server::resources::large_body_server", 256);
    let address = process.told().parse().unwrap();
    let data: Vec<u8> = (0..LARGE).map(|at| (at / 4096 + at) as u8).collect();
    let mut client = Client::connect(address);
    client.greet("warm");
    let before = memory(process.id(), "VmHWM");
    let call = echo(&data);
    assert!(client.call(post(&call)).binary() == data);
    let peak = memory(process.id(), "VmHWM") - before;
    // The request's body is reused as the response's. While it arrives it is moved once, after an eighth of it.
    assert!(peak < LARGE + LARGE / 4, "it took {peak} bytes to send {LARGE} back");
    assert!(client.call(post(&call)).binary() == data);
    let peak = memory(process.id(), "VmHWM") - before;
    assert!(peak < LARGE + LARGE / 2, "it took {peak} bytes to send {LARGE} back twice");
}

#[test]
#[ignore = "the server that another test starts"]
fn large_body_server() {
    if !is_started() {
        return;
    }
    end_with_parent();
    let bound = large_server(&Calls::default()).bind_tcp("127.0.0.1:0").unwrap();
    tell(bound.address().to_string().trim_start_matches("http://"));
    bound.run().unwrap();
}

fn large_server(calls: &Calls) -> HttpServer {
    let mut limits = Limits::default();
    limits.max_body_bytes = limits.max_body_bytes.max(2 * LARGE as u64);
    HttpServer::new(calls.endpoint().limits(limits).build().unwrap())
}

#[test]
fn columns_share_a_body_that_lies_aligned_whichever_way_it_comes() {
    let running = Running::new(&large_server(&Calls::default()));
    let mut client = running.connect();
    let mut seen_aligned = false;
    for length in [10, 5000, 100_000, 3_000_000] {
        let data: Vec<u8> = (0..length).map(|at| (at * 31 + 7) as u8).collect();
        for padding in (0..64).step_by(8) {
            let call = place(&data, padding);
            // A body begins at a multiple of 64, and a column that was not copied stays at its offset in the body.
            let offset = call.body.windows(10).position(|bytes| bytes == &data[..10]).unwrap() as i64 % 64;
            seen_aligned |= offset == 0;
            assert_eq!(client.call(post(&call)).number(), offset, "{length} bytes with their length");
            assert_eq!(client.call(post_chunked(&call, 70_001)).number(), offset, "{length} bytes in chunks");
            let mut pipelined = post(&greet("before"));
            pipelined.extend(post(&call));
            client.send(pipelined);
            assert_eq!(client.answer().string(), "Hello, before!");
            assert_eq!(client.answer().number(), offset, "{length} bytes behind another request");
        }
    }
    assert!(seen_aligned, "no column lay at a multiple of 64 in its body");
}

#[test]
fn descriptors_and_threads_come_back() {
    run_alone("server::resources::leaks");
}

#[test]
#[ignore = "run in a process of its own by another test"]
fn leaks() {
    if !is_started() {
        return;
    }
    end_with_parent();
    let before = descriptors();
    for round in 0..3 {
        let calls = Calls::default();
        let running = Running::new(&calls.server());
        let request = post(&echo(&[7; 100_000]));
        for number in 0..200 {
            let mut client = running.connect();
            client.greet("served");
            match number % 5 {
                0 => client.send(&request[..number * request.len() / 200]),
                1 => client.send("GARBAGE\r\n\r\n"),
                2 => client.send(post(&zeros(5_000_000))),
                3 => client.half_close(),
                _ => {}
            }
        }
        let mut called: Vec<_> = (0..10).map(|_| running.connect()).collect();
        called.iter_mut().for_each(|client| client.send(post(&wait())));
        calls.wait_for(called.len());
        if round == 0 {
            drop(called);
            calls.open_gate();
            running.until_empty();
        } else {
            // Ended during requests, with busy handlers.
            running.handle.stop();
            // While threads end, the list of threads may miss others once.
            until("handlers are at work", || workers() >= called.len());
            calls.open_gate();
            drop(called);
        }
        drop(running);
        until("descriptors and threads are back", || descriptors() == before && workers() == 0);
    }
    tell("all are back");
}
