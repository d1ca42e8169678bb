//! The events that servers and access logs emit for operators.

use crate::server::{call, run, until};
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;
use vgi_rpc_metrics::Metrics;

#[path = "../../../../tests/events/kept.rs"]
mod kept;

use kept::Kept;

/// Whether a line contains all of these.
fn told(parts: &[&str]) -> bool {
    Kept::everywhere().has(parts)
}

#[test]
fn a_server_tells_where_it_listens_whom_it_refuses_and_how_it_ends() {
    Kept::everywhere();
    let metrics = Metrics::new();
    let running = run(&metrics, |server| server.max_connections(1));
    let address = format!("TCP:{}", running.address);
    assert!(told(&["INFO vgi_rpc_reactor", "message=listening", &address]));
    let mut client = running.connect();
    call(&mut client, "answer").unwrap();
    assert!(told(&["TRACE vgi_rpc_reactor", "accepted a connection"]));
    // It has made a request, so it is not closed to make room; another connection waits.
    let waiting = TcpStream::connect(&running.address).unwrap();
    until("it is told that one waits", || {
        told(&["WARN vgi_rpc_reactor", "a connection waits: the server is full", "connections=1"])
    });
    assert!(metrics.snapshot().servers[0].1.full >= 1);
    drop((waiting, client));
    running.drain();
    assert!(told(&["INFO vgi_rpc_reactor", "draining"]));
    assert!(told(&["INFO vgi_rpc_reactor", "message=drained", &address]));

    // A silent connection is closed to make room.
    let running = run(&metrics, |server| server.max_connections(1));
    let mut silent = TcpStream::connect(&running.address).unwrap();
    until("it is accepted", || running.handle.connections() == 1);
    call(&mut running.connect(), "answer").unwrap();
    assert!(told(&["WARN vgi_rpc_reactor", "closed to make room"]));
    assert_eq!(metrics.snapshot().servers[0].1.gave_way, 1);
    let _ = silent.write_all(b"late");
    running.drain();

    // A request that does not arrive whole.
    let running = run(&metrics, |server| server.message_timeout(Some(Duration::from_millis(100))));
    let mut stalled = TcpStream::connect(&running.address).unwrap();
    stalled.write_all(&[0xff; 4]).unwrap();
    until("it is told that a timeout has passed, and which", || {
        told(&["DEBUG vgi_rpc_reactor", "closed: a timeout has passed", "connection=", "timeout=\"body\""])
    });
    running.drain();
}

#[test]
fn an_access_log_tells_of_trouble_once_and_of_its_end() {
    Kept::everywhere();
    let folder = tempfile::tempdir().unwrap();
    let (path, in_the_way) = (folder.path().join("log"), folder.path().join("log.1"));
    let log = vgi_rpc_access_log::Options::new(&path).rotate(1, 1).open().unwrap();
    let metrics = Metrics::new();
    let running = run(&metrics, |server| server.access_log(log.clone()));
    let mut client = running.connect();
    call(&mut client, "answer").unwrap();
    // The file cannot be moved aside: a folder has that name.
    let _ = std::fs::remove_file(&in_the_way);
    std::fs::create_dir(&in_the_way).unwrap();
    std::fs::write(in_the_way.join("kept"), b"x").unwrap();
    let before = log.statistics().dropped;
    for _ in 0..3 {
        call(&mut client, "answer").unwrap();
    }
    assert_eq!(log.statistics().dropped, before + 3);
    let name = format!("path={}", path.display());
    assert!(told(&["WARN vgi_rpc_access_log", "being dropped", "error=", &name]));
    let warnings = Kept::everywhere().with(&["being dropped", &name]).len();
    assert_eq!(warnings, 1, "a disk that is full for an hour is one event");
    std::fs::remove_dir_all(&in_the_way).unwrap();
    call(&mut client, "answer").unwrap();
    assert!(told(&["WARN vgi_rpc_access_log", "written again", "dropped=3", &name]));
    assert!(told(&["INFO vgi_rpc_access_log", "moved aside", &name]));
    drop(client);
    running.drain();
}
