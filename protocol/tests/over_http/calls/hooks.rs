//! The hooks of listeners: the same calls in the same order, on every carrier and however a call ends.

use super::support::*;
use crate::ask::unary as http_unary;
use crate::ask::{Tokens, call_of, cancel as http_cancel, init, tick as http_tick, turn as http_turn};
use crate::common::batches::*;
use crate::common::driver::{Command, Rest};
use crate::common::scenarios::{send, stream, tick, unary, values, versioned};
use crate::common::service::{MAIN, SERVER_ID, VERSIONED};
use crate::serve::{Server, serve};
use arrow_array::RecordBatch;
use bytes::Bytes;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use vgi_rpc_protocol::service::{CallContext, CallHook, CallRecord, CallScope, Method, Protocol, Service};
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::error::RpcError;

fn echo() -> RecordBatch {
    row([("value", text("x"))])
}

fn count(count: i64) -> RecordBatch {
    row([("count", int(count))])
}

/// Returns a service that admits all calls but those of `log`.
fn heard() -> (Arc<Service>, Journal) {
    service(|builder| {
        builder.admit(|call, _| match call.method() {
            "log" => Err(RpcError::permission_error("no logs").into()),
            _ => Ok(()),
        })
    })
}

fn over_http(service: &Arc<Service>) -> Server {
    serve(service.clone(), |builder| builder)
}

const RUN: [&str; 5] = ["start", "enter", "run", "exit", "end ok"];

#[test]
fn unary_calls_sound_alike_on_both_carriers() {
    let wrong = || row([("other", text("x"))]);
    let log = || row([("count", int(1)), ("manner", text("x"))]);
    let cases: [(&str, RecordBatch, &[&str]); 5] = [
        ("echo", echo(), &RUN),
        ("fail", no_columns(1), &["start", "enter", "run", "exit", "end ValueError"]),
        ("panic", no_columns(1), &["start", "enter", "run", "exit", "end Panic"]),
        // The parameters are checked when the handler would run.
        ("echo", wrong(), &["start", "enter", "exit", "end TypeError"]),
        ("log", log(), &["start", "end PermissionError"]),
    ];
    let (service, journal) = heard();
    let (mut wire, server) = (Wire::new(&service), over_http(&service));
    for (method, row, expected) in cases {
        wire.play(unary(method, row.clone()));
        assert_eq!(journal.take(), expected, "{method} on bytes");
        server.send(http_unary(method, row));
        assert_eq!(journal.take(), expected, "{method} over HTTP");
    }
    wire.play(versioned(Some("0.9.0"), unary("echo", echo())));
    assert_eq!(journal.take(), ["start", "end ProtocolVersionError"]);
    server.send(call_of(VERSIONED, "echo", "", echo()));
    assert_eq!(journal.take(), ["start", "end ProtocolVersionError"]);
}

#[test]
fn a_stream_on_bytes_is_one_call() {
    let (service, journal) = heard();
    let mut wire = Wire::new(&service);
    wire.play(stream("count", count(1)));
    wire.play(tick());
    assert_eq!(journal.take(), ["start", "enter", "run", "exit", "enter", "turn", "exit"]);
    wire.play(tick());
    assert_eq!(journal.take(), ["enter", "turn", "exit", "end ok"]);
    wire.play(stream("double", no_columns(1)));
    wire.play(send(values([1.0])));
    wire.play(send(values([2.0])));
    wire.play(Command::Close);
    let turns = ["enter", "turn", "exit", "enter", "turn", "exit", "end ok"];
    assert_eq!(journal.take(), [&["start", "enter", "run", "exit"][..], &turns].concat());
}

#[test]
fn a_stream_over_http_is_one_call_for_each_request() {
    let (service, journal) = heard();
    let server = over_http(&service);
    let mut tokens = Tokens::of(&server.send(init("count", count(2))));
    let opening = ["start", "enter", "run", "exit", "enter", "turn", "exit", "end ok"];
    assert_eq!(journal.take(), opening, "it takes its first turn, and is one call");
    for _ in 0..2 {
        let answered = server.send(http_tick("count", &tokens));
        assert_eq!(journal.take(), ["start", "enter", "turn", "exit", "end ok"]);
        if answered.cursor().is_some() {
            tokens.follow(&answered);
        }
    }
    let tokens = Tokens::of(&server.send(init("double", no_columns(1))));
    assert_eq!(journal.take(), RUN);
    server.send(http_turn("double", values([1.0]), &tokens));
    assert_eq!(journal.take(), ["start", "enter", "turn", "exit", "end ok"]);
    server.send(http_turn("double", row([("other", text("x"))]), &tokens));
    // The input is checked when the handler would run.
    assert_eq!(journal.take(), ["start", "enter", "exit", "end TypeError"]);
}

#[test]
fn a_cancel_is_no_dispatch() {
    let (service, journal) = heard();
    let mut wire = Wire::new(&service);
    wire.play(stream("count", count(9)));
    wire.play(tick());
    journal.take();
    wire.play(Command::Cancel);
    assert_eq!(journal.take(), ["cancel", "end ok"], "the hook of the state runs outside of the scope");
    let records = wire.records();
    assert!(records.len() == 1 && records[0].cancelled);

    let server = over_http(&service);
    let tokens = Tokens::of(&server.send(init("count", count(9))));
    journal.take();
    let answered = server.send(http_cancel("count", &tokens));
    assert_eq!(journal.take(), ["cancel"], "no call has started, so none ends");
    assert!(answered.record.unwrap().cancelled);
}

/// Returns a stream that has taken one turn. Its journal has been read.
fn open_stream(service: &Arc<Service>, journal: &Journal) -> Wire {
    let mut wire = Wire::new(service);
    wire.play(stream("double", no_columns(1)));
    wire.play(send(values([1.0])));
    journal.take();
    wire
}

#[test]
fn a_stream_that_breaks_off_ends() {
    let (service, journal) = heard();
    let junk = |wire: &mut Wire| {
        wire.server.receive(Bytes::from_static(b"this is no message at all"));
        assert!(matches!(wire.rest(), Rest::Failed(_)));
        assert!(matches!(wire.rest(), Rest::Failed(_)));
    };
    let truncated = |wire: &mut Wire| {
        wire.server.receive(Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 64, 0, 0, 0, 1]));
        assert_eq!(wire.rest(), Rest::NeedInput);
        wire.server.receive_eof();
        assert!(matches!(wire.rest(), Rest::Failed(_)));
    };
    let hung_up = |wire: &mut Wire| {
        wire.server.hang_up();
        wire.server.hang_up();
    };
    let abandoned = |wire: &mut Wire| {
        wire.server.abandon(RpcError::status(Code::DeadlineExceeded, "too slow")).unwrap();
        assert!(matches!(wire.rest(), Rest::Failed(_)));
    };
    type End = fn(&mut Wire);
    let ends = [
        ("junk", junk as End, "end RuntimeError"),
        ("truncated", truncated, "end RuntimeError"),
        ("hung up", hung_up, "end StatusError"),
        ("abandoned", abandoned, "end StatusError"),
    ];
    for (what, end, expected) in ends {
        let mut wire = open_stream(&service, &journal);
        end(&mut wire);
        assert_eq!(journal.take(), [expected], "{what}");
        drop(wire);
        assert_eq!(journal.take(), Vec::<String>::new(), "{what}: once");
    }
    drop(open_stream(&service, &journal));
    assert_eq!(journal.take(), ["end StatusError"]);
}

#[test]
fn junk_that_comes_during_a_turn_ends_the_stream_after_it() {
    let (service, journal) = heard();
    let mut wire = open_stream(&service, &journal);
    wire.send(send(values([3.0])));
    let work = wire.work();
    wire.server.receive(Bytes::from_static(b"this is no message at all"));
    assert_eq!(wire.rest(), Rest::NeedCommand);
    wire.server.complete(work.run()).unwrap();
    assert_eq!(journal.take(), ["enter", "turn", "exit"]);
    assert!(matches!(wire.rest(), Rest::Failed(_)));
    assert_eq!(wire.heard()[0], "output value=6.0", "the answer is still sent");
    assert_eq!(journal.take(), ["end RuntimeError"]);
    assert_eq!(wire.recorded(), "RuntimeError");
}

#[test]
fn a_cancel_that_comes_during_a_turn_is_heard_once_after_it() {
    let (service, journal) = heard();
    // The bytes of a client's cancel, which it would send after the turn.
    let cancel = {
        let mut other = open_stream(&service, &journal);
        Command::Cancel.issue(&mut other.client).unwrap();
        let mut bytes = Vec::new();
        crate::common::feed::drain(other.client.poll_transmit(), usize::MAX, &mut bytes);
        Bytes::from(bytes)
    };
    journal.take();
    let mut wire = open_stream(&service, &journal);
    wire.send(send(values([3.0])));
    let work = wire.work();
    wire.server.receive(cancel);
    assert_eq!(wire.rest(), Rest::NeedCommand);
    assert_eq!(journal.take(), Vec::<String>::new());
    wire.server.complete(work.run()).unwrap();
    wire.run();
    assert_eq!(journal.take(), ["enter", "turn", "exit", "cancel", "end ok"]);
    assert!(wire.records()[0].cancelled);
}

#[test]
fn a_peer_is_not_given_up_while_a_handler_runs() {
    let (service, journal) = heard();
    let mut wire = Wire::new(&service);
    wire.send(unary("echo", echo()));
    let work = wire.work();
    assert!(wire.server.abandon(RpcError::status(Code::DeadlineExceeded, "too slow")).is_err());
    wire.server.complete(work.run()).unwrap();
    assert_eq!(wire.heard(), ["output result=x", "finished"]);
    assert_eq!(journal.take(), RUN);
    assert_eq!(wire.recorded(), "ok");
}

#[test]
fn the_end_of_input_between_turns_is_the_end_of_the_stream() {
    let (service, journal) = heard();
    let mut wire = open_stream(&service, &journal);
    wire.server.receive_eof();
    assert_eq!(wire.rest(), Rest::Closed);
    assert_eq!(journal.take(), ["end ok"]);
}

#[test]
fn a_call_whose_peer_hangs_up_while_its_handler_runs_ends_before_the_handler_does() {
    let ((running, is_running), (go, may_go)) = (channel(), channel::<()>());
    let may_go = Mutex::new(may_go);
    let spec = Method::new("wait").unary(move |_, context| {
        journal(context).note("run");
        running.send(()).unwrap();
        let _ = may_go.lock().unwrap().recv();
        Ok(())
    });
    let (service, journal) = service_of(vec![spec], |builder| builder);
    let mut wire = Wire::new(&service);
    wire.send(unary("wait", no_columns(1)));
    let work = wire.work();
    let done = thread::scope(|scope| {
        let handler = scope.spawn(move || work.run());
        is_running.recv().unwrap();
        wire.server.hang_up();
        assert_eq!(journal.take(), ["start", "enter", "run", "end StatusError"]);
        assert_eq!(wire.recorded(), "StatusError");
        go.send(()).unwrap();
        handler.join().unwrap()
    });
    assert_eq!(journal.take(), ["exit"]);
    assert!(wire.server.complete(done).is_err(), "nothing waits for it");
    assert_eq!(journal.take(), Vec::<String>::new());
    assert_eq!(wire.records().len(), 0);
}

/// Records the thread of each hook.
#[derive(Clone)]
struct Threads(&'static str, Arc<Mutex<Vec<(String, ThreadId)>>>);

impl Threads {
    fn note(&self, what: &str) {
        self.1.lock().unwrap().push((format!("{} {what}", self.0), thread::current().id()));
    }
}

impl CallHook for Threads {
    fn on_start(&self, _: &CallContext) -> Option<Box<dyn CallScope>> {
        self.note("start");
        Some(Box::new(self.clone()))
    }
}

impl CallScope for Threads {
    fn enter(&mut self) {
        self.note("enter");
    }

    fn exit(&mut self) {
        self.note("exit");
    }

    fn end(&mut self, _: &CallRecord) {
        self.note("end");
    }
}

#[test]
fn handlers_are_entered_on_their_own_thread_and_scopes_nest() {
    crate::common::quiet_panics();
    let noted = Arc::default();
    let own = thread::current().id();
    let handlers = Arc::new(Mutex::new(None));
    let of_handler = handlers.clone();
    let spec = Method::new("good").unary(move |_, _| {
        *of_handler.lock().unwrap() = Some(thread::current().id());
        Ok(())
    });
    let service = Service::builder(SERVER_ID)
        .protocol(Protocol::new(MAIN).method(spec))
        .hook(Threads("a", Arc::clone(&noted)))
        .hook(Threads("b", Arc::clone(&noted)));
    let service = Arc::new(service.build().unwrap());

    let mut wire = Wire::new(&service);
    wire.send(unary("good", no_columns(1)));
    let work = wire.work();
    let done = thread::scope(|scope| scope.spawn(move || work.run()).join().unwrap());
    wire.server.complete(done).unwrap();
    let other = handlers.lock().unwrap().take().unwrap();
    assert_ne!(own, other);
    let expected = [
        ("a start", own),
        ("b start", own),
        ("a enter", other),
        ("b enter", other),
        ("b exit", other),
        ("a exit", other),
        ("a end", own),
        ("b end", own),
    ];
    let expected = expected.map(|(what, thread)| (what.to_owned(), thread));
    assert_eq!(*noted.lock().unwrap(), expected);

    noted.lock().unwrap().clear();
    let mut visit = Visit::begin(&over_http(&service), http_unary("good", no_columns(1)));
    let (work, now) = (visit.work(), visit.now);
    let done = thread::scope(|scope| scope.spawn(move || work.run(&|| now)).join().unwrap());
    visit.transaction.complete(done).unwrap();
    assert_eq!(visit.answer().status, 200);
    let other = handlers.lock().unwrap().take().unwrap();
    let noted = noted.lock().unwrap();
    let whats: Vec<_> = noted.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(whats, expected.each_ref().map(|(what, _)| what.as_str()));
    let entered = noted.iter().filter(|(what, _)| what.contains("enter") || what.contains("exit"));
    assert!(entered.clone().count() == 4 && entered.into_iter().all(|(_, thread)| *thread == other));
}

/// Also listens to parameters.
pub struct Parameters(pub Journal);

struct ParametersScope(Journal);

impl CallHook for Parameters {
    fn on_start(&self, _: &CallContext) -> Option<Box<dyn CallScope>> {
        Some(Box::new(ParametersScope(self.0.clone())))
    }
}

impl CallScope for ParametersScope {
    fn parameters(&mut self, row: &RecordBatch) {
        let schema = row.schema();
        let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        self.0.note(format!("parameters {} of {}", names.join(" "), row.num_rows()));
    }
}

#[test]
fn parameters_are_known_before_the_handler_runs_and_once_for_each_stream() {
    let told = Journal::default();
    let (service, journal) = service(|builder| builder.hook(Parameters(told.clone())));
    let (mut wire, server) = (Wire::new(&service), over_http(&service));
    wire.play(unary("echo", echo()));
    assert_eq!(told.take(), ["parameters value of 1"]);
    // They are not yet validated.
    wire.play(unary("echo", row([("other", text("x"))])));
    assert_eq!(told.take(), ["parameters other of 1"]);
    wire.play(stream("count", count(1)));
    wire.play(tick());
    assert_eq!(told.take(), ["parameters count of 1"]);
    let tokens = Tokens::of(&server.send(init("count", count(2))));
    server.send(http_tick("count", &tokens));
    assert_eq!(told.take(), ["parameters count of 1"]);
    drop(journal);
}

#[test]
fn an_effect_of_a_call_is_performed_within_it() {
    let (service, journal) = service(|builder| {
        builder.admit(|_, answers| {
            answers.ask("may it", || vgi_rpc_protocol::effect::Question::new(()))??;
            Ok(())
        })
    });
    let mut wire = Wire::new(&service);
    wire.play(unary("echo", echo()));
    let effect = wire.effect();
    assert_eq!(journal.take(), ["start"]);
    let seen = effect.within(|_| {
        journal.note("perform");
        7
    });
    assert_eq!((seen, journal.take()), (7, ["enter", "perform", "exit"].map(str::to_owned).to_vec()));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        effect.within(|_| std::panic::panic_any("on purpose, in an effect"));
    }));
    assert!(panicked.is_err());
    assert_eq!(journal.take(), ["enter", "exit"]);
    // The call ends before the effect does.
    effect.within(|_| {
        wire.server.hang_up();
        journal.note("perform");
    });
    assert_eq!(journal.take(), ["enter", "end StatusError", "perform", "exit"]);
    effect.within(|_| journal.note("perform"));
    assert_eq!(journal.take(), ["perform"], "no scope is entered after the call has ended");
    // An effect that belongs to no call.
    let alone = vgi_rpc_protocol::effect::Effect::new(1, effect.request.clone(), effect.time_limit, None);
    assert_eq!(alone.within(|_| 8), 8);
    assert!(journal.take().is_empty());
}
