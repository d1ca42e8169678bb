//! Calls that use effects before they run, on servers with one thread each for handlers and effects.

use crate::common::carrier::{Carrier, Served};
#[cfg(target_os = "linux")]
use crate::common::process::alone;
use crate::common::*;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use vgi_rpc_effects::Performer;
use vgi_rpc_protocol::client::Event;
use vgi_rpc_protocol::effect::{Completion, Failure, Question, Request};
use vgi_rpc_protocol::service::{Method, Protocol, Service, Stop};
use vgi_rpc_protocol::wire::error::RpcError;

/// Accepts every method except `refused`, and waits for the gate first for `gated`.
fn performer(gate: &Gate) -> Performer {
    let gate = gate.clone();
    let answer = move |request: &Request| {
        let Request::Question(question) = request else { return Failure::unsupported().into() };
        let method = question.payload::<String>().unwrap();
        if method == "gated" {
            gate.pass();
        }
        Completion::value(method != "refused")
    };
    Performer::new(answer).threads(1)
}

/// Returns a service whose methods that `asked` names use an effect before they run.
fn asking() -> Arc<Service> {
    let methods = ["gated", "asked", "refused", "free"].map(|name| Method::new(name).unary(|_, _| Ok(())));
    let admission = |call: &vgi_rpc_protocol::service::CallContext,
                     answers: &vgi_rpc_protocol::effect::Answers| {
        if call.method() == "free" {
            return Ok(());
        }
        let answer = answers.ask("may it", || Question::new(call.method().to_owned()))?;
        match answer?.value() {
            Some(true) => Ok(()),
            _ => Err(Stop::Refuse(RpcError::new("PermissionError", "not you"))),
        }
    };
    let protocol = Protocol::new("test.Unix.v1").methods(methods);
    Arc::new(Service::builder("unix00000000").protocol(protocol).admit(admission).build().unwrap())
}

fn served(carrier: Carrier, gate: &Gate) -> Served {
    Served::with(carrier, &asking(), performer(gate), None, |server| server)
}

#[test]
fn a_call_waits_for_its_effect_and_keeps_no_thread_meanwhile() {
    for carrier in Carrier::ALL {
        let gate = Gate::default();
        let served = served(carrier, &gate);
        let mut waiting = served.connect();
        waiting.unary("gated", &nothing());
        gate.wait_for(1);
        // The only handler thread is free for other calls.
        let mut other = served.connect();
        for _ in 0..20 {
            other.expect("free");
            served.connect().expect("free");
        }
        gate.open();
        assert!(matches!(waiting.event(), Event::Output(..)), "{carrier:?}");
        assert!(matches!(waiting.event(), Event::Finished));
        // The machine numbers its effects across the calls of a connection.
        for _ in 0..3 {
            waiting.expect("asked");
            waiting.unary("refused", &nothing());
            let Event::Failed(error) = waiting.event() else { panic!("refused") };
            assert_eq!(error.error_type(), "PermissionError");
            assert!(matches!(waiting.event(), Event::Finished));
            waiting.expect("free");
        }
    }
}

#[test]
fn requests_behind_one_that_waits_are_answered_in_order() {
    for carrier in Carrier::ALL {
        let gate = Gate::default();
        let served = served(carrier, &gate);
        let mut client = served.connect();
        for method in ["gated", "asked", "free", "asked"] {
            std::io::Write::write_all(&mut client.peer, &request(method, &nothing())).unwrap();
        }
        gate.wait_for(1);
        client.peer.half_close();
        gate.open();
        let mut answers = Vec::new();
        std::io::Read::read_to_end(&mut client.peer, &mut answers).unwrap();
        let end_markers = answers.windows(8).filter(|bytes| *bytes == b"\xff\xff\xff\xff\0\0\0\0").count();
        assert_eq!(end_markers, 4, "{carrier:?}");
    }
}

#[test]
fn a_client_that_leaves_while_its_effect_is_out_keeps_nothing() {
    for carrier in Carrier::SOCKETS {
        let gate = Gate::default();
        let served = served(carrier, &gate);
        let mut waiting = served.connect();
        waiting.unary("gated", &nothing());
        gate.wait_for(1);
        waiting.peer.reset();
        served.until_empty();
        served.connect().expect("free");
        gate.open();
        served.connect().expect("asked");
    }
}

#[test]
fn a_call_whose_client_is_gone_while_its_effect_is_out_is_logged() {
    for carrier in Carrier::SOCKETS {
        let gate = Gate::default();
        let log = Some(socket_path().with_extension("log"));
        let served = Served::with(carrier, &asking(), performer(&gate), log, |server| server);
        let mut waiting = served.connect();
        waiting.unary("gated", &nothing());
        gate.wait_for(1);
        waiting.peer.reset();
        served.until_empty();
        gate.open();
        served.connect().expect("asked");
        let lines = served.lines();
        let codes: Vec<_> = lines.iter().map(|line| line["error_code"].as_str()).collect();
        assert_eq!(codes, [Some("CANCELLED"), None], "{carrier:?}");
    }
}

#[test]
fn a_call_that_waits_too_long_is_answered_and_logged() {
    for carrier in Carrier::SOCKETS {
        let gate = Gate::default();
        let log = Some(socket_path().with_extension("log"));
        let timeout = Some(Duration::from_millis(200));
        let set = |server: vgi_rpc_unix::SocketServer| server.waiting_timeout(timeout);
        let served = Served::with(carrier, &asking(), performer(&gate), log, set);
        let mut waiting = served.connect();
        waiting.unary("gated", &nothing());
        let Event::Failed(error) = waiting.event() else { panic!("{carrier:?}") };
        assert_eq!(error.code().as_str(), "DEADLINE_EXCEEDED");
        assert!(matches!(waiting.event(), Event::Finished));
        assert_eq!(std::io::Read::read(&mut waiting.peer, &mut [0]).unwrap(), 0, "it is closed");
        let lines = served.lines();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert_eq!(lines[0]["error_code"], "DEADLINE_EXCEEDED");
        gate.open();
    }
}

#[test]
fn without_a_performer_a_question_fails_its_call() {
    for carrier in Carrier::ALL {
        let served = Served::new(carrier, &asking());
        let mut client = served.connect();
        client.unary("asked", &nothing());
        let Event::Failed(error) = client.event() else { panic!("{carrier:?}") };
        assert!(error.message().contains("not set up"), "{error}");
        assert!(matches!(client.event(), Event::Finished));
        client.expect("free");
    }
}

/// Processor time of this process, in ticks of 10 ms.
#[cfg(target_os = "linux")]
fn processor_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn connections_that_wait_for_effects_use_no_processor() {
    alone("effects::connections_that_wait_for_effects_use_no_processor", || {
        for carrier in Carrier::ALL {
            let gate = Gate::default();
            let served = served(carrier, &gate);
            let mut waiting: Vec<_> = (0..50).map(|_| served.connect()).collect();
            waiting.iter_mut().for_each(|client| client.unary("gated", &nothing()));
            gate.wait_for(1);
            thread::sleep(Duration::from_millis(200));
            until("a second passes in which nothing is done", || {
                let ticks = processor_ticks();
                thread::sleep(Duration::from_secs(1));
                processor_ticks() - ticks <= 2
            });
            gate.open();
            for client in &mut waiting {
                assert!(matches!(client.event(), Event::Output(..)));
            }
        }
    });
}
