//! Descriptors, threads and memory of many connections, and their release. A test program of its own: it counts the
//! resources of its whole process, and limits them.
#![cfg(unix)]

#[path = "sockets/common/mod.rs"]
mod common;

use common::*;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_unix::SocketServer;

/// Returns the highest number of an open descriptor.
fn highest_descriptor() -> u64 {
    let names = std::fs::read_dir("/proc/self/fd").unwrap();
    names.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).max().unwrap()
}

/// Serializes these tests: they count resources of the process.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Returns the number of threads of this crate's workers.
fn workers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    // A thread may end during this look-up.
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|name| name.trim() == "vgi-rpc").count()
}

/// Returns a number of KiB from `/proc/self/status`.
fn status(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn descriptors_and_threads_come_back() {
    let _turn = alone();
    let gate = Gate::default();
    gate.open();
    until("an earlier test's threads are gone", || workers() == 0);
    let before = descriptors();
    for round in 0..3 {
        let running = Running::unix(&SocketServer::new(service(&gate)));
        let request = echo_request(100_000);
        for number in 0..200 {
            let mut client = running.connect();
            greet(&mut client, "world").unwrap();
            running.raw().write_all(&request[..number * request.len() / 200]).unwrap();
            running.raw().write_all(b"garbage garbage garbage").unwrap();
            drop(running.raw());
        }
        until("every connection is gone", || running.handle.connections() == 0);
        if round == 1 {
            let _left_open: Vec<_> = (0..10).map(|_| running.connect()).collect();
            drop(running);
        } else {
            running.handle.stop();
            running.join();
        }
        until("descriptors and threads are back", || descriptors() == before && workers() == 0);
    }
}

#[test]
fn two_thousand_idle_connections_take_few_threads_and_little_memory() {
    let _turn = alone();
    const CONNECTIONS: usize = 2000;
    let limit = getrlimit(Resource::Nofile);
    let enough = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, enough).unwrap();
    let server = SocketServer::new(service(&Gate::default())).max_connections(0);
    let running = Running::unix(&server);
    greet(&mut running.connect(), "warm").unwrap();
    let request = echo_request(1000);
    let before = status("VmRSS");
    let mut idle: Vec<UnixStream> = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let mut socket = running.raw();
        socket.write_all(&request).unwrap();
        std::io::Read::read(&mut socket, &mut [0; 4096]).unwrap();
        idle.push(socket);
    }
    until("all are connected", || running.handle.connections() == CONNECTIONS);
    // Memory kept for the next call is released a little later.
    let mut used = 0;
    until("an idle connection takes at most 8 KiB", || {
        used = (status("VmRSS") - before) * 1024 / CONNECTIONS;
        used <= 8 << 10
    });
    // Threads started under load end after they have been idle for a while.
    until("few threads are left", || running.handle.threads() <= 3);
    println!("{used} bytes resident per idle connection, {} threads", running.handle.threads());
    greet(&mut running.connect(), "among many").unwrap();
}

#[test]
fn memory_held_on_one_server_is_taken_back_for_another_at_once() {
    let _turn = alone();
    const BUDGET: usize = 8 << 20;
    let budget = Budget::new(BUDGET);
    let server = SocketServer::new(service(&Gate::default())).budget(budget.clone());
    let (idle, busy) = (Running::unix(&server), Running::unix(&server));
    let mut caller = busy.connect();
    greet(&mut caller, "before").unwrap();
    let mut holder = idle.raw();
    let request = echo_request(BUDGET * 45 / 64);
    holder.write_all(&request[..request.len() - 100_000]).unwrap();
    until("most of the budget is held", || budget.used() > BUDGET / 2);
    // The server is idle, and polls nothing by itself for a long time.
    std::thread::sleep(Duration::from_millis(500));
    let began = Instant::now();
    let large = vec![7; BUDGET * 3 / 8];
    while echo(&mut caller, &large).is_err() {
        assert!(began.elapsed() < Duration::from_secs(5), "{budget:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    until("the holder has given way", || idle.handle.connections() == 0);
}

#[test]
fn accepting_goes_on_after_descriptors_ran_out() {
    let _turn = alone();
    let running = Running::unix(&SocketServer::new(service(&Gate::default())).max_connections(0));
    let mut client = running.connect();
    greet(&mut client, "before").unwrap();
    let flags = rustix::net::SocketFlags::CLOEXEC;
    let (family, kind) = (rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM);
    let socket = rustix::net::socket_with(family, kind, flags, None).unwrap();
    let address = rustix::net::SocketAddrUnix::new(running.path()).unwrap();

    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), maximum: limit.maximum }).unwrap();
    rustix::net::connect(&socket, &address).unwrap();
    let calls: Vec<_> = (0..100).map(|_| greet(&mut client, "meanwhile")).collect();
    let accepted = running.handle.connections();
    setrlimit(Resource::Nofile, limit).unwrap();

    assert!(calls.iter().all(Result::is_ok));
    assert_eq!(accepted, 1);
    until("it is accepted after all", || running.handle.connections() == 2);
}

#[test]
fn when_descriptors_run_out_a_silent_connection_gives_way() {
    let _turn = alone();
    let running = Running::unix(&SocketServer::new(service(&Gate::default())));
    let mut client = running.connect();
    greet(&mut client, "before").unwrap();
    let mut silent = running.raw();
    until("it is accepted", || running.handle.connections() == 2);
    let flags = rustix::net::SocketFlags::CLOEXEC;
    let (family, kind) = (rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM);
    let socket = rustix::net::socket_with(family, kind, flags, None).unwrap();
    let address = rustix::net::SocketAddrUnix::new(running.path()).unwrap();

    // Exactly the available descriptors: one must be closed before another is opened.
    let highest = highest_descriptor();
    let fillers: Vec<_> = (0..highest).map_while(|_| std::fs::File::open("/dev/null").ok()).collect();
    // The highest one was used for the look-up, and is closed.
    let used = highest_descriptor();
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(used), maximum: limit.maximum }).unwrap();
    rustix::net::connect(&socket, &address).unwrap();
    let mut caller = UnixStream::from(socket);
    caller.set_read_timeout(Some(PATIENCE)).unwrap();
    caller.write_all(&echo_request(10)).unwrap();
    let answered = std::io::Read::read(&mut caller, &mut [0; 4096]);
    let closed = std::io::Read::read(&mut silent, &mut [0]);
    setrlimit(Resource::Nofile, limit).unwrap();
    drop(fillers);

    assert!(answered.unwrap() > 0);
    assert_eq!(closed.unwrap(), 0);
    greet(&mut client, "after").unwrap();
}
