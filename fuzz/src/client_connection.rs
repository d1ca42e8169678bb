//! A hostile server: a client terminates on any bytes, emits the same events for any pieces, and emits the events of a
//! call in a valid order.
//!
//! The input's first byte selects the call and what is sent before the server's bytes, which are the rest.

use crate::support::feed::{Cut, drain};
use crate::support::observed::{Rest, Told, batches_written};
use crate::support::{limits, panics};
use arrow_array::{ArrayRef, Float64Array, RecordBatch};
use bytes::Bytes;
use std::sync::Arc;
use vgi_rpc_protocol::client::{self, Call, CallKind};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};

/// Feeds all but the first byte of `data` to a client during a call, whole and in pieces.
pub fn run(data: &[u8]) {
    panics::watch();
    let Some((plan, bytes)) = data.split_first() else { return };
    let plan = Plan(*plan);
    let bytes = Bytes::copy_from_slice(bytes);
    let mut whole = Answered::new(plan, &bytes, Cut::Whole);
    let pieces = Answered::new(plan, &bytes, Cut::of(data));
    assert_eq!(whole.told, pieces.told, "whole and in pieces");
    assert_eq!(whole.rest, pieces.rest);
    assert_eq!(whole.sent, pieces.sent);
    whole.check_course(plan);
    whole.check_end();
    batches_written(whole.sent, true);
}

/// What the caller does, one decision in each group of bits.
#[derive(Clone, Copy)]
struct Plan(u8);

impl Plan {
    fn kind(self) -> CallKind {
        match self.0 & 3 {
            0 | 1 => CallKind::Unary,
            2 => CallKind::Stream { header: false },
            _ => CallKind::Stream { header: true },
        }
    }

    fn issue(self, client: &mut client::Connection) {
        let no_columns = RecordBatch::new_empty(EncodedSchema::empty().schema().clone());
        let call = Call {
            protocol: "fuzz.Main.v1",
            method: "any",
            protocol_version: None,
            request_id: Some("1"),
            kind: self.kind(),
            metadata: Metadata::new(),
        };
        client.call(&call, &EncodedSchema::empty(), &no_columns).expect("nothing is under way");
        let sends = self.0 & 4 == 4;
        let value: ArrayRef = Arc::new(Float64Array::from(vec![1.5, 2.5]));
        let input = RecordBatch::try_from_iter([("value", value)]).expect("one column");
        let schema = EncodedSchema::new(input.schema()).expect("numbers can be sent");
        let is_stream = self.kind() != CallKind::Unary;
        for _ in 0..self.0 >> 3 & 7 {
            let issued = if sends {
                client.send(&schema, &input, &Metadata::new())
            } else {
                client.tick(&Metadata::new())
            };
            assert_eq!(issued.is_ok(), is_stream);
        }
        match self.0 >> 6 {
            0 | 1 => {}
            2 => assert_eq!(client.close().is_ok(), is_stream),
            _ => assert_eq!(client.cancel().is_ok(), is_stream),
        }
    }

    /// Whether the caller has abandoned the call and ignores the server's further data.
    fn gives_up(self) -> bool {
        self.kind() != CallKind::Unary && self.0 >> 6 >= 2
    }
}

struct Answered {
    client: client::Connection,
    told: Vec<Told>,
    rest: Rest,
    sent: Vec<u8>,
}

impl Answered {
    fn new(plan: Plan, bytes: &Bytes, cut: Cut) -> Self {
        let mut client = client::Connection::new(limits());
        plan.issue(&mut client);
        let (mut told, mut rest) = (Vec::new(), Rest::NeedInput);
        cut.feed(&mut client, bytes, |client| {
            rest = listen(client, &mut told);
            assert!(told.len() <= bytes.len() / 4 + 3, "the events come to an end");
        });
        let mut sent = Vec::new();
        drain(client.poll_transmit(), &mut sent);
        Self { client, told, rest, sent }
    }

    fn check_course(&self, plan: Plan) {
        let (mut failed, mut finished, mut headers, mut outputs) = (0, 0, 0, 0);
        for told in &self.told {
            assert_eq!(finished, 0, "there is no event after the end of the only call");
            match told {
                Told::Log(_) => {}
                Told::Header(..) => {
                    headers += 1;
                    assert!(plan.kind() == CallKind::Stream { header: true } && outputs == 0 && failed == 0);
                }
                Told::Output(..) => {
                    outputs += 1;
                    assert!(failed == 0 && !plan.gives_up());
                }
                Told::Failed(_) => failed += 1,
                Told::Finished => finished += 1,
            }
        }
        assert!(headers <= 1 && failed <= 1);
        if plan.kind() == CallKind::Unary {
            assert!(outputs <= 1, "a unary call has one result");
            assert!(finished == 0 || outputs + failed > 0, "a finished call has a result or an error");
        }
    }

    fn check_end(&mut self) {
        self.client.receive_eof();
        let rest = listen(&mut self.client, &mut self.told);
        let finished = self.told.contains(&Told::Finished);
        match &rest {
            Rest::Closed => assert!(finished && self.client.is_idle()),
            Rest::Failed(_) => assert!(!self.client.is_idle()),
            other => panic!("{other:?} after the end"),
        }
        assert_eq!(listen(&mut self.client, &mut Vec::new()), rest, "the end is final");
    }
}

fn listen(client: &mut client::Connection, told: &mut Vec<Told>) -> Rest {
    loop {
        match Rest::or_event(client.poll_event()) {
            Ok(event) => told.push(event.into()),
            Err(rest) => return rest,
        }
    }
}
