//! Access log lines of calls whose client did not receive its response.

use super::asking::{Gates, plain, session, within};
use super::{Running, until};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;
use vgi_rpc_access_log::Options;
use vgi_rpc_http::HttpServer;

/// Short enough to be waited for.
const TIMEOUT: Duration = Duration::from_millis(200);

/// A server and its log.
struct Logged {
    running: Running,
    path: PathBuf,
}

impl Logged {
    fn new(test: &str, server: &HttpServer) -> Self {
        let path =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}.log", std::process::id()));
        let server = server.clone().access_log(Options::new(&path).open().unwrap());
        Self { running: Running::new(&server), path }
    }

    fn lines(&self) -> Vec<Value> {
        let log = fs::read_to_string(&self.path).unwrap();
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Asserts that the log gets one line more than `before`, with this code and status. `None` for a call that did not
    /// fail.
    #[track_caller]
    fn expect_line(&self, before: usize, method: &str, code: Option<&str>, status: u16) {
        until("the call is logged", || self.lines().len() > before);
        // Another line would appear within this time.
        thread::sleep(Duration::from_millis(20));
        let lines = self.lines();
        assert_eq!(lines.len(), before + 1, "{lines:#?}");
        let line = &lines[before];
        assert_eq!((line["method"].as_str(), line["error_code"].as_str()), (Some(method), code), "{line}");
        assert_eq!(line["http_status"], status, "{line}");
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[test]
fn a_call_whose_client_is_gone_while_its_handler_runs_is_logged_when_that_ends() {
    let gates = Gates::default();
    let logged = Logged::new("handler", &gates.server(gates.endpoint()));
    let mut client = logged.running.connect();
    client.send(plain("talk"));
    gates.handlers.wait_for(1);
    client.reset();
    logged.running.until_empty();
    assert!(logged.lines().is_empty(), "its handler runs on");
    gates.handlers.open_gate();
    logged.expect_line(0, "talk", Some("CANCELLED"), 499);

    // A client that has closed both directions cleanly looks like one that still reads.
    let mut client = logged.running.connect();
    client.send(plain("talk"));
    drop(client);
    logged.expect_line(1, "talk", None, 200);
    logged.running.until_empty();
    assert_eq!(logged.lines().len(), 2);
}

#[test]
fn a_call_whose_client_is_gone_while_its_effect_is_out_is_logged() {
    let gates = Gates::default();
    let logged = Logged::new("effect", &gates.server(gates.endpoint()));
    let mut client = logged.running.connect();
    client.send(plain("gated"));
    gates.effects.wait_for(1);
    client.reset();
    logged.running.until_empty();
    logged.expect_line(0, "gated", Some("CANCELLED"), 499);
    gates.effects.open_gate();
    assert_eq!(logged.running.connect().call(plain("asked")).number(), 1);
    assert_eq!(logged.lines().len(), 2);
}

#[test]
fn a_call_that_waited_too_long_is_logged_with_its_status() {
    let gates = Gates::default();
    let logged = Logged::new("late", &gates.server(gates.endpoint()).waiting_timeout(Some(TIMEOUT)));
    let mut client = logged.running.connect();
    client.send(plain("gated"));
    let answer = client.answer();
    assert_eq!(answer.status, 503);
    assert_eq!(logged.lines().len(), 1, "it is logged before the response");
    logged.expect_line(0, "gated", Some("DEADLINE_EXCEEDED"), 503);
    gates.effects.open_gate();
}

#[test]
fn a_request_that_left_the_queue_for_its_session_was_no_call() {
    let gates = Gates::default();
    let logged = Logged::new("queue", &gates.server(gates.endpoint()));
    let (mut holder, mut leaves) = (logged.running.connect(), logged.running.connect());
    let session = session(&mut holder);
    holder.send(within(&session, "hold"));
    gates.handlers.wait_for(1);
    leaves.send(within(&session, "count"));
    thread::sleep(Duration::from_millis(100));
    leaves.reset();
    until("it is gone", || logged.running.handle.connections() == 1);
    gates.handlers.open_gate();
    assert_eq!(holder.answer().number(), 1);
    assert_eq!(holder.call(within(&session, "count")).number(), 2);
    let methods: Vec<_> =
        logged.lines().iter().map(|line| line["method"].as_str().unwrap().to_owned()).collect();
    assert_eq!(methods, ["open", "hold", "count"]);
}

#[test]
fn a_server_that_stops_logs_the_calls_that_it_breaks_off() {
    let gates = Gates::default();
    let logged = Logged::new("stop", &gates.server(gates.endpoint()));
    let mut client = logged.running.connect();
    client.send(plain("gated"));
    gates.effects.wait_for(1);
    logged.running.handle.stop();
    client.expect_close();
    logged.expect_line(0, "gated", Some("CANCELLED"), 499);
    gates.effects.open_gate();
}
