//! A driver of one responder at a time.

use super::effects_out::EffectsOut;
use super::requests::{asks, row};
use super::service::{self, ASKS};
use crate::support::feed::drain;
use crate::support::service::{MAIN, SERVER_ID, text};
use crate::support::observed::batches_written;
use crate::support::limits;
use arbitrary::{Result, Unstructured};
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use bytes::Bytes;
use std::sync::Arc;
use vgi_rpc_protocol::client::{self, Call, CallKind};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::memory::{Account, Budget};
use vgi_rpc_protocol::service::{WorkResult, Peer, Responder, Service, TransportKind, Work};
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::{ConnectionError, IdSource, Next};

/// More rounds than all effects of all calls of an input require.
const MOST_ROUNDS: usize = 100_000;

/// One connection after another, each with its responder.
pub struct Line {
    budget: Budget,
    account: Account,
    server: Responder,
    work: Option<Work>,
    done: Option<WorkResult>,
    effects: EffectsOut,
    /// What the client has sent and the network has not delivered.
    up: Vec<u8>,
    down: Vec<u8>,
    made: usize,
    /// Calls of this connection.
    calls: Vec<String>,
    records: usize,
    has_failed: bool,
    is_eof: bool,
    /// Accounts of closed connections.
    accounts: Vec<Account>,
}

fn responder(service: &Arc<Service>, budget: &Budget) -> (Responder, Account) {
    let (peer, account) = (Peer::new(TransportKind::Pipe, SERVER_ID), budget.account());
    let server = Responder::new(service.clone(), peer, limits(), IdSource::seeded(7));
    let mut server = server.with_account(account.clone());
    server.record_calls();
    (server, account)
}

impl Line {
    pub fn new(service: &Arc<Service>, budget: &Budget) -> Self {
        let (server, account) = responder(service, budget);
        Self {
            budget: budget.clone(),
            account,
            server,
            work: None,
            done: None,
            effects: EffectsOut::default(),
            up: Vec::new(),
            down: Vec::new(),
            made: 0,
            calls: Vec::new(),
            records: 0,
            has_failed: false,
            is_eof: false,
            accounts: Vec::new(),
        }
    }

    pub fn operate(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        match u.int_in_range(0..=31)? {
            0..=3 => self.call(u)?,
            4..=8 => {
                let count = if u.ratio(2, 3)? { self.up.len() } else { u.int_in_range(0..=self.up.len())? };
                let bytes: Vec<u8> = self.up.drain(..count).collect();
                self.server.receive(Bytes::from(bytes));
            }
            9..=14 => self.poll(),
            15..=17 => self.run_work(),
            18..=20 => self.complete(),
            21 => {
                self.work = None;
                self.done = None;
                self.server.lose_work();
            }
            22..=25 => self.effects.complete_any(&mut self.server, u)?,
            26 => self.effects.repeat(&mut self.server, u)?,
            27 => {
                // Possible while a call is admitted, and while bytes are expected.
                let _ = self.server.abandon(RpcError::status(Code::DeadlineExceeded, "it takes too long"));
            }
            28 => self.drain(),
            29 if u.ratio(1, 4)? => {
                self.server.receive_eof();
                self.is_eof = true;
            }
            30 if u.ratio(1, 2)? => {
                self.server.hang_up();
                self.effects.take_up(|| self.server.poll_effect());
                assert!(self.effects.is_empty(), "the effects of an ended call are withdrawn");
                self.take_records();
                for id in &self.calls {
                    let (started, ended) = service::call(id);
                    assert_eq!(started, ended, "every call of a disconnected peer has ended");
                }
                self.reconnect(u.arbitrary()?);
            }
            31 if u.ratio(1, 2)? => self.reconnect(u.arbitrary()?),
            _ => {}
        }
        Ok(())
    }

    /// Drops the responder; pending work runs before or after that.
    fn reconnect(&mut self, runs_before: bool) {
        if runs_before {
            self.run_work();
        }
        let (server, account) = responder(&self.server.service().clone(), &self.budget);
        self.server = server;
        self.accounts.push(std::mem::replace(&mut self.account, account));
        self.run_work();
        self.done = None;
        self.effects = EffectsOut::default();
        self.up.clear();
        self.down.clear();
        self.calls.clear();
        (self.records, self.has_failed, self.is_eof) = (0, false, false);
    }

    /// Sends everything that a client sends in one call.
    fn call(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let id = format!("c{}", self.made);
        self.made += 1;
        let stream = CallKind::Stream { header: false };
        let count: ArrayRef = Arc::new(Int64Array::from(vec![2]));
        let values = |value: f64| Arc::new(Float64Array::from(vec![value])) as ArrayRef;
        let (method, kind, request) = match u.int_in_range(0..=4)? {
            0 | 1 => ("echo", CallKind::Unary, row("value", text(&id))),
            2 => ("fail", CallKind::Unary, row("message", text(&id))),
            3 => ("count", stream, row("count", count)),
            _ => ("scale", stream, row("factor", values(2.0))),
        };
        let asks = asks(u)?;
        let call = Call {
            protocol: MAIN,
            method,
            protocol_version: None,
            request_id: Some(&id),
            kind,
            metadata: [(ASKS, asks)].into_iter().filter(|_| !asks.is_empty()).collect(),
        };
        let mut client = client::Connection::new(limits());
        let encoded = |batch: &RecordBatch| EncodedSchema::new(batch.schema()).expect("it can be sent");
        client.call(&call, &encoded(&request), &request).expect("nothing is under way");
        if kind == stream {
            for _ in 0..u.int_in_range(0..=3)? {
                if method == "scale" {
                    let input = row("value", values(1.5));
                    client.send(&encoded(&input), &input, &Metadata::new()).expect("a stream is open");
                } else {
                    client.tick(&Metadata::new()).expect("a stream is open");
                }
            }
            let ended = if u.arbitrary()? { client.cancel() } else { client.close() };
            ended.expect("a stream is open");
        }
        drain(client.poll_transmit(), &mut self.up);
        self.calls.push(id);
        Ok(())
    }

    fn poll(&mut self) {
        let next = self.server.poll_work();
        self.effects.take_up(|| self.server.poll_effect());
        self.take_records();
        let is_out = self.work.is_some() || self.done.is_some();
        match next {
            Ok(Next::Event(work)) => {
                assert!(!is_out, "one invocation is pending at a time");
                self.work = Some(work);
            }
            Ok(Next::NeedCommand) => assert!(is_out, "a responder waits for work that is not pending"),
            Ok(Next::Waiting) => assert!(!self.effects.is_empty(), "a responder waits for nothing"),
            Ok(Next::NeedDrain) => self.drain(),
            Ok(Next::NeedInput) => {}
            Ok(Next::Closed) => assert!(self.is_eof, "no peer closed the connection"),
            Err(ConnectionError::Abandoned) => self.has_failed = true,
            Err(error) => {
                let is_cut = self.is_eof;
                assert!(is_cut || self.budget.refusals() > 0, "{error} of an honest client");
                self.has_failed = true;
            }
        }
    }

    fn take_records(&mut self) {
        while self.server.poll_record().is_some() {
            self.records += 1;
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

    fn drain(&mut self) {
        drain(self.server.poll_transmit(), &mut self.down);
    }

    /// Delivers everything, completes everything, and checks the final state.
    pub fn finish(mut self) {
        for round in 0.. {
            assert!(round < MOST_ROUNDS, "it does not terminate: {:?}", self.server);
            let had = (self.work.is_some() || self.done.is_some(), self.effects.is_empty(), self.down.len());
            self.server.receive(std::mem::take(&mut self.up).into());
            self.run_work();
            self.complete();
            self.effects.complete_all(&mut self.server);
            self.poll();
            self.drain();
            let is_out = self.work.is_some() || !self.effects.is_empty();
            if had == (false, true, self.down.len()) && !is_out {
                break;
            }
        }
        if !self.has_failed && !self.is_eof && self.budget.refusals() == 0 {
            for id in &self.calls {
                assert_eq!(service::call(id), (1, 1), "every call that was sent starts and ends");
            }
            assert_eq!(self.records, self.calls.len(), "every call has one record");
            let ends = batches_written(std::mem::take(&mut self.down), false).len();
            assert!(ends <= 4 * self.calls.len(), "a call is answered with its effects' results");
        }
        self.reconnect(false);
        let held: usize = self.accounts.iter().map(Account::held).sum();
        assert_eq!(held, 0, "the memory of every connection is released");
    }
}
