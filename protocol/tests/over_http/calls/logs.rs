//! The number of logs of a call: logs that exceed the limits are dropped and counted, and no log costs a call its result.

use super::support::*;
use crate::ask::{With, call_of, init, unary as http_unary};
use crate::common::batches::*;
use crate::common::scenarios::{stream, tick, unary};
use crate::common::service::MAIN;
use crate::serve::{Server, serve};
use arrow_schema::DataType;
use std::sync::{Arc, Mutex};
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::memory::{Account, Budget};
use vgi_rpc_protocol::service::{
    LogSink, Method, MethodSpec, Producer, Service, Stream, TransportKind, Turn,
};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::log::LogMessage;

/// Far more than the limits allow.
const MANY: usize = 100_000;
const LINE: &str = "a line of log that says hardly anything at all";
const LEFT_OUT: &str = "logs left out, since they would take too much memory: ";

#[derive(serde::Serialize, serde::Deserialize)]
struct Talks {}

impl Producer for Talks {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        (0..MANY).for_each(|_| turn.log(LogMessage::info(LINE)));
        turn.emit_columns(vec![int(1)])?;
        turn.log(LogMessage::info("after"));
        turn.finish()
    }
}

fn methods() -> Vec<MethodSpec> {
    vec![
        Method::new("talk").param("count", DataType::Int64).returns(DataType::Utf8).unary(|args, context| {
            for _ in 0..args.get::<i64>("count")? {
                context.log(LogMessage::info(LINE));
            }
            Ok("said")
        }),
        Method::new("talk_and_fail").unary(|_, context| -> Result<(), RpcError> {
            (0..MANY).for_each(|_| context.log(LogMessage::info(LINE)));
            Err(RpcError::value_error("said all the same"))
        }),
        Method::new("huge").returns(DataType::Utf8).unary(|_, context| {
            let extra = vec!["x".repeat(1000); 10_000];
            context.log(LogMessage::info("huge").with("small", 1).with("large", extra));
            Ok("said")
        }),
        Method::new("wide").output(schema_of(5000)).producer(|_, _| Ok(Stream::new(Wide {}))),
        Method::new("talks")
            .output(schema([("n", DataType::Int64)]))
            .producer(|_, _| Ok(Stream::new(Talks {}))),
    ]
}

fn schema_of(columns: usize) -> arrow_schema::SchemaRef {
    let fields = (0..columns).map(|n| arrow_schema::Field::new(format!("{n}"), DataType::Int64, true));
    Arc::new(arrow_schema::Schema::new(fields.collect::<Vec<_>>()))
}

/// An empty batch of its schema is far larger than a log.
#[derive(serde::Serialize, serde::Deserialize)]
struct Wide {}

impl Producer for Wide {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        (0..5000).for_each(|_| turn.log(LogMessage::info("x")));
        turn.finish()
    }
}

fn talking() -> Arc<Service> {
    service_of(methods(), |builder| builder).0
}

fn talk(count: usize) -> arrow_array::RecordBatch {
    row([("count", int(count as i64))])
}

/// Returns the number of log lines, the number reported missing, and the other events.
#[track_caller]
fn sorted(heard: Vec<String>) -> (usize, usize, Vec<String>) {
    let line = format!("log INFO {LINE}");
    let (mut lines, mut missing, mut rest) = (0, 0, Vec::new());
    for heard in heard {
        if heard == line {
            assert!(rest.is_empty() && missing == 0, "logs come first: {rest:?}");
            lines += 1;
        } else if let Some(count) = heard.strip_prefix(&format!("log WARN {LEFT_OUT}")) {
            missing += count.parse::<usize>().unwrap();
        } else {
            rest.push(heard);
        }
    }
    (lines, missing, rest)
}

/// Returns a budget, an account in it, and a reservation of everything else.
fn shortage(limit: usize) -> (Budget, Account, vgi_rpc_protocol::memory::Reservation) {
    let budget = Budget::new(limit);
    let (account, other) = (budget.account(), budget.account());
    let held = other.reserve(limit + Budget::FLOOR_BYTES).unwrap();
    (budget, account, held)
}

#[test]
fn a_handler_that_logs_without_end_gives_its_result_and_leaves_memory_to_others() {
    for limit in [1 << 20, 8 << 20, 64 << 20] {
        let budget = Budget::new(limit);
        let mut wire = Wire::with_account(&talking(), budget.account());
        wire.send(unary("talk", talk(MANY)));
        let done = wire.work().run();
        assert!(budget.used() <= limit / 2, "{budget:?}");
        wire.server.complete(done).unwrap();
        assert!(budget.used() <= limit / 2 + (64 << 10), "{budget:?}");
        assert_eq!(budget.refusals(), 0, "dropped logs do not count as refusals");
        let (lines, missing, rest) = sorted(wire.heard());
        assert_eq!((lines + missing, rest), (MANY, vec!["output result=said".into(), "finished".into()]));
        assert!(lines > 50 && missing > 0, "{lines} and {missing}");
        assert_eq!(wire.recorded(), "ok");
        assert_eq!(sorted(wire.play(unary("talk", talk(20)))).0, 20, "there is room again");
        drop(wire);
        assert_eq!(budget.used(), 0);
    }
}

#[test]
fn without_a_budget_the_limit_holds() {
    let mut wire = Wire::new(&talking());
    let (lines, missing, rest) = sorted(wire.play(unary("talk", talk(MANY))));
    assert_eq!((lines + missing, rest.len()), (MANY, 2));
    let most = Limits::default().max_waiting_logs / LINE.len();
    assert!(lines < most && lines > most / 4, "{lines}");
}

#[test]
fn few_logs_come_whatever_the_budget_has_left() {
    let (_budget, account, _held) = shortage(1 << 20);
    let mut wire = Wire::with_account(&talking(), account);
    for _ in 0..3 {
        let (lines, missing, rest) = sorted(wire.play(unary("talk", talk(MANY))));
        assert!((10..1000).contains(&lines), "{lines}");
        assert_eq!((lines + missing, rest.len()), (MANY, 2));
        assert_eq!(sorted(wire.play(unary("talk", talk(10)))).0, 10);
    }
    assert_eq!(wire.records().iter().filter(|record| record.error.is_some()).count(), 0);
}

#[test]
fn errors_and_turns_come_after_what_is_left_out() {
    let mut wire = Wire::with_account(&talking(), Budget::new(1 << 20).account());
    let (lines, missing, rest) = sorted(wire.play(unary("talk_and_fail", no_columns(1))));
    assert_eq!((lines + missing, rest.len()), (MANY, 2));
    assert!(rest[0].starts_with("failed ValueError"), "{rest:?}");
    wire.play(stream("talks", no_columns(1)));
    let heard = wire.play(tick());
    assert!(heard.iter().any(|heard| heard == "output n=1"), "{:?}", heard.last());
    let (lines, missing, rest) = sorted(heard);
    assert_eq!(lines + missing + usize::from(rest.contains(&"log INFO after".into())), MANY + 1);
    assert!(missing > 0 && rest.last().is_some_and(|last| last == "finished"), "{rest:?}");
}

#[test]
fn logs_that_are_large_for_their_schema_are_counted_as_such() {
    let budget = Budget::new(16 << 20);
    let mut wire = Wire::with_account(&talking(), budget.account());
    wire.send(stream("wide", no_columns(1)));
    wire.run();
    wire.send(tick());
    let done = wire.work().run();
    wire.server.complete(done).unwrap();
    assert!(budget.used() < 10 << 20, "{budget:?}");
    let heard = wire.heard();
    assert!(heard.iter().any(|heard| heard.contains(LEFT_OUT)) && heard.last().unwrap() == "finished");
}

/// Keeps its logs, like a driver whose client does not read.
#[derive(Default)]
struct Keeps(Mutex<Vec<LogMessage>>);

impl LogSink for Keeps {
    fn log(&self, message: LogMessage) -> Result<(), LogMessage> {
        self.0.lock().unwrap().push(message);
        Ok(())
    }
}

#[test]
fn logs_that_wait_with_a_driver_are_bounded_as_well() {
    let budget = Budget::new(64 << 20);
    let mut wire = Wire::with_account(&talking(), budget.account());
    for _ in 0..2 {
        let sink = Arc::new(Keeps::default());
        wire.send(unary("talk", talk(MANY)));
        let done = wire.work().run_with_logs(sink.clone());
        let kept = std::mem::take(&mut *sink.0.lock().unwrap());
        assert!(kept.len() < MANY / 2 && budget.used() > 1 << 20, "{} {budget:?}", kept.len());
        for log in &kept {
            wire.server.log(log);
        }
        wire.server.complete(done).unwrap();
        let (lines, missing, rest) = sorted(wire.heard());
        assert_eq!((lines, lines + missing, rest.len()), (kept.len(), MANY, 2));
    }
    // Their memory is also released if the work that made them is lost.
    wire.send(unary("talk", talk(MANY)));
    drop(wire.work().run_with_logs(Arc::new(Keeps::default())));
    wire.server.lose_work();
    wire.heard();
    let (lines, missing, _) = sorted(wire.play(unary("talk", talk(1000))));
    assert_eq!((lines, missing), (1000, 0));
}

#[test]
fn an_extra_of_any_size_is_held_as_what_is_sent_of_it() {
    let budget = Budget::new(64 << 20);
    let mut wire = Wire::with_account(&talking(), budget.account());
    wire.send(unary("huge", no_columns(1)));
    let done = wire.work().run();
    assert!(budget.used() < 64 << 10, "{budget:?}");
    wire.server.complete(done).unwrap();
    let heard = wire.heard();
    assert!(heard[0].starts_with("log INFO huge") && heard.len() == 3, "{heard:?}");
}

fn server() -> Server {
    let service = talking();
    service.start(TransportKind::Http).unwrap();
    serve(service, |builder| builder)
}

#[test]
fn over_http_as_on_bytes() {
    let budget = Budget::new(1 << 20);
    let server = server();
    for request in [http_unary("talk", talk(MANY)), init("talks", no_columns(1))] {
        let mut visit = Visit::with_account(&server, request, budget.account());
        let answered = visit.answer();
        assert_eq!((answered.status, answered.is_marked()), (200, false));
        assert!(answered.body.len() < 1 << 20, "{}", answered.body.len());
        assert!(String::from_utf8_lossy(&answered.body).contains(LEFT_OUT));
        drop((visit, answered));
        assert_eq!(budget.used(), 0);
    }
}

#[test]
fn logs_give_way_to_a_result_that_a_response_has_room_for() {
    let server = server();
    let limited = |count| {
        let request = call_of(MAIN, "talk", "", talk(count));
        server.send(request.with("vgi-accept-max-response-bytes", "65536"))
    };
    let few = limited(100);
    assert_eq!(few.text(), "said");
    assert!(!String::from_utf8_lossy(&few.body).contains(LEFT_OUT));
    let many = limited(1000);
    assert_eq!(many.text(), "said");
    assert!(String::from_utf8_lossy(&many.body).contains(&format!("{LEFT_OUT}1000")));
}
