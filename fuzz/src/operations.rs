//! Operations of a caller, a network and a server in any order: a client and a responder in one process, whose next step
//! the input selects.
//!
//! Every call carries its number, so that a response to another call is noticed. At the end everything is delivered:
//! every call has ended, no state is left, and both sides are idle.

use crate::support::feed::drain;
use crate::support::service::{MAIN, externalising_responder, responder, states_alive, text, values};
use crate::support::object_store::{Elsewhere, FAULTS, Fault};
use crate::support::observed::Rest;
use crate::support::{limits, panics};
use arbitrary::{Result, Unstructured};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use bytes::Bytes;
use std::sync::Arc;
use vgi_rpc_protocol::client::{self, Call, CallKind, Event};
use vgi_rpc_protocol::effect::EffectEvent;
use vgi_rpc_protocol::external::FetchOptions;
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::service::{WorkResult, Responder, Work};
use vgi_rpc_protocol::{CommandError, Next};

/// Most operations of one input.
const OPERATIONS: usize = 400;

/// Executes the operations in `data`.
pub fn run(data: &[u8]) {
    run_on(data, Pair::new(responder(limits()), client::Connection::new(limits()), None));
}

/// Like [`run`], but all batches of the server are externalized, and the effects of both sides are performed, or fail, at
/// any time.
pub fn run_elsewhere(data: &[u8]) {
    let mut client = client::Connection::new(limits());
    client.fetch_external(FetchOptions::default());
    run_on(data, Pair::new(externalising_responder(limits()), client, Some(Elsewhere::default())));
}

fn run_on(data: &[u8], mut pair: Pair) {
    panics::watch();
    let mut u = Unstructured::new(data);
    for _ in 0..OPERATIONS {
        if u.is_empty() || pair.operate(&mut u).is_err() {
            break;
        }
    }
    pair.finish();
    drop(pair);
    assert_eq!(states_alive(), 0, "every state is dropped");
}

/// The current call, as its caller knows it.
struct Course {
    number: u64,
    kind: CallKind,
    /// Number of the next expected output: of a result, of a producer's turn, of a sent input.
    outputs: usize,
    failed: bool,
    given_up: bool,
}

struct Pair {
    client: client::Connection,
    server: Responder,
    up: Vec<u8>,
    down: Vec<u8>,
    work: Option<Work>,
    done: Option<WorkResult>,
    calls: u64,
    finished: u64,
    course: Option<Course>,
    elsewhere: Option<Elsewhere>,
}

impl Pair {
    fn new(server: Responder, client: client::Connection, elsewhere: Option<Elsewhere>) -> Self {
        Self {
            client,
            server,
            elsewhere,
            up: Vec::new(),
            down: Vec::new(),
            work: None,
            done: None,
            calls: 0,
            finished: 0,
            course: None,
        }
    }

    fn operate(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        self.take_up_effects();
        let last = if self.elsewhere.is_some() { 19 } else { 15 };
        match u.int_in_range(0..=last)? {
            16..=18 => self.perform(*u.choose(&FAULTS)?),
            19 => self.perform(Fault::None),
            0 | 1 => self.call(u)?,
            2 => self.input(false),
            3 => self.input(true),
            4 => self.give_up(u.arbitrary()?),
            5 | 6 => drain(self.client.poll_transmit(), &mut self.up),
            7 | 8 => {
                let count = portion(u, self.up.len())?;
                let bytes: Vec<u8> = self.up.drain(..count).collect();
                self.server.receive(Bytes::from(bytes));
            }
            9 | 10 => self.poll_work(),
            11 => self.run_work(),
            12 => self.complete(),
            13 => drain(self.server.poll_transmit(), &mut self.down),
            14 => {
                let count = portion(u, self.down.len())?;
                let bytes: Vec<u8> = self.down.drain(..count).collect();
                self.client.receive(Bytes::from(bytes));
            }
            _ => {
                self.listen();
            }
        }
        Ok(())
    }

    fn call(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let number = self.calls;
        let stream = CallKind::Stream { header: false };
        let pair = |a: i64, b: i64| vec![("at", int(a)), ("manner", int(b))];
        let small = u.int_in_range(0..=7)?;
        let (method, kind, row) = match u.int_in_range(0..=11)? {
            0 | 1 => ("echo", CallKind::Unary, vec![("value", text(&number.to_string()))]),
            2 => ("fail", CallKind::Unary, vec![("message", text(&number.to_string()))]),
            3 => ("panic", CallKind::Unary, vec![]),
            4 => ("no_such_method", if small < 4 { CallKind::Unary } else { stream }, vec![]),
            5 | 6 => ("count", stream, vec![("count", int(small))]),
            7 => ("count_with_header", CallKind::Stream { header: true }, vec![("count", int(small - 1))]),
            8 => ("count_until", stream, pair(small / 2 - 1, u.int_in_range(0..=6)?)),
            9 => ("scale_until", stream, pair(small / 2, u.int_in_range(0..=6)?)),
            10 => ("scale", stream, vec![("factor", Arc::new(Float64Array::from(vec![2.0])) as ArrayRef)]),
            _ => ("count", stream, vec![("wrong", int(small))]),
        };
        let row = if row.is_empty() {
            RecordBatch::new_empty(EncodedSchema::empty().schema().clone())
        } else {
            RecordBatch::try_from_iter(row).expect("columns of one row")
        };
        let schema = EncodedSchema::new(row.schema()).expect("parameters can be sent");
        let call = Call {
            protocol: MAIN,
            method,
            protocol_version: None,
            request_id: Some(&number.to_string()),
            kind,
            metadata: Metadata::new(),
        };
        let (may, waiting) = (self.client.is_idle(), self.output_len());
        let called = self.client.call(&call, &schema, &row);
        assert_eq!(called.is_ok(), may, "a call is possible when the client says it is idle");
        if called.is_ok() {
            assert!(self.course.is_none(), "the previous call has ended");
            self.calls += 1;
            self.course = Some(Course { number, kind, outputs: 0, failed: false, given_up: false });
        } else {
            self.assert_untouched(called, waiting);
        }
        Ok(())
    }

    fn input(&mut self, by_send: bool) {
        let waiting = self.output_len();
        let issued = if by_send {
            let value: ArrayRef = Arc::new(Float64Array::from(vec![self.calls as f64]));
            let batch = RecordBatch::try_new(values(), vec![value]).expect("one column");
            let schema = EncodedSchema::new(values()).expect("numbers can be sent");
            self.client.send(&schema, &batch, &Metadata::new())
        } else {
            self.client.tick(&Metadata::new())
        };
        if issued.is_err() {
            self.assert_untouched(issued, waiting);
        } else {
            assert!(
                self.course.as_ref().is_some_and(|course| course.kind != CallKind::Unary && !course.given_up)
            );
        }
    }

    fn give_up(&mut self, by_cancel: bool) {
        let waiting = self.output_len();
        let issued = if by_cancel { self.client.cancel() } else { self.client.close() };
        if issued.is_err() {
            self.assert_untouched(issued, waiting);
        } else if let Some(course) = &mut self.course {
            course.given_up = true;
        }
    }

    /// A refused command is the caller's mistake and has no effect.
    fn assert_untouched(&mut self, issued: std::result::Result<(), CommandError>, waiting: usize) {
        match issued {
            // A batch whose schema differs from the stream's first one is noticed when it is encoded.
            Err(CommandError::Misuse { .. } | CommandError::Encode(_)) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(self.output_len(), waiting, "a refused command sends nothing");
    }

    fn output_len(&mut self) -> usize {
        self.client.poll_transmit().map_or(0, |outbox| outbox.len())
    }

    fn poll_work(&mut self) {
        match self.server.poll_work().expect("an honest client does not break the connection") {
            Next::Event(work) => {
                assert!(self.work.replace(work).is_none(), "one invocation is pending at a time")
            }
            Next::NeedDrain => drain(self.server.poll_transmit(), &mut self.down),
            Next::NeedInput | Next::NeedCommand => {}
            Next::Waiting => assert!(self.elsewhere.is_some(), "the service requests no effect"),
            Next::Closed => panic!("no peer closed the connection"),
        }
    }

    fn run_work(&mut self) {
        if let Some(work) = self.work.take() {
            self.done = Some(work.run());
        }
    }

    fn complete(&mut self) {
        if let Some(done) = self.done.take() {
            self.server.complete(done).expect("pending work can be completed");
        }
    }

    /// Processes one event. Returns false if there is none.
    fn listen(&mut self) -> bool {
        let event = match Rest::or_event(self.client.poll_event()) {
            Ok(event) => event,
            Err(Rest::NeedInput | Rest::NeedCommand) => return false,
            Err(Rest::Waiting) if self.elsewhere.is_some() => return false,
            Err(rest) => panic!("{rest:?} from an honest server"),
        };
        let course = self.course.as_mut().expect("events belong to a call");
        match event {
            Event::Log(log) => {
                let id = log.extra.get("request_id").and_then(|id| id.as_str());
                assert_eq!(id, Some(&*course.number.to_string()), "a log of this call");
            }
            Event::Header(batch, _) => {
                assert_eq!((course.kind, course.outputs), (CallKind::Stream { header: true }, 0));
                assert_eq!(batch.num_rows(), 1);
            }
            Event::Output(batch, _) => {
                assert!(!course.failed && !course.given_up);
                course.check_output(&batch);
                course.outputs += 1;
            }
            Event::Failed(error) => {
                assert!(!course.failed);
                // A server that does not know the call omits the id, and so does an error of the client's fetch.
                let is_own = self.elsewhere.is_some() && error.request_id().is_empty();
                assert!(is_own || error.request_id() == course.number.to_string(), "an error of this call: {error}");
                course.failed = true;
            }
            Event::Finished => {
                self.finished += 1;
                let over = self.course.take();
                let unary = over.as_ref().is_some_and(|course| course.kind == CallKind::Unary);
                assert!(!unary || over.is_some_and(|course| course.failed || course.outputs == 1));
            }
        }
        true
    }

    /// Delivers everything, abandons the current call, and checks the final state.
    fn finish(&mut self) {
        let mut gave_up = false;
        loop {
            let mut moved = self.work.is_some() || self.done.is_some();
            self.run_work();
            self.complete();
            drain(self.client.poll_transmit(), &mut self.up);
            moved |= !self.up.is_empty();
            self.server.receive(std::mem::take(&mut self.up).into());
            self.poll_work();
            moved |= self.work.is_some();
            drain(self.server.poll_transmit(), &mut self.down);
            moved |= !self.down.is_empty();
            self.client.receive(std::mem::take(&mut self.down).into());
            while self.listen() {
                moved = true;
            }
            self.take_up_effects();
            while self.elsewhere.as_ref().is_some_and(|elsewhere| !elsewhere.out.is_empty()) {
                self.perform(Fault::None);
                moved = true;
            }
            if !moved && self.course.is_some() && !gave_up {
                gave_up = true;
                self.client.cancel().expect("a call that waits for its caller can be cancelled");
            } else if !moved {
                break;
            }
        }
        assert_eq!(self.calls, self.finished, "every call has an end");
        assert!(self.client.is_idle() && self.server.is_idle(), "both sides are between calls");
        assert_eq!(states_alive(), 0, "no state outlives its call");
        self.server.receive_eof();
        assert!(matches!(self.server.poll_work(), Ok(Next::Closed)));
        self.client.receive_eof();
        assert!(matches!(self.client.poll_event(), Ok(Next::Closed)));
    }
}

impl Pair {
    fn take_up_effects(&mut self) {
        let Some(elsewhere) = &mut self.elsewhere else { return };
        let (server, client) = (&mut self.server, &mut self.client);
        let of_server = std::iter::from_fn(|| Some((true, server.poll_effect()?)));
        let of_client = std::iter::from_fn(|| Some((false, client.poll_effect()?)));
        for (side, event) in of_server.chain(of_client) {
            match event {
                EffectEvent::Requested(effect) => elsewhere.out.push((side, effect)),
                EffectEvent::Withdrawn(id) => elsewhere.out.retain(|(other, out)| (*other, out.id) != (side, id)),
            }
        }
    }

    /// Completes the oldest pending effect.
    fn perform(&mut self, fault: Fault) {
        let Some(elsewhere) = &mut self.elsewhere else { return };
        if elsewhere.out.is_empty() || matches!(fault, Fault::Late) {
            return;
        }
        let (of_server, effect) = elsewhere.out.remove(0);
        let completion = elsewhere.perform(&effect, fault);
        match of_server {
            true => self.server.complete_effect(effect.id, completion),
            false => self.client.complete_effect(effect.id, completion),
        }
    }
}

impl Course {
    fn check_output(&self, batch: &RecordBatch) {
        let column = batch.columns().first().expect("every output here has a column");
        if self.kind == CallKind::Unary {
            assert_eq!(column, &text(&self.number.to_string()), "the result of this call");
            assert_eq!(self.outputs, 0, "one result");
        } else if let Some(numbers) = column.as_primitive_opt::<Int64Type>() {
            assert_eq!(numbers.values()[..], [self.outputs as i64], "turns in order, none twice");
        } else {
            // The result for a tick has no rows.
            let own = (self.number + 1) as f64 * 2.0;
            let scaled = column.as_primitive::<Float64Type>().values();
            assert!(
                scaled.is_empty() || scaled[..] == [own],
                "{scaled:?} is no input of this call, which is {own}"
            );
        }
    }
}

fn int(value: impl Into<i64>) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value.into()]))
}

/// Some of the pending bytes, often all.
fn portion(u: &mut Unstructured<'_>, len: usize) -> Result<usize> {
    if u.arbitrary()? { Ok(len) } else { u.int_in_range(0..=len) }
}
