//! Calls whose client disconnected or broke the protocol: each has one line in the access log with the reason. Also the
//! errors that a stalled peer receives.

use crate::common::carrier::{Carrier, RawClient, Served};
use crate::common::*;
use arrow_array::{Int64Array, RecordBatch};
use std::io::{Read, Write};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use vgi_rpc_protocol::client::Event;
use vgi_rpc_unix::SocketServer;

/// Short enough to wait for.
const TIMEOUT: Duration = Duration::from_millis(300);

fn impatient(server: SocketServer) -> SocketServer {
    server.message_timeout(Some(TIMEOUT))
}

fn count() -> RecordBatch {
    row("to", Arc::new(Int64Array::from(vec![i64::MAX])))
}

/// Returns a batch that asks for batches of 8 MiB.
fn blocks() -> RecordBatch {
    let number = |n: i64| Arc::new(Int64Array::from(vec![n])) as _;
    let columns = [("batches", number(9)), ("rows", number(1 << 20)), ("fails_at", number(-1))];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// Returns a client with an open stream, of which it has read one output.
fn streaming(served: &Served) -> RawClient {
    let mut client = served.connect();
    client.open("count", &count());
    assert!(matches!(client.event(), Event::Output(..)));
    client
}

/// Asserts that the log has this one line when all connections are closed: for a call that failed with this code, or did
/// not fail.
#[track_caller]
fn expect_line(served: &Served, method: &str, code: Option<&str>, what: &str) {
    served.until_empty();
    until("the call is logged", || !served.lines().is_empty());
    // Another line would appear within this time.
    thread::sleep(Duration::from_millis(20));
    let lines = served.lines();
    assert_eq!(lines.len(), 1, "{what}: {lines:#?}");
    assert_eq!(lines[0]["method"], method, "{what}");
    assert_eq!(lines[0]["status"], if code.is_some() { "error" } else { "ok" }, "{what}: {}", lines[0]);
    assert_eq!(lines[0]["error_code"].as_str(), code, "{what}: {}", lines[0]);
}

/// Runs a client on each carrier, and expects the one line for that carrier.
#[track_caller]
fn each(what: &str, method: &str, act: impl Fn(&Served), code: impl Fn(Carrier) -> Option<&'static str>) {
    for carrier in Carrier::ALL {
        let served = Served::logged(carrier, &service(&Gate::default()), impatient);
        act(&served);
        expect_line(&served, method, code(carrier), &format!("{what}, {carrier:?}"));
    }
}

#[test]
fn a_stream_that_goes_on_with_junk_is_logged_as_failed() {
    let junk = |served: &Served| {
        let mut client = streaming(served);
        client.peer.write_all(b"garbage garbage garbage garbage").unwrap();
        client.peer.half_close();
        client.peer.read_to_end(&mut Vec::new()).unwrap();
    };
    each("junk", "count", junk, |_| Some("UNKNOWN"));
}

#[test]
fn a_stream_that_ends_inside_a_message_is_logged_as_failed() {
    for cut in [1, 4, 8, 20] {
        let cut_off = |served: &Served| {
            let mut client = streaming(served);
            let tick = client.tick_bytes();
            client.peer.write_all(&tick[..cut]).unwrap();
            client.peer.half_close();
            client.peer.read_to_end(&mut Vec::new()).unwrap();
        };
        each(&format!("{cut} bytes of a tick"), "count", cut_off, |_| Some("UNKNOWN"));
    }
}

#[test]
fn a_stream_whose_client_is_gone_without_reading_is_logged_as_broken_off() {
    let reset = |served: &Served| {
        let mut client = served.connect();
        client.open("count", &count());
        // The first output has arrived.
        thread::sleep(Duration::from_millis(100));
        client.peer.reset();
    };
    // A pipe that is closed between two messages ends the stream cleanly, read or not.
    each("reset", "count", reset, |carrier| (carrier != Carrier::Pipe).then_some("CANCELLED"));
}

#[test]
fn a_stream_whose_client_leaves_while_output_waits_is_logged_as_broken_off() {
    let leave = |served: &Served| {
        let mut client = served.connect();
        client.open("blocks", &blocks());
        client.peer.read_exact(&mut [0; 1000]).unwrap();
        thread::sleep(Duration::from_millis(50));
        client.peer.reset();
    };
    each("output waits", "blocks", leave, |_| Some("CANCELLED"));
}

#[test]
fn a_stream_that_stalls_inside_a_tick_is_logged_as_timed_out() {
    for carrier in Carrier::SOCKETS {
        let served = Served::logged(carrier, &service(&Gate::default()), impatient);
        let mut client = streaming(&served);
        let tick = client.tick_bytes();
        client.peer.write_all(&tick[..tick.len() / 2]).unwrap();
        client.peer.read_to_end(&mut Vec::new()).unwrap();
        drop(client);
        expect_line(&served, "count", Some("DEADLINE_EXCEEDED"), &format!("stalled, {carrier:?}"));
    }
}

#[test]
fn a_unary_call_whose_client_is_gone_while_its_handler_runs_is_logged() {
    for carrier in Carrier::ALL {
        let gate = Gate::default();
        let served = Served::logged(carrier, &service(&gate), |server| server);
        let mut client = served.connect();
        client.unary("wait", &nothing());
        client.peer.reset();
        gate.wait_for(1);
        if carrier != Carrier::Pipe {
            served.until_empty();
            assert_eq!(served.lines().len(), 1, "it is logged after the client has disconnected");
        }
        gate.open();
        // The loss of a pipe's reader is only noticed on a write, at the end of the call.
        let code = (carrier != Carrier::Pipe).then_some("CANCELLED");
        expect_line(&served, "wait", code, &format!("at work, {carrier:?}"));
    }
}

#[test]
fn a_server_that_stops_logs_the_calls_that_it_breaks_off() {
    for carrier in Carrier::SOCKETS {
        let gate = Gate::default();
        let served = Served::logged(carrier, &service(&gate), |server| server.threads(2));
        let (mut streams, mut waits) = (streaming(&served), served.connect());
        waits.unary("wait", &nothing());
        gate.wait_for(1);
        served.stop();
        for client in [&mut streams, &mut waits] {
            assert!(matches!(client.peer.read(&mut [0; 16]), Ok(0) | Err(_)), "{carrier:?}");
        }
        until("both are logged", || served.lines().len() == 2);
        assert!(served.lines().iter().all(|line| line["error_code"] == "CANCELLED"), "{carrier:?}");
        gate.open();
    }
}

#[test]
fn a_stream_that_is_closed_between_two_ticks_is_logged_as_complete() {
    let half_close = |served: &Served| {
        let mut client = streaming(served);
        client.peer.half_close();
        client.peer.read_to_end(&mut Vec::new()).unwrap();
    };
    each("closed on one side", "count", half_close, |_| None);
    let close = |served: &Served| drop(streaming(served));
    each("closed", "count", close, |_| None);
}

#[test]
fn a_peer_that_stalls_is_told_why_it_is_closed() {
    let request = echo_request(100);
    let whole = request.len() - 8;
    for carrier in Carrier::SOCKETS {
        let served = Served::logged(carrier, &service(&Gate::default()), impatient);
        for sent in [4, 200] {
            let mut client = served.connect();
            client.peer.write_all(&request[..sent]).unwrap();
            let mut said = Vec::new();
            client.peer.read_to_end(&mut said).unwrap();
            let said = String::from_utf8_lossy(&said);
            assert!(said.contains("DEADLINE_EXCEEDED"), "{carrier:?}, {sent} bytes: {said:?}");
        }
        // A request that lacks only its end marker is answered, or refused if that must happen first.
        let mut client = served.connect();
        client.peer.write_all(&request[..whole]).unwrap();
        let mut said = Vec::new();
        client.peer.read_to_end(&mut said).unwrap();
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains("DEADLINE_EXCEEDED"), "{carrier:?}, without the end marker: {said:?}");

        // As the client's machine sees it, after an output.
        let mut client = streaming(&served);
        let tick = client.tick_bytes();
        client.peer.write_all(&tick[..tick.len() / 2]).unwrap();
        let Event::Failed(error) = client.event() else { panic!("{carrier:?}") };
        assert_eq!(error.code().as_str(), "DEADLINE_EXCEEDED");
        assert!(matches!(client.event(), Event::Finished));
        assert_eq!(client.peer.read(&mut [0; 16]).unwrap(), 0);
    }
}
