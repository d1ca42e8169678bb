//! Logs of unary handlers, sent while the handler runs.

use crate::common::carrier::{Carrier, Served};
use crate::common::process::alone;
use crate::common::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use vgi_rpc_protocol::client::Event;
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_protocol::service::{Method, Protocol, Service};
use vgi_rpc_protocol::wire::log::LogMessage;

const MANY: usize = 10_000;
const BURST: usize = 1000;
const FLOOD: usize = 200_000;
/// A line of `many`, without its number.
const LINE: &str = "a line of a handler that has a great deal to say, and says it all at once, number";

/// `flood` logs far more than fits and counts itself as `ended`; `burst` logs many lines at once before the gate and one
/// after it; `talk` logs before and after the gate; `many` logs 10,000 lines; `go_on` logs until the gate is open, and
/// then counts itself as `ended`.
fn talking(gate: &Gate, ended: &Arc<AtomicUsize>) -> Arc<Service> {
    let (talks, bursts, goes_on, ended) = (gate.clone(), gate.clone(), gate.clone(), ended.clone());
    let floods = ended.clone();
    let protocol = Protocol::new("test.Unix.v1").methods([
        Method::new("talk").unary(move |_, context| {
            context.log(LogMessage::info("first"));
            talks.pass();
            context.log(LogMessage::info("second"));
            Ok(())
        }),
        Method::new("burst").unary(move |_, context| {
            (0..BURST).for_each(|number| context.log(LogMessage::info(number.to_string())));
            bursts.pass();
            context.log(LogMessage::info("behind the gate"));
            Ok(())
        }),
        Method::new("many").unary(|_, context| {
            for number in 0..MANY {
                context.log(LogMessage::info(format!("{LINE} {number}")));
            }
            Ok(())
        }),
        Method::new("go_on").unary(move |_, context| {
            for number in 0..50 {
                context.log(LogMessage::info(format!("{number}")));
                thread::sleep(Duration::from_millis(1));
            }
            goes_on.pass();
            for number in 0..50 {
                context.log(LogMessage::info(format!("{number}")));
            }
            ended.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }),
        Method::new("flood").unary(move |_, context| {
            (0..FLOOD).for_each(|_| context.log(LogMessage::info(LINE)));
            floods.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }),
        Method::new("quiet").unary(|_, _| Ok(())),
    ]);
    Arc::new(Service::builder("unix00000000").protocol(protocol).build().unwrap())
}

#[test]
fn a_log_comes_while_its_handler_runs() {
    for carrier in Carrier::ALL {
        let gate = Gate::default();
        let served = Served::new(carrier, &talking(&gate, &Arc::default()));
        let mut client = served.connect();
        client.unary("talk", &nothing());
        assert_eq!(client.log(), "first", "{carrier:?}");
        gate.wait_for(1);
        gate.open();
        assert_eq!(client.log(), "second");
        assert!(matches!(client.event(), Event::Output(..)));
        assert!(matches!(client.event(), Event::Finished));
        client.expect("quiet");
    }
}

#[test]
fn many_logs_at_once_come_while_their_handler_runs() {
    for carrier in Carrier::ALL {
        let gate = Gate::default();
        let served = Served::new(carrier, &talking(&gate, &Arc::default()));
        let mut client = served.connect();
        let began = Instant::now();
        client.unary("burst", &nothing());
        for number in 0..BURST {
            assert_eq!(client.log(), number.to_string(), "{carrier:?}");
        }
        assert!(began.elapsed() < PATIENCE, "{carrier:?}: the gate timed out");
        gate.wait_for(1);
        gate.open();
        assert_eq!(client.log(), "behind the gate");
        assert!(matches!(client.event(), Event::Output(..)));
        assert!(matches!(client.event(), Event::Finished));
    }
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

#[test]
fn many_logs_come_in_order_to_a_client_that_reads_slowly() {
    alone("live_logs::many_logs_come_in_order_to_a_client_that_reads_slowly", || {
        // Each line once as logged, and once encoded, with its framing.
        let most = MANY * (LINE.len() + 200 + 1000) + (8 << 20);
        for carrier in Carrier::ALL {
            let served = Served::new(carrier, &talking(&Gate::default(), &Arc::default()));
            let before = resident();
            let mut client = served.connect();
            client.unary("many", &nothing());
            for number in 0..MANY {
                if number % 500 == 0 {
                    thread::sleep(Duration::from_millis(5));
                    let used = resident().saturating_sub(before);
                    assert!(used < most, "{carrier:?}: {used} bytes at line {number}");
                }
                assert_eq!(client.log(), format!("{LINE} {number}"), "{carrier:?}");
            }
            assert!(matches!(client.event(), Event::Output(..)));
            assert!(matches!(client.event(), Event::Finished));
            client.expect("quiet");
        }
    });
}

#[test]
fn a_client_that_does_not_read_costs_little_and_gets_its_result() {
    const BUDGET: usize = 64 << 20;
    for carrier in [Carrier::Unix, Carrier::Tcp] {
        let (ended, budget) = (Arc::<AtomicUsize>::default(), Budget::new(BUDGET));
        let service = talking(&Gate::default(), &ended);
        let served = Served::logged(carrier, &service, |server| server.budget(budget.clone()));
        let mut client = served.connect();
        client.unary("flood", &nothing());
        until("the handler ends", || ended.load(Ordering::SeqCst) == 1);
        // Some of the logs are encoded and wait for the client; the result waits for the logs.
        thread::sleep(Duration::from_millis(100));
        assert!((1 << 20..8 << 20).contains(&budget.used()), "{carrier:?}: {budget:?}");
        served.connect().expect("quiet");
        assert_eq!(budget.refusals(), 0);
        let mut lines = 0;
        let count = loop {
            let log = client.log();
            match log.strip_prefix("logs left out, since they would take too much memory: ") {
                Some(count) => break count.parse::<usize>().unwrap(),
                None => assert_eq!(log, LINE),
            }
            lines += 1;
        };
        assert_eq!(lines + count, FLOOD, "{carrier:?}");
        assert!(matches!(client.event(), Event::Output(..)));
        assert!(matches!(client.event(), Event::Finished));
        client.expect("quiet");
        // One that disconnects without reading its response.
        client.unary("flood", &nothing());
        until("the handler ends", || ended.load(Ordering::SeqCst) == 2);
        client.peer.reset();
        served.until_empty();
        assert_eq!(served.lines().len(), 4, "{carrier:?}");
        until("all memory is back", || budget.used() == 0);
    }
}

#[test]
fn a_client_that_hangs_up_ends_its_connection_and_not_the_handler() {
    for carrier in Carrier::ALL {
        let (gate, ended) = (Gate::default(), Arc::<AtomicUsize>::default());
        let served = Served::logged(carrier, &talking(&gate, &ended), |server| server);
        let mut client = served.connect();
        client.unary("go_on", &nothing());
        assert_eq!(client.log(), "0");
        client.peer.reset();
        if carrier != Carrier::Pipe {
            served.until_empty();
        }
        gate.wait_for(1);
        assert_eq!(ended.load(Ordering::SeqCst), 0);
        gate.open();
        until("the handler ends", || ended.load(Ordering::SeqCst) == 1);
        served.until_empty();
        assert_eq!(served.lines().len(), 1, "{carrier:?}");
        served.connect().expect("quiet");
    }
}
