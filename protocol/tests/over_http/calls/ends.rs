//! Calls that are aborted: what is withdrawn, released and dropped, at each step.

use super::support::*;
use crate::ask::{Tokens, init, tick as http_tick, unary as http_unary};
use crate::common::batches::*;
use crate::common::driver::{Command, Rest};
use crate::common::scenarios::{send, stream, tick, unary, values};
use crate::serve::{Server, serve};
use arrow_array::RecordBatch;
use arrow_schema::DataType;
use std::sync::Arc;
use std::thread;
use vgi_rpc_protocol::effect::{Completion, Effect, Question};
use vgi_rpc_protocol::http::{RequestStep, Transaction};
use vgi_rpc_protocol::service::{
    CallContext, Exchange, Method, MethodSpec, Producer, Responder, Service, State, Stream, Turn,
};
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::{http, service};

fn asking() -> (Arc<Service>, Journal) {
    service_of(vec![], |builder| {
        builder.admit(|_, answers| {
            answers.ask("policy", || Question::new(()))??;
            Ok(())
        })
    })
}

fn echo() -> RecordBatch {
    row([("value", text("x"))])
}

/// Returns a value larger than the floor of an account.
fn large() -> RecordBatch {
    row([("value", text(&"x".repeat(2 << 20)))])
}

fn over_http(service: &Arc<Service>) -> Server {
    serve(service.clone(), |builder| builder)
}

fn given_up() -> RpcError {
    RpcError::status(Code::ResourceExhausted, "the server has lost patience")
}

#[test]
fn an_effect_of_an_abandoned_call_is_withdrawn_and_its_client_told() {
    for command in [unary("echo", echo()), stream("count", row([("count", int(1))]))] {
        let (service, journal) = asking();
        let mut wire = Wire::new(&service);
        wire.send(command);
        let id = wire.asked().id;
        wire.server.abandon(given_up()).unwrap();
        assert_eq!(wire.withdrawn(), [id]);
        let heard = wire.heard();
        assert!(heard[0].contains("the server has lost patience"), "{heard:?}");
        assert_eq!(journal.take(), ["start", "end StatusError"]);
        assert_eq!(wire.recorded(), "StatusError");
        wire.server.complete_effect(id, Completion::Done);
        assert_eq!(wire.rest(), Rest::NeedInput, "the connection accepts the next call");
        wire.send(unary("echo", echo()));
        let next = wire.asked().id;
        assert_ne!(next, id);
        wire.done(next, Completion::Done);
        assert_eq!(wire.outcome(), "ok");
    }
}

#[test]
fn an_effect_of_a_call_whose_peer_is_gone_is_withdrawn() {
    let (service, journal) = asking();
    let mut wire = Wire::new(&service);
    wire.send(unary("echo", echo()));
    let id = wire.asked().id;
    wire.server.hang_up();
    assert_eq!(wire.withdrawn(), [id]);
    assert_eq!(journal.take(), ["start", "end StatusError"]);
    assert_eq!(wire.recorded(), "StatusError");
    wire.server.complete_effect(id, Completion::Done);
    assert_eq!(journal.take(), Vec::<String>::new());
}

#[test]
fn an_effect_that_was_not_yielded_yet_is_forgotten() {
    let (service, _) = asking();
    let mut wire = Wire::new(&service);
    wire.send(unary("echo", echo()));
    assert_eq!(wire.rest(), Rest::Waiting);
    wire.server.hang_up();
    assert_eq!(wire.withdrawn(), []);
}

#[test]
fn what_is_out_of_a_machine_that_is_gone_may_still_come() {
    let (service, journal) = asking();
    let mut wire = Wire::new(&service);
    wire.send(unary("echo", echo()));
    let Effect { id, .. } = wire.asked();
    drop(wire);
    assert_eq!(journal.take(), ["start", "end StatusError"]);
    // The id belongs to a dropped machine, and is ignored by another one.
    let mut other = Wire::new(&service);
    other.server.complete_effect(id, Completion::Done);
    other.server.receive_effect_data(id, bytes::Bytes::from_static(b"x"));
    assert_eq!(other.rest(), Rest::NeedInput);

    let server = over_http(&service);
    let mut visit = Visit::begin(&server, http_unary("echo", echo()));
    visit.asked();
    drop(visit);
    assert_eq!(journal.take(), ["start", "end StatusError"]);
}

fn is_send<T: Send + 'static>() {}

#[test]
fn machines_and_what_they_hand_out_may_move_between_threads() {
    is_send::<Responder>();
    is_send::<Transaction>();
    is_send::<service::Work>();
    is_send::<service::WorkResult>();
    is_send::<http::RequestWork>();
    is_send::<http::RequestWorkResult>();
    is_send::<http::RecordedResponse>();
}

#[test]
fn a_parked_call_goes_on_on_another_thread() {
    let (service, _) = asking();
    let mut wire = Wire::new(&service);
    wire.send(stream("count", row([("count", int(1))])));
    let id = wire.asked().id;
    let mut visit = Visit::begin(&over_http(&service), http_unary("echo", echo()));
    let own = visit.asked().id;
    // Many calls run in the meantime, some with the same ids.
    for _ in 0..100 {
        assert_eq!(wire.rest(), Rest::Waiting);
        visit.wait();
        let mut other = Wire::new(&service);
        other.send(unary("echo", echo()));
        let id = other.asked().id;
        other.done(id, Completion::Done);
        assert_eq!(other.outcome(), "ok");
    }
    thread::scope(|scope| {
        scope.spawn(move || {
            wire.done(id, Completion::Done);
            assert_eq!(wire.outcome(), "ok");
            assert_eq!(wire.play(tick()), ["output n=0"]);
            visit.done(own, Completion::Done);
            assert_eq!(visit.outcome(), "ok");
        });
    });
}

/// Advances a call to the named step. Returns its work if that has been handed out.
type Step = fn(&mut Wire) -> Option<service::Work>;

/// Returns the steps at which a call's machine is dropped.
fn steps_on_bytes() -> Vec<(&'static str, Step)> {
    vec![
        ("an effect is to be yielded", |wire| {
            assert_eq!(wire.rest(), Rest::Waiting);
            None
        }),
        ("an effect is out", |wire| {
            wire.asked();
            None
        }),
        ("an effect has come", |wire| {
            let id = wire.asked().id;
            wire.data(id, &[0; 4096]);
            wire.done(id, Completion::Done);
            None
        }),
        ("work is out", |wire| {
            let id = wire.asked().id;
            wire.done(id, Completion::Done);
            Some(wire.work())
        }),
        ("work has come back", |wire| {
            let id = wire.asked().id;
            wire.done(id, Completion::Done);
            let work = wire.work();
            wire.server.complete(work.run()).unwrap();
            None
        }),
    ]
}

#[test]
fn a_responder_may_be_dropped_at_each_step() {
    let (service, journal) = asking();
    for (what, step) in steps_on_bytes() {
        let (budget, account) = budget();
        let mut wire = Wire::with_account(&service, account);
        wire.send(unary("echo", large()));
        let work = step(&mut wire);
        assert!(budget.used() > 0, "{what}");
        drop(wire);
        let noted = journal.take();
        assert_eq!(noted[0], "start", "{what}: {noted:?}");
        assert_eq!(noted.iter().filter(|line| line.starts_with("end")).count(), 1, "{what}: {noted:?}");
        // The work outlives its machine, and keeps its input.
        drop(work.map(service::Work::run));
        let noted = journal.take();
        assert!(!noted.iter().any(|line| line.starts_with("end")), "{what}: {noted:?}");
        assert_eq!(budget.used(), 0, "{what}");
    }
}

/// Advances a request to the named step. Returns what outlives its transaction.
type HttpStep = fn(&mut Visit) -> Option<Box<dyn Send>>;

/// Returns the steps at which a request's transaction is dropped.
fn steps_over_http() -> Vec<(&'static str, HttpStep)> {
    fn admitted(visit: &mut Visit) {
        let id = visit.asked().id;
        visit.data(id, &[0; 4096]);
        visit.done(id, Completion::Done);
    }
    vec![
        ("its body has come", |visit| Some(Box::new(visit.work()))),
        ("an effect is to be yielded", |visit| {
            visit.wait();
            None
        }),
        ("an effect is out", |visit| {
            visit.asked();
            None
        }),
        ("an effect has come", |visit| {
            admitted(visit);
            None
        }),
        ("work is out", |visit| {
            admitted(visit);
            Some(Box::new(visit.work()))
        }),
        ("work was run", |visit| {
            admitted(visit);
            let work = visit.work();
            Some(Box::new(work.run(&|| visit.now)))
        }),
        ("work has come back", |visit| {
            admitted(visit);
            let work = visit.work();
            visit.complete(work);
            None
        }),
        ("the answer was taken", |visit| {
            admitted(visit);
            Some(Box::new(visit.run()))
        }),
    ]
}

#[test]
fn a_transaction_may_be_dropped_at_each_step() {
    let (service, journal) = asking();
    let server = over_http(&service);
    for (number, (what, step)) in steps_over_http().into_iter().enumerate() {
        let (budget, account) = budget();
        let mut visit = Visit::with_account(&server, http_unary("echo", large()), account);
        let kept = step(&mut visit);
        assert!(budget.used() > 0, "{what}");
        drop(visit);
        drop(kept);
        let noted = journal.take();
        let count = |what: &str| noted.iter().filter(|line| line.starts_with(what)).count();
        let begun = usize::from(number > 0);
        assert_eq!((count("start"), count("end")), (begun, begun), "{what}: {noted:?}");
        assert_eq!(count("enter"), count("exit"), "{what}: {noted:?}");
        assert_eq!(budget.used(), 0, "{what}");
    }
}

/// The content of a stream's state.
struct Guarded {
    _alive: Arc<()>,
    turns: usize,
    panics: bool,
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if self.panics {
            std::panic::panic_any("on purpose, while a state is dropped");
        }
    }
}

impl Producer for Guarded {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.turns == 0 {
            return turn.finish();
        }
        self.turns -= 1;
        turn.emit_columns(vec![int(self.turns as i64)])
    }
}

impl Exchange for Guarded {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        turn.emit(input.clone())
    }

    fn on_cancel(&mut self, context: &mut CallContext) {
        journal(context).note("cancel");
    }
}

/// Returns streams whose states contain `alive`, and panic when dropped if `panics`.
fn guarded(alive: &Arc<()>, panics: bool) -> Vec<MethodSpec> {
    let values = || schema([("value", DataType::Float64)]);
    let state = move |alive: &Arc<()>| Guarded { _alive: alive.clone(), turns: 1, panics };
    let [one, other, third] = [alive, alive, alive].map(Arc::clone);
    vec![
        Method::new("produce").output(schema([("n", DataType::Int64)])).stream(
            move |_, _| Ok(Stream::new(State::unresumable_producer(state(&one)))),
            |_, _| Err(RpcError::runtime_error("not resumable")),
        ),
        Method::new("exchange").input(values()).output(values()).stream(
            move |_, _| Ok(Stream::new(State::unresumable_exchange(state(&other)))),
            |_, _| Err(RpcError::runtime_error("not resumable")),
        ),
        // The restored state is of the other kind.
        Method::new("changing").output(schema([("n", DataType::Int64)])).stream(
            |_, _| Ok(Stream::new(State::producer(Count { next: 0, count: 9 }))),
            move |_, _| Ok(State::unresumable_exchange(state(&third))),
        ),
    ]
}

/// Ends an open stream.
type End = fn(Wire);

fn endings() -> Vec<(&'static str, End)> {
    vec![
        ("closed", |mut wire| {
            wire.play(Command::Close);
        }),
        ("cancelled", |mut wire| {
            wire.play(Command::Cancel);
        }),
        ("of wrong input", |mut wire| {
            wire.play(send(row([("other", text("x"))])));
        }),
        ("abandoned", |mut wire| {
            wire.server.abandon(given_up()).unwrap();
        }),
        ("hung up between turns", |mut wire| wire.server.hang_up()),
        ("hung up during a turn", |mut wire| {
            wire.send(send(values([1.0])));
            let work = wire.work();
            wire.server.hang_up();
            let done = work.run();
            assert!(wire.server.complete(done).is_err(), "the call has ended");
        }),
        ("dropped between turns", drop),
        ("dropped during a turn", |mut wire| {
            wire.send(send(values([1.0])));
            let work = wire.work();
            drop(wire);
            drop(work.run());
        }),
        ("dropped with its work", |mut wire| {
            wire.send(send(values([1.0])));
            let work = wire.work();
            drop(work);
            wire.server.lose_work();
            wire.heard();
        }),
        ("broken", |mut wire| {
            wire.server.receive(bytes::Bytes::from_static(b"this is no message at all"));
            assert!(matches!(wire.rest(), Rest::Failed(_)));
        }),
    ]
}

#[test]
fn the_state_of_a_stream_is_dropped_however_it_ends() {
    for panics in [false, true] {
        for (what, end) in endings() {
            let alive = Arc::new(());
            let (service, journal) = service_of(guarded(&alive, panics), |builder| builder);
            let holders = Arc::strong_count(&alive);
            let mut wire = Wire::new(&service);
            wire.play(stream("exchange", no_columns(1)));
            assert_eq!(Arc::strong_count(&alive), holders + 1);
            end(wire);
            assert_eq!(Arc::strong_count(&alive), holders, "{what}");
            let ends = journal.take().iter().filter(|line| line.starts_with("end")).count();
            assert_eq!(ends, 1, "{what}");
        }
    }
}

#[test]
fn a_state_that_panics_when_it_is_dropped_harms_no_call() {
    let alive = Arc::new(());
    let (service, _) = service_of(guarded(&alive, true), |builder| builder);
    let mut wire = Wire::new(&service);
    wire.play(stream("produce", no_columns(1)));
    assert_eq!(wire.play(tick()), ["output n=0"]);
    assert_eq!(wire.play(tick()), ["finished"], "it is dropped in its last turn");
    assert_eq!(wire.play(unary("echo", echo())), ["output result=x", "finished"]);

    let server = over_http(&service);
    assert_eq!(server.send(init("produce", no_columns(1))).told(), ["data 0"]);
    let answered = server.send(init("exchange", no_columns(1)));
    assert_eq!((answered.status, answered.is_marked()), (200, true));
    let tokens = Tokens::of(&server.send(init("changing", no_columns(1))));
    let answered = server.send(http_tick("changing", &tokens));
    assert_eq!((answered.status, answered.error().error_type()), (400, "TypeError"));
}

#[test]
fn work_that_was_dropped_is_an_error_of_its_call() {
    let (service, journal) = service(|builder| builder);
    let mut wire = Wire::new(&service);
    wire.send(unary("echo", echo()));
    drop(wire.work());
    assert_eq!(wire.rest(), Rest::NeedCommand);
    wire.server.lose_work();
    wire.server.lose_work();
    let text = "failed RuntimeError: the handler was not run to its end";
    assert_eq!(wire.heard(), [text, "finished"]);
    assert_eq!(journal.take(), ["start", "end RuntimeError"]);
    assert_eq!(wire.recorded(), "RuntimeError");
    assert_eq!(wire.play(unary("echo", echo())), ["output result=x", "finished"]);
    wire.play(stream("count", row([("count", int(3))])));
    wire.send(tick());
    drop(wire.work());
    wire.server.lose_work();
    assert_eq!(wire.heard(), [text, "finished"]);
    // Work that would have notified the state of a cancel.
    wire.play(stream("count", row([("count", int(3))])));
    wire.send(Command::Cancel);
    drop(wire.work());
    wire.server.lose_work();
    wire.heard();
    assert_eq!(wire.play(unary("echo", echo())), ["output result=x", "finished"]);
    assert!(wire.server.is_idle());
    journal.take();

    let server = over_http(&service);
    let mut visit = Visit::begin(&server, http_unary("echo", echo()));
    drop(visit.work());
    assert!(matches!(visit.next(), RequestStep::Waiting));
    visit.transaction.lose_work();
    let RequestStep::Answer(answer) = visit.next() else { panic!("it is answered") };
    assert_eq!(answer.response.status(), 500);
    assert!(matches!(visit.next(), RequestStep::Over));
}
