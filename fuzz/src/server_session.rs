//! A hostile client: a responder terminates on any bytes, sends the same output for any pieces, sends well-formed
//! streams, drops every state, and still answers when it waits for a call.

use crate::support::feed::{Cut, drain};
use crate::support::service::{MAIN, responder, states_alive, text};
use crate::support::observed::{Rest, batches_written};
use crate::support::{limits, panics};
use arrow_array::RecordBatch;
use bytes::{Buf, Bytes};
use std::sync::LazyLock;
use std::time::Duration;
use vgi_rpc_protocol::client::{self, Call, CallKind};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::service::Responder;
use vgi_rpc_protocol::{Limits, access_log};

/// Feeds `data` to a responder, whole and in pieces.
pub fn run(data: &[u8]) {
    panics::watch();
    let bytes = Bytes::copy_from_slice(data);
    let (mut whole, mut pieces) = (Session::new(), Session::new());
    for (session, cut) in [(&mut whole, Cut::Whole), (&mut pieces, Cut::of(data))] {
        cut.feed(&mut session.responder, &bytes, |responder| {
            session.rest = serve(responder, &mut session.sent, &mut session.records);
        });
    }
    assert_eq!((&whole.rest, &whole.sent), (&pieces.rest, &pieces.sent), "whole and in pieces");
    assert_eq!(whole.records, pieces.records);
    assert_eq!(whole.responder.is_idle(), pieces.responder.is_idle());

    let failed = matches!(whole.rest, Rest::Failed(_));
    assert!(failed || whole.rest == Rest::NeedInput, "{:?}", whole.rest);
    batches_written(std::mem::take(&mut whole.sent), true);
    if !failed && whole.responder.is_idle() {
        whole.expect_an_answer();
    }
    pieces.end();
    drop((whole, pieces));
    assert_eq!(states_alive(), 0, "every state is dropped with its connection");
}

struct Session {
    responder: Responder,
    rest: Rest,
    sent: Vec<u8>,
    records: usize,
}

impl Session {
    fn new() -> Self {
        let mut responder = responder(limits());
        responder.record_calls();
        Self { responder, rest: Rest::NeedInput, sent: Vec::new(), records: 0 }
    }

    /// Asserts that a valid call is answered, whatever came before.
    fn expect_an_answer(&mut self) {
        self.responder.receive(ALIVE.clone());
        assert_eq!(serve(&mut self.responder, &mut self.sent, &mut self.records), Rest::NeedInput);
        let answer = batches_written(std::mem::take(&mut self.sent), false);
        let [(batch, metadata)] = &answer[..] else { panic!("one batch answers a call: {answer:?}") };
        assert_eq!((batch.num_rows(), batch.column(0), metadata.len()), (1, &text("alive"), 0));
        assert_eq!(states_alive(), 0, "no call is under way");
    }

    /// Disconnects the client.
    fn end(&mut self) {
        let failed = matches!(self.rest, Rest::Failed(_));
        let is_cut = self.responder.is_mid_message();
        self.responder.receive_eof();
        let rest = serve(&mut self.responder, &mut self.sent, &mut self.records);
        match &rest {
            Rest::Closed => assert!(!failed && !is_cut && self.responder.is_idle()),
            Rest::Failed(_) => assert!(failed || is_cut),
            rest => panic!("{rest:?} at the end"),
        }
        assert_eq!(serve(&mut self.responder, &mut Vec::new(), &mut 0), rest, "the end is final");
    }
}

/// Runs all pending work, sends its output, and returns what the responder then waits for.
fn serve(responder: &mut Responder, sent: &mut Vec<u8>, records: &mut usize) -> Rest {
    loop {
        let rest = match Rest::or_event(responder.poll_work()) {
            Ok(work) => {
                responder.complete(work.run()).expect("pending work can be completed");
                continue;
            }
            Err(rest) => rest,
        };
        while let Some(record) = responder.poll_record() {
            let line = access_log::line(&record, Duration::ZERO, 0);
            let parsed: serde_json::Value = serde_json::from_str(&line).expect("a line is JSON");
            assert!(parsed.is_object() && line.ends_with('\n') && line.matches('\n').count() == 1);
            *records += 1;
        }
        drain(responder.poll_transmit(), sent);
        if rest != Rest::NeedDrain {
            return rest;
        }
    }
}

/// The bytes of a call of `echo`.
static ALIVE: LazyLock<Bytes> = LazyLock::new(|| {
    let row = RecordBatch::try_from_iter([("value", text("alive"))]).expect("one column");
    let schema = EncodedSchema::new(row.schema()).expect("text can be sent");
    let mut client = client::Connection::new(Limits::default());
    let call = Call {
        protocol: MAIN,
        method: "echo",
        protocol_version: None,
        request_id: None,
        kind: CallKind::Unary,
        metadata: Metadata::new(),
    };
    client.call(&call, &schema, &row).expect("nothing is under way");
    client.poll_transmit().map(|outbox| outbox.copy_to_bytes(outbox.len())).expect("a call is sent")
});
