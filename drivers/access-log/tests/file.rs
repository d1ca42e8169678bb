//! The log's file: appending, rotating, reopening, and a disk that is full.

use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use vgi_rpc_access_log::Options;
use vgi_rpc_protocol::client::{Call, CallKind, Connection};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::service::{CallRecord, Method, Peer, Protocol, Responder, Service, TransportKind};
use vgi_rpc_protocol::{IdSource, Limits, Next};

/// A signal is for the whole process: tests that send one take turns.
static SIGNALS: Mutex<()> = Mutex::new(());

/// The record of a call that was really made.
fn record() -> CallRecord {
    let method = Method::new("nothing").unary(|_, _| Ok(()));
    let service =
        Service::builder("log000000000").protocol(Protocol::new("test.Log.v1").method(method)).build();
    let peer = Peer::new(TransportKind::Pipe, "log000000000");
    let mut server = Responder::new(Arc::new(service.unwrap()), peer, Limits::default(), IdSource::seeded(1));
    server.record_calls();
    let mut client = Connection::new(Limits::default());
    let call = Call {
        protocol: "test.Log.v1",
        method: "nothing",
        protocol_version: None,
        request_id: None,
        kind: CallKind::Unary,
        metadata: Metadata::new(),
    };
    let row = arrow_array::RecordBatch::new_empty(Arc::new(arrow_schema::Schema::empty()));
    client.call(&call, &EncodedSchema::empty(), &row).unwrap();
    while let Some(bytes) = client.poll_transmit().and_then(|outbox| outbox.pop_segment()) {
        server.receive(bytes);
    }
    while let Ok(Next::Event(work)) = server.poll_work() {
        server.complete(work.run()).unwrap();
    }
    server.poll_record().unwrap()
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn lines_are_appended_and_there_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.jsonl");
    for opened in 1..=2 {
        let log = Options::new(&path).open().unwrap();
        log.write(&record());
        assert_eq!(lines(&path).len(), opened);
    }
    assert_eq!(lines(&path)[0]["protocol"], "test.Log.v1");
}

#[test]
fn files_are_moved_aside_by_size_and_the_oldest_goes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.jsonl");
    let log = Options::new(&path).rotate(1000, 2).open().unwrap();
    let record = record();
    for _ in 0..20 {
        log.write(&record);
    }
    let mut names: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["access.jsonl", "access.jsonl.1", "access.jsonl.2"]);
    for name in names {
        let path = dir.path().join(name);
        assert!(std::fs::metadata(&path).unwrap().len() <= 1000);
        assert!(!lines(&path).is_empty(), "whole lines only");
    }
}

#[test]
fn sighup_opens_the_path_anew() {
    let _turn = SIGNALS.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let (path, moved) = (dir.path().join("access.jsonl"), dir.path().join("moved"));
    let log = Options::new(&path).open().unwrap();
    log.write(&record());
    std::fs::rename(&path, &moved).unwrap();
    log.write(&record());
    assert_eq!(lines(&moved).len(), 2, "until told otherwise it writes to the file it has");
    let sent = Command::new("sh").args(["-c", &format!("kill -HUP {}", std::process::id())]).status();
    assert!(sent.unwrap().success());
    let deadline = Instant::now() + Duration::from_secs(5);
    while !path.exists() {
        assert!(Instant::now() < deadline, "SIGHUP was not heard");
        log.write(&record());
    }
    assert_eq!(lines(&path).len(), 1);
}

#[test]
fn what_a_full_disk_swallowed_is_reported_and_fails_nothing() {
    let _turn = SIGNALS.lock().unwrap_or_else(PoisonError::into_inner);
    // A device that is always full stands in for the disk.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.jsonl");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let log = Options::new(&path).open().unwrap();
    let record = record();
    log.write(&record);
    log.write(&record);
    std::fs::remove_file(&path).unwrap();
    let sent = Command::new("sh").args(["-c", &format!("kill -HUP {}", std::process::id())]).status();
    assert!(sent.unwrap().success());
    let deadline = Instant::now() + Duration::from_secs(5);
    while !path.exists() {
        assert!(Instant::now() < deadline, "the log did not recover");
        log.write(&record);
    }
    assert!(lines(&path)[0]["dropped_records"].as_u64().unwrap() >= 2);
}
