//! The access log is complete: every call has exactly one record, however its client disconnects.

use super::support::*;
use crate::ask::unary as http_unary;
use crate::common::batches::*;
use crate::common::driver::{Command, Rest};
use crate::common::scenarios::{send, stream, tick, unary, values};
use crate::serve::serve;
use arrow_array::RecordBatch;
use bytes::Bytes;
use std::time::Duration;
use vgi_rpc_protocol::effect::{Completion, Question};
use vgi_rpc_protocol::http::RequestStep;
use vgi_rpc_protocol::service::{CallRecord, TransportKind};
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::error::RpcError;

fn count() -> RecordBatch {
    row([("count", int(9))])
}

/// Returns a client that has read three numbers of a stream.
fn read_three() -> Wire {
    let (service, _) = service(|builder| builder);
    let mut wire = Wire::new(&service);
    wire.server.tell_time(Duration::from_secs(1));
    wire.play(stream("count", count()));
    (0..3).for_each(|_| drop(wire.play(tick())));
    wire.server.tell_time(Duration::from_secs(5));
    assert_eq!(wire.records().len(), 0, "the call continues");
    wire
}

#[track_caller]
fn only(wire: &mut Wire) -> CallRecord {
    let mut records = wire.records();
    assert_eq!(records.len(), 1, "{records:?}");
    let record = records.remove(0);
    assert_eq!((record.method.as_str(), record.statistics.output.batches), ("count", 3));
    assert_eq!((record.started.as_secs(), record.ended.as_secs()), (1, 5));
    record
}

#[test]
fn junk_in_an_open_stream_leaves_a_record() {
    let mut wire = read_three();
    wire.server.receive(Bytes::from_static(b"junk that is long enough to be looked at"));
    assert!(matches!(wire.rest(), Rest::Failed(_)));
    assert_eq!(only(&mut wire).error.unwrap().error_type(), "RuntimeError");
    assert!(matches!(wire.rest(), Rest::Failed(_)));
    assert_eq!(wire.records().len(), 0, "only one, however often it is polled");
}

#[test]
fn input_that_is_cut_off_leaves_a_record() {
    let mut wire = read_three();
    wire.server.receive(Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 64]));
    wire.server.receive_eof();
    assert!(matches!(wire.rest(), Rest::Failed(_)));
    assert!(only(&mut wire).error.is_some());
}

#[test]
fn an_input_that_cannot_be_decoded_leaves_a_record_and_the_connection() {
    let mut wire = read_three();
    // Five rows of a missing column: the framing is valid.
    let header = crate::common::messages::Header::with_body(0).batch(5, &[(5, 0)], &[]);
    wire.server.receive(header);
    let rest = wire.rest();
    assert_eq!(only(&mut wire).error.unwrap().error_type(), "ArrowInvalid", "{rest:?}");
}

#[test]
fn hanging_up_leaves_a_record_wherever_the_call_is() {
    let mut wire = read_three();
    wire.server.hang_up();
    let error = only(&mut wire).error.unwrap();
    assert_eq!((error.error_type(), error.code()), ("StatusError", Code::Cancelled));
    wire.server.hang_up();
    assert_eq!(wire.records().len(), 0);

    // With work that is completed too late.
    let mut wire = read_three();
    wire.send(tick());
    let work = wire.work();
    wire.server.hang_up();
    only(&mut wire);
    assert!(wire.server.complete(work.run()).is_err());
    assert_eq!(wire.records().len(), 0);

    // Without a call there is nothing to record.
    let (service, _) = service(|builder| builder);
    let mut wire = Wire::new(&service);
    wire.play(unary("echo", row([("value", text("x"))])));
    assert_eq!(wire.recorded(), "ok");
    wire.server.hang_up();
    assert_eq!(wire.records().len(), 0);
}

#[test]
fn losing_patience_leaves_a_record() {
    let mut wire = read_three();
    wire.server.abandon(RpcError::status(Code::DeadlineExceeded, "too slow")).unwrap();
    assert_eq!(only(&mut wire).error.unwrap().code(), Code::DeadlineExceeded);
}

#[test]
fn an_answer_that_cannot_be_encoded_is_recorded_as_the_error_that_was_sent() {
    let (service, _) = service(|builder| builder);
    let mut wire = Wire::new(&service);
    let heard = wire.play(unary("log_and_misfit", no_columns(1)));
    assert!(heard[1].starts_with("failed TypeError"), "{heard:?}");
    assert_eq!(wire.recorded(), "TypeError");
    let answered = serve(service, |builder| builder).send(http_unary("log_and_misfit", no_columns(1)));
    assert_eq!(answered.told(), ["INFO 0", "error TypeError"]);
    assert_eq!(answered.record.unwrap().error.unwrap().error_type(), "TypeError");
}

#[test]
fn each_call_of_a_connection_leaves_its_own() {
    let (service, _) = service(|builder| builder);
    let mut wire = Wire::new(&service);
    wire.play(unary("echo", row([("value", text("x"))])));
    wire.play(unary("fail", no_columns(1)));
    wire.play(stream("double", no_columns(1)));
    wire.play(send(values([1.0])));
    wire.play(Command::Close);
    wire.play(stream("count", count()));
    wire.play(Command::Cancel);
    let told: Vec<_> = wire
        .records()
        .iter()
        .map(|record| {
            let error = record.error.as_ref().map_or("ok", |error| error.error_type());
            format!("{} {error} {}", record.method, record.cancelled)
        })
        .collect();
    assert_eq!(told, ["echo ok false", "fail ValueError false", "double ok false", "count ok true"]);
}

/// Returns a request over HTTP that waits to be admitted.
fn parked() -> (Visit, Journal) {
    let (service, journal) = service(|builder| {
        builder.admit(|_, answers| {
            answers.ask("policy", || Question::new(()))??;
            Ok(())
        })
    });
    service.start(TransportKind::Http).unwrap();
    let server = serve(service, |builder| builder);
    (Visit::begin(&server, http_unary("echo", row([("value", text("x"))]))), journal)
}

#[track_caller]
fn assert_given_up(record: Option<CallRecord>, journal: &Journal) {
    let record = record.expect("a record");
    let error = record.error.as_ref().unwrap();
    assert_eq!((error.code(), record.http.as_ref().unwrap().status), (Code::Cancelled, 499));
    assert_eq!(journal.take(), ["start", "end StatusError"]);
}

#[test]
fn a_client_of_http_that_goes_away_leaves_a_record() {
    // During an effect, which is withdrawn.
    let (mut visit, journal) = parked();
    let id = visit.asked().id;
    assert_given_up(visit.transaction.hang_up(visit.now), &journal);
    assert_eq!(visit.withdrawn(), [id]);
    assert!(matches!(visit.next(), RequestStep::Over));
    assert!(visit.transaction.hang_up(visit.now).is_none());
    // While the work that asks is running.
    let (mut visit, journal) = parked();
    let work = visit.work();
    assert!(visit.transaction.hang_up(visit.now).is_none());
    let mut done = work.run(&|| visit.now);
    assert_given_up(done.take_record(visit.now), &journal);
    assert!(done.take_record(visit.now).is_none());
    // While the answer is pending.
    let (mut visit, journal) = parked();
    let id = visit.asked().id;
    visit.done(id, Completion::Done);
    let work = visit.work();
    visit.complete(work);
    let record = visit.transaction.hang_up(visit.now).unwrap();
    // The call succeeded, as its listeners know, but its answer is not sent.
    assert_eq!((record.error.unwrap().code(), record.http.unwrap().status), (Code::Cancelled, 499));
    assert_eq!(journal.take(), ["start", "enter", "run", "exit", "end ok"]);
    // Before the request became a call.
    let (mut visit, journal) = parked();
    assert!(visit.transaction.hang_up(visit.now).is_none());
    assert_eq!(journal.take(), Vec::<String>::new());
}
