//! How a server ends, and what its access log contains when a client receives its response.
#![cfg_attr(not(unix), allow(unused_imports, reason = "some tests are for Unix"))]

use super::client::{Client, echo, greet, head, length, post, wait, zeros};
use super::process::{Process, end_with_parent, is_started, tell};
use super::{Calls, PATIENCE, Running};
use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;
use vgi_rpc_access_log::Options;
use vgi_rpc_http::{Ended, HttpServer, HttpServerError};

#[test]
fn draining_finishes_what_is_under_way_and_closes_the_rest() {
    let calls = Calls::default();
    let running = Running::new(&calls.server());
    let (mut idle, mut silent) = (running.connect(), running.connect());
    idle.greet("before");
    let mut called = running.connect();
    called.send(post(&wait()));
    calls.wait_for(1);
    let echoed = echo(&[7; 300_000]);
    let mut sending = running.connect();
    // The response to the first request shows that the second is being read.
    let mut both = post(&greet("first"));
    both.extend(head(&echoed, "1.1", &[&length(&echoed)]));
    both.extend(&echoed.body[..100]);
    sending.send(both);
    assert_eq!(sending.answer().string(), "Hello, first!");
    let mut reading = running.connect();
    reading.send(post(&zeros(32 << 20)));
    assert_eq!(reading.head().status, 200);

    running.handle.drain(PATIENCE);
    idle.expect_end();
    silent.expect_end();
    assert!(TcpStream::connect(running.address).is_err(), "the port is closed");
    calls.open_gate();
    let answer = called.answer();
    assert!(answer.closes());
    assert_eq!(answer.string(), "at last");
    called.expect_end();
    let answer = sending.call(&echoed.body[100..]);
    assert!(answer.closes());
    assert_eq!(answer.binary(), [7; 300_000]);
    sending.expect_end();
    assert!(reading.read(32 << 20).len() == 32 << 20);
    drop(reading);
    assert!(matches!(running.join(), Ended::Drained));
}

#[test]
fn draining_ends_when_its_time_is_over() {
    let calls = Calls::default();
    let running = Running::new(&calls.server());
    let mut called = running.connect();
    called.send(post(&wait()));
    calls.wait_for(1);
    running.handle.drain(Duration::from_millis(100));
    called.expect_close();
    assert!(matches!(running.join(), Ended::DrainTimedOut));
    // Its thread was detached.
    calls.open_gate();
}

#[test]
fn stopping_closes_every_connection_at_once() {
    let calls = Calls::default();
    let running = Running::new(&calls.server());
    let (mut idle, mut called) = (running.connect(), running.connect());
    idle.greet("before");
    called.send(post(&wait()));
    calls.wait_for(1);
    running.handle.stop();
    idle.expect_close();
    called.expect_close();
    assert!(matches!(running.join(), Ended::Stopped));
    calls.open_gate();
}

#[test]
#[cfg(unix)]
fn a_second_signal_ends_the_process_though_a_handler_is_at_work() {
    for signal in ["TERM", "INT"] {
        let mut process = Process::start("server::end::server_process", 256);
        let address = process.told().parse().unwrap();
        let (mut idle, mut called) = (Client::connect(address), Client::connect(address));
        idle.greet("before");
        called.send(post(&wait()));
        assert_eq!(process.told(), "at work");
        process.signal(signal);
        // The server drains: it waits for the call.
        idle.expect_close();
        process.signal(signal);
        called.expect_close();
        assert!(process.wait().success());
    }
}

#[test]
#[ignore = "the server that another test starts"]
fn server_process() {
    if !is_started() {
        return;
    }
    end_with_parent();
    let calls = Calls::default();
    let bound = calls.server().end_on_signals(true).bind_tcp("127.0.0.1:0").unwrap();
    let address = bound.address().to_string();
    let at_work = calls.clone();
    std::thread::spawn(move || {
        at_work.wait_for(1);
        tell("at work");
    });
    tell(address.trim_start_matches("http://"));
    assert!(matches!(bound.run().unwrap(), Ended::Signal));
}

#[test]
fn an_access_log_without_records_is_refused() {
    let path =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("no-records-{}.log", std::process::id()));
    let server = Calls::default().server().access_log(Options::new(&path).open().unwrap());
    let refused = server.bind_tcp("127.0.0.1:0").unwrap_err();
    assert!(matches!(refused, HttpServerError::NoRecords));
    assert!(refused.to_string().contains("EndpointBuilder::record_calls"), "{refused}");
    fs::remove_file(&path).unwrap();
}

#[test]
fn a_call_that_is_at_work_when_the_server_ends_is_in_the_access_log_once() {
    let calls = Calls::default();
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("cut-off-{}.log", std::process::id()));
    let endpoint = calls.endpoint().record_calls(true).build().unwrap();
    let server = HttpServer::new(endpoint).access_log(Options::new(&path).open().unwrap());
    let running = Running::new(&server);
    let mut called = running.connect();
    called.greet("somebody");
    called.send(post(&wait()));
    calls.wait_for(1);
    running.handle.drain(Duration::from_millis(10));
    called.expect_close();
    assert!(matches!(running.join(), Ended::DrainTimedOut));
    let lines = || fs::read_to_string(&path).unwrap();
    let log = lines();
    assert_eq!(log.lines().count(), 2, "{log}");
    let line = log.lines().last().unwrap();
    for part in ["\"wait\"", "\"status\":\"error\"", "\"CANCELLED\""] {
        assert!(line.contains(part), "{part} in {line}");
    }
    // Its handler continues, and has no line of its own.
    calls.open_gate();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(lines(), log);
    fs::remove_file(&path).unwrap();
}

#[test]
fn a_call_is_in_the_access_log_before_its_answer_is_sent() {
    let calls = Calls::default();
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("access-{}.log", std::process::id()));
    let endpoint = calls.endpoint().record_calls(true).build().unwrap();
    let server = HttpServer::new(endpoint).access_log(Options::new(&path).open().unwrap());
    let running = Running::new(&server);
    let lines = || fs::read_to_string(&path).unwrap().lines().count();
    let mut client = running.connect();
    for calls in 1..=50 {
        client.greet("somebody");
        assert_eq!(lines(), calls);
    }
    let many: Vec<u8> = (0..10).flat_map(|_| post(&zeros(100_000))).collect();
    client.send(many);
    for calls in 51..=60 {
        client.answer();
        assert!(lines() >= calls);
    }
    // A request that reaches no method is not a call.
    assert_eq!(client.call("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 200);
    assert_eq!(client.call("GARBAGE\r\n\r\n").status, 400);
    let log = fs::read_to_string(&path).unwrap();
    assert_eq!(log.lines().count(), 60);
    for (number, line) in log.lines().enumerate() {
        let method = if number < 50 { "\"greet\"" } else { "\"zeros\"" };
        assert!(line.contains(method) && line.contains("\"http_status\":200"), "{line}");
    }
    fs::remove_file(&path).unwrap();
}
