//! Application values whose destructors panic: their calls continue as if nothing had happened.

use super::support::*;
use crate::ask::{With, init, unary as http_unary};
use crate::common::batches::*;
use crate::common::scenarios::{stream, unary};
use crate::serve::{Server, serve};
use arrow_array::RecordBatch;
use arrow_schema::DataType;
use std::panic::panic_any;
use std::sync::Arc;
use vgi_rpc_protocol::effect::{Completion, Question};
use vgi_rpc_protocol::http::auth::{AuthContext, AuthRequest};
use vgi_rpc_protocol::service::{
    CallContext, CallHook, CallScope, Method, Producer, Service, Stream, TransportKind, Turn,
};
use vgi_rpc_protocol::wire::error::RpcError;

/// Panics when dropped, with a value that also panics when dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic_any(Fuse);
    }
}

struct Fuse;

impl Drop for Fuse {
    fn drop(&mut self) {
        panic!("on purpose, in the destructor of what a panic carried");
    }
}

impl CallScope for Bomb {}

struct Bombs;

impl CallHook for Bombs {
    fn on_start(&self, _: &CallContext) -> Option<Box<dyn CallScope>> {
        Some(Box::new(Bomb))
    }
}

/// A hook that panics with such a value.
struct Panics;

impl CallHook for Panics {
    fn on_start(&self, _: &CallContext) -> Option<Box<dyn CallScope>> {
        panic_any(Fuse)
    }
}

impl Producer for Bomb {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        turn.finish()
    }
}

fn echo() -> RecordBatch {
    row([("value", text("x"))])
}

fn server(service: &Arc<Service>) -> Server {
    service.start(TransportKind::Http).unwrap();
    serve(service.clone(), |builder| builder.record_calls(true))
}

#[test]
fn two_answers_to_admission_and_their_questions() {
    let (service, journal) = service(|builder| {
        builder.admit(|_, answers| {
            answers.ask("one", || Question::new(Bomb))??;
            answers.ask("two", || Question::new(Bomb))??;
            Ok(())
        })
    });
    let mut machines: [Box<dyn Asking>; 2] = [
        {
            let mut wire = Wire::new(&service);
            wire.send(unary("echo", echo()));
            Box::new(wire)
        },
        Box::new(Visit::begin(&server(&service), http_unary("echo", echo()))),
    ];
    for machine in &mut machines {
        for _ in 0..2 {
            let id = machine.asked().id;
            machine.done(id, Completion::value(Bomb));
        }
        assert_eq!(machine.outcome(), "ok");
        assert_eq!(journal.take(), ["start", "enter", "run", "exit", "end ok"]);
    }
    let mut wire = Wire::new(&service);
    wire.send(unary("echo", echo()));
    let id = wire.asked().id;
    wire.done(id, Completion::value(Bomb));
    wire.server.hang_up();
    let error = wire.recorded();
    assert_eq!(journal.take(), ["start".to_owned(), format!("end {error}")]);
}

#[test]
fn the_answer_to_an_authenticator() {
    let (service, _) = service(|builder| builder);
    service.start(TransportKind::Http).unwrap();
    let server = serve(service, |builder| {
        builder.authenticate(|request: &AuthRequest<'_>| {
            request.ask("who", || Question::new(Bomb))?;
            match request.header("x-panics") {
                Ok(Some(_)) => panic_any(Fuse),
                _ => Ok(AuthContext::anonymous()),
            }
        })
    });
    let server = server.performing(|_| Completion::value(Bomb));
    assert_eq!(server.send(http_unary("echo", echo())).text(), "x");
    assert_eq!(server.send(http_unary("echo", echo()).with("x-panics", "yes")).status, 500);
}

#[test]
fn scopes_of_several_hooks() {
    let (service, journal) = service(|builder| builder.hook(Bombs).hook(Panics).hook(Bombs));
    let mut wire = Wire::new(&service);
    assert_eq!(wire.play(unary("echo", echo())), ["output result=x", "finished"]);
    assert_eq!(wire.recorded(), "ok");
    assert_eq!(journal.take(), ["start", "enter", "run", "exit", "end ok"]);
    let answered = server(&service).send(http_unary("echo", echo()));
    assert_eq!((answered.status, answered.text()), (200, "x".into()));
    assert_eq!(journal.take(), ["start", "enter", "run", "exit", "end ok"]);
    // The call is abandoned while its work, which owns the scopes, is outstanding.
    wire.send(unary("echo", echo()));
    let work = wire.work();
    wire.server.hang_up();
    drop((wire, work));
}

#[test]
fn what_handlers_panic_with() {
    let spec = Method::new("fuse").unary(|_, _| -> Result<(), RpcError> { panic_any(Fuse) });
    let (service, _) = service_of(vec![spec], |builder| builder);
    let mut wire = Wire::new(&service);
    assert!(wire.play(unary("fuse", no_columns(1)))[0].starts_with("failed Panic"));
    let error = server(&service).send(http_unary("fuse", no_columns(1))).error();
    assert_eq!(error.error_type(), "Panic");
    let (service, _) = service_of(Vec::new(), |builder| builder.admit(|_, _| panic_any(Fuse)));
    let mut wire = Wire::new(&service);
    assert!(wire.play(unary("echo", echo()))[0].starts_with("failed Panic"));
}

/// The state is dropped before it becomes a stream.
#[test]
fn states_that_open_no_stream() {
    let spec = Method::new("headless")
        .header(schema([("h", DataType::Int64)]))
        .output(schema([("n", DataType::Int64)]))
        .stream(
            |_, _| Ok(Stream::new(vgi_rpc_protocol::service::State::unresumable_producer(Bomb))),
            |_, _| Err(RpcError::runtime_error("it is never saved")),
        );
    let (service, _) = service_of(vec![spec], |builder| builder);
    let mut wire = Wire::new(&service);
    let heard = wire.play(stream("headless", no_columns(1)));
    assert!(heard[0].contains("declares a header but gave none"), "{heard:?}");
    let error = server(&service).send(init("headless", no_columns(1))).error();
    assert!(error.message().contains("declares a header but gave none"), "{error:?}");
}

#[test]
fn the_state_of_a_session_that_is_not_opened() {
    let spec = Method::new("refused").unary(|_, context| context.open_session(Bomb, None));
    let (service, _) = service_of(vec![spec], |builder| builder);
    let heard = Wire::new(&service).play(unary("refused", no_columns(1)));
    assert!(heard[0].contains("sticky sessions are not available"), "{heard:?}");
    service.start(TransportKind::Http).unwrap();
    let server = serve(service, |builder| builder.sticky(vgi_rpc_protocol::http::Sticky::default()));
    let error = server.send(http_unary("refused", no_columns(1))).error();
    assert!(error.message().contains("did not ask for a session"), "{error:?}");
}
