//! Helpers for the tests of the log: records of real calls, lines as JSON, SIGHUP.
#![allow(dead_code, reason = "`size_limit` uses some of it")]

use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use vgi_rpc_access_log::AccessLog;
use vgi_rpc_protocol::client::{Call, CallKind, Connection};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::service::{CallRecord, Method, Peer, Protocol, Responder, Service, TransportKind};
use vgi_rpc_protocol::{IdSource, Limits, Next};

/// Serializes the tests that send a signal: it reaches the whole process.
pub fn signals() -> MutexGuard<'static, ()> {
    static SIGNALS: Mutex<()> = Mutex::new(());
    SIGNALS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends SIGHUP to this process.
pub fn hang_up() {
    let sent = Command::new("sh").args(["-c", &format!("kill -HUP {}", std::process::id())]).status();
    assert!(sent.unwrap().success());
}

/// Writes records until a condition holds; a signal may take a moment to take effect.
#[track_caller]
pub fn write_until(log: &AccessLog, holds: impl Fn() -> bool) {
    let record = record();
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "nothing changed");
        log.write(&record);
    }
}

/// Returns the record of a real call.
pub fn record() -> CallRecord {
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

pub fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
