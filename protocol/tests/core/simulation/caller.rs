//! A simulated caller: the calls that it makes, one after another, and the expected events of each.

use super::admission::Admission;
use super::draws::Draws;
use super::service::{Manner, PARAMETERS, PROTOCOL, input_schema};
use crate::common::batches::int;
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use std::sync::LazyLock;
use vgi_rpc_protocol::CommandError;
use vgi_rpc_protocol::client::{Call, CallKind, Connection, Event};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};

/// How a caller ends a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Reads until the server ends it.
    ReadAll,
    Close,
    Cancel,
    /// Disconnects without notice.
    Abandon,
}

/// One call, and how its caller will proceed.
#[derive(Clone, Debug)]
pub struct Plan {
    pub number: i64,
    method: &'static str,
    kind: CallKind,
    /// Turns until the server ends the stream.
    turns: usize,
    /// The turn that fails.
    fails_at: Option<(usize, Manner)>,
    /// The questions asked before the call's handler runs.
    admission: Admission,
    /// Type of the error that refuses the call.
    refused: Option<&'static str>,
    /// Inputs after which the caller ends the stream.
    inputs: usize,
    end: End,
    /// Maximum number of unanswered inputs.
    ahead: usize,
    with_id: bool,
}

impl Plan {
    pub fn draw(number: i64, draws: &mut Draws) -> Self {
        let (stream, headed) = (CallKind::Stream { header: false }, CallKind::Stream { header: true });
        let (method, kind, refused) = match draws.below(16) {
            0..=3 => ("echo", CallKind::Unary, None),
            4 => ("fail", CallKind::Unary, Some("ValueError")),
            5 => ("panic", CallKind::Unary, Some("Panic")),
            6 => (
                "none_such",
                draws.pick(&[CallKind::Unary, stream, headed]),
                Some("MethodNotImplementedError"),
            ),
            7 => ("produce_nothing", stream, Some("ValueError")),
            8..=10 => ("produce", stream, None),
            11 | 12 => ("produce_with_header", headed, None),
            _ => ("exchange", stream, None),
        };
        let turns = draws.below(5);
        let fails_at = draws.once_in(3).then(|| (draws.below(4), draws.pick(&Manner::ALL)));
        let ends: &[End] = if method == "exchange" {
            &[End::Close, End::Close, End::Cancel, End::Abandon]
        } else {
            &[End::ReadAll, End::ReadAll, End::Close, End::Cancel, End::Abandon]
        };
        let (inputs, end) = (draws.below(5), draws.pick(ends));
        let (ahead, with_id) = (1 + draws.below(3), !draws.once_in(8));
        let admission = Admission::draw(draws);
        // A call of an unknown method is refused before any question is asked.
        let refused = admission.refusal().filter(|_| method != "none_such").or(refused);
        Self { number, method, kind, turns, fails_at, admission, refused, inputs, end, ahead, with_id }
    }

    /// Adapts the plan to a connection with shared memory, on which no input is sent ahead. If the memory is noisy, the caller
    /// ends its streams itself, since the server may have read another number of turns. The last calls are plain ones.
    pub fn sharing(mut self, is_noisy: bool, is_last: bool) -> Self {
        self.ahead = 1;
        if is_noisy && self.end == End::ReadAll {
            self.end = End::Close;
        }
        if is_last {
            (self.method, self.kind) = ("echo", CallKind::Unary);
            (self.admission, self.refused) = (Admission::default(), None);
        }
        self
    }

    fn row(&self) -> RecordBatch {
        let (fails_at, manner) = self.fails_at.map_or((-1, 0), |(at, manner)| (at as i64, manner as i64));
        let values = [self.number, self.turns as i64, fails_at, manner].map(int);
        RecordBatch::try_from_iter(PARAMETERS.into_iter().zip(values)).unwrap()
    }

    fn is_exchange(&self) -> bool {
        self.method == "exchange"
    }

    /// Returns the number of turns with data before the stream ends by itself.
    fn answerable(&self) -> usize {
        let turns = if self.is_exchange() { usize::MAX } else { self.turns };
        self.fails_at.map_or(turns, |(at, _)| turns.min(at))
    }

    /// Returns the type of the error with which a caller's reading ends, if any.
    fn expected_error(&self) -> Option<&'static str> {
        let fails_in_a_turn = |(at, manner): (usize, Manner)| {
            (self.is_exchange() || at < self.turns).then(|| manner.error_type())
        };
        self.refused
            .or_else(|| self.fails_at.filter(|_| self.kind != CallKind::Unary).and_then(fails_in_a_turn))
    }
}

/// A call in progress.
pub struct Course {
    pub plan: Plan,
    sent: usize,
    outputs: usize,
    headers: usize,
    failed: bool,
    failures: usize,
    pub given_up: bool,
}

/// A caller's next step.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Waits for the server.
    Wait,
    /// Has issued a command.
    Issued,
    /// Disconnects.
    Abandon,
}

/// A description of an observed violation.
pub type Violation = String;

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(what()) }
}

impl Course {
    /// Makes the call.
    pub fn begin(plan: Plan, client: &mut Connection) -> Result<Self, CommandError> {
        static SCHEMA: LazyLock<EncodedSchema> = LazyLock::new(|| {
            let row = RecordBatch::try_from_iter(PARAMETERS.map(|name| (name, int(0)))).unwrap();
            EncodedSchema::new(row.schema()).unwrap()
        });
        let id = plan.number.to_string();
        let call = Call {
            protocol: PROTOCOL,
            method: plan.method,
            protocol_version: None,
            request_id: plan.with_id.then_some(&*id),
            kind: plan.kind,
            metadata: plan.admission.metadata(plan.number),
        };
        client.call(&call, &SCHEMA, &plan.row())?;
        Ok(Self { plan, sent: 0, outputs: 0, headers: 0, failed: false, failures: 0, given_up: false })
    }

    /// Continues a stream, if it is time to.
    pub fn step(&mut self, client: &mut Connection, draws: &mut Draws) -> Result<Step, Violation> {
        if self.plan.kind == CallKind::Unary || self.given_up || self.failed {
            return Ok(Step::Wait);
        }
        let done = self.plan.end != End::ReadAll && self.sent == self.plan.inputs;
        let waits = self.sent - self.outputs >= if done { 1 } else { self.plan.ahead };
        // A caller may end the stream while answers are due, but mostly waits for them.
        if waits && !(done && draws.once_in(8)) {
            return Ok(Step::Wait);
        }
        let issued = match self.plan.end {
            End::Abandon if done => return Ok(Step::Abandon),
            End::Cancel if done => client.cancel(),
            End::Close if done => client.close(),
            _ if self.plan.is_exchange() => self.send(client),
            _ => client.tick(&Metadata::new()),
        };
        if done {
            self.given_up = true;
        } else {
            self.sent += 1;
        }
        let number = self.plan.number;
        issued.map_err(|error| format!("call {number} accepts no more input: {error}"))?;
        Ok(Step::Issued)
    }

    fn send(&self, client: &mut Connection) -> Result<(), CommandError> {
        static SCHEMA: LazyLock<EncodedSchema> =
            LazyLock::new(|| EncodedSchema::new(input_schema()).unwrap());
        let batch = RecordBatch::try_new(input_schema(), vec![int(self.sent as i64)]).unwrap();
        client.send(&SCHEMA, &batch, &Metadata::new())
    }

    /// Checks an event against the plan. Returns true if it ended the call.
    pub fn told(&mut self, event: &Event) -> Result<bool, Violation> {
        let number = self.plan.number;
        match event {
            Event::Log(log) => {
                let id = log.extra.get("request_id").and_then(|id| id.as_str());
                let same = !self.plan.with_id || id == Some(&*number.to_string());
                ensure(same, || format!("call {number} gets a log of another call: {log:?}"))?;
            }
            Event::Header(batch, _) => {
                self.headers += 1;
                let first = self.headers == 1 && self.outputs == 0 && !self.failed;
                let own = first && self.plan.kind == CallKind::Stream { header: true };
                ensure(own && value(batch, 0) == Some(number), || format!("call {number}: {batch:?}"))?;
            }
            Event::Output(batch, _) => self.output(batch)?,
            Event::Failed(error) => {
                let first = !self.failed && !self.given_up;
                self.failed = true;
                self.failures += 1;
                let expected = self.plan.expected_error();
                let at = self.plan.refused.map_or(self.plan.answerable(), |_| 0);
                ensure(first && Some(error.error_type()) == expected && self.outputs == at, || {
                    format!(
                        "call {number} after {} outputs: expected {expected:?}, got {error:?}",
                        self.outputs
                    )
                })?;
                let reason = self.plan.admission.reason(number).filter(|_| self.plan.method != "none_such");
                ensure(reason.is_none_or(|reason| error.message().ends_with(&reason)), || {
                    format!("call {number} is refused for another reason: {error:?}")
                })?;
                let own = !self.plan.with_id || error.request_id() == number.to_string();
                ensure(own, || format!("call {number} gets the error of another call: {error:?}"))?;
            }
            Event::Finished => {
                let complete = match (self.plan.kind, self.given_up) {
                    (_, true) => true,
                    (CallKind::Unary, _) => self.failed || self.outputs == 1,
                    (_, false) => self.failed || self.outputs == self.plan.answerable(),
                };
                ensure(
                    complete && (self.given_up || self.failed == self.plan.expected_error().is_some()),
                    || format!("call {number} ends after {} outputs: {:?}", self.outputs, self.plan),
                )?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a call whose bytes have changed may cause this event: an error or a wrong answer, but not a second one.
    pub fn may_come_of_noise(&self, event: &Event) -> bool {
        match event {
            Event::Output(..) => {
                let most = if self.plan.kind == CallKind::Unary { 1 } else { self.sent };
                !self.given_up && !self.failed && self.outputs <= most
            }
            Event::Header(..) => self.headers == 1,
            Event::Failed(_) => !self.given_up && self.failures == 1,
            Event::Finished => true,
            Event::Log(_) => false,
        }
    }

    /// Whether this event may answer a part of the caller's input, followed by its end: that the part ends in the middle, or
    /// that a stream has ended with its input.
    pub fn may_answer_a_part(&self, event: &Event) -> bool {
        match event {
            Event::Failed(error) => {
                let message = error.message();
                message.contains("the peer closed the connection in the middle of")
                    || message.contains("expected a request stream with one batch, got none")
            }
            Event::Finished => self.plan.kind != CallKind::Unary,
            _ => false,
        }
    }

    fn output(&mut self, batch: &RecordBatch) -> Result<(), Violation> {
        let number = self.plan.number;
        let wanted = !self.failed && !self.given_up && self.plan.refused.is_none();
        let right = if self.plan.kind == CallKind::Unary {
            self.outputs == 0 && value(batch, 0) == Some(number)
        } else {
            let headed = self.plan.kind == CallKind::Stream { header: true };
            let turn = (value(batch, 0), value(batch, 1));
            self.outputs < self.sent
                && self.headers == usize::from(headed)
                && self.outputs < self.plan.answerable()
                && turn == (Some(number), Some(self.outputs as i64))
        };
        self.outputs += 1;
        ensure(wanted && right, || {
            format!("call {number}, output {}: {batch:?}, {:?}", self.outputs, self.plan)
        })
    }
}

fn value(batch: &RecordBatch, column: usize) -> Option<i64> {
    let values = batch.columns().get(column)?.as_primitive_opt::<Int64Type>()?;
    (values.len() == 1).then(|| values.value(0))
}
