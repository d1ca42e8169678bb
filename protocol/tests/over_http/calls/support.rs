//! A service that records its events in a journal, and machines driven step by step on both carriers.

use crate::common::batches::*;
use crate::common::driver::{Command, Rest, listen};
use crate::common::feed::drain;
use crate::common::service::{MAIN, SERVER_ID, VERSION, VERSIONED};
use crate::common::transcript::Told;
use crate::serve::{Answered, CLIENT, Server};
use arrow_array::RecordBatch;
use arrow_schema::DataType;
use bytes::Bytes;
use http::Request;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use std::time::Duration;
use vgi_rpc_protocol::effect::{Completion, Effect, EffectEvent, EffectId};
use vgi_rpc_protocol::http::{
    Body, RequestOrigin, RequestStep, RequestWork as HttpWork, RequestWorkResult, Transaction,
};
use vgi_rpc_protocol::memory::{Account, Budget};
use vgi_rpc_protocol::service::{
    CallContext, CallHook, CallRecord, CallScope, Exchange, Method, MethodSpec, Peer, Producer, Protocol,
    Responder, Service, ServiceBuilder, Stream, TransportKind, Turn, Work,
};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::log::LogMessage;
use vgi_rpc_protocol::{IdSource, Limits, client};

/// The events of handlers and listeners, in order.
#[derive(Clone, Default)]
pub struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    pub fn note(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    /// Returns the notes since the previous call.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl CallHook for Journal {
    fn on_start(&self, _: &CallContext) -> Option<Box<dyn CallScope>> {
        self.note("start");
        Some(Box::new(self.clone()))
    }
}

impl CallScope for Journal {
    fn enter(&mut self) {
        self.note("enter");
    }

    fn exit(&mut self) {
        self.note("exit");
    }

    fn end(&mut self, record: &CallRecord) {
        let error = record.error.as_ref().map_or("ok", |error| error.error_type());
        self.note(format!("end {error}"));
    }
}

/// Returns the journal of a call's service.
pub fn journal(context: &CallContext) -> &Journal {
    context.shared().expect("the protocol shares the journal")
}

/// Returns a service of [`methods`] and these, with a journal that listens to its calls.
pub fn service_of(
    more: Vec<MethodSpec>,
    set: impl FnOnce(ServiceBuilder) -> ServiceBuilder,
) -> (Arc<Service>, Journal) {
    crate::common::quiet_panics();
    let journal = Journal::default();
    let main = Protocol::new(MAIN).share(journal.clone()).methods(methods()).methods(more);
    let versioned = Protocol::new(VERSIONED).version(VERSION).share(journal.clone()).methods(methods());
    let service = Service::builder(SERVER_ID).protocol(main).protocol(versioned).hook(journal.clone());
    (Arc::new(set(service).build().unwrap()), journal)
}

/// Returns a service of [`methods`].
pub fn service(set: impl FnOnce(ServiceBuilder) -> ServiceBuilder) -> (Arc<Service>, Journal) {
    service_of(Vec::new(), set)
}

fn methods() -> Vec<MethodSpec> {
    let values = || schema([("value", DataType::Float64)]);
    let text = |name: &str| Method::new(name).returns(DataType::Utf8);
    vec![
        text("echo").param("value", DataType::Utf8).unary(|args, context| {
            journal(context).note("run");
            Ok(args.get::<&str>("value")?.to_owned())
        }),
        text("fail").unary(|_, context| {
            journal(context).note("run");
            Err::<String, _>(RpcError::value_error("failed as asked"))
        }),
        text("panic").unary(|_, context| -> Result<String, RpcError> {
            journal(context).note("run");
            std::panic::panic_any("on purpose, in a handler")
        }),
        text("log").param("count", DataType::Int64).param("manner", DataType::Utf8).unary(|args, context| {
            for number in 0..args.get::<i64>("count")? {
                context.log(LogMessage::info(number.to_string()));
            }
            match args.get::<&str>("manner")? {
                "fail" => Err(RpcError::value_error("failed after logs")),
                "panic" => std::panic::panic_any("on purpose, after logs"),
                manner => Ok(manner.to_owned()),
            }
        }),
        text("log_and_misfit").unary(|_, context| {
            context.log(LogMessage::info("0"));
            Ok(arrow_array::new_null_array(&DataType::Int64, 1))
        }),
        Method::new("open").returns(DataType::Int64).unary(|_, context| {
            context.open_session(0_i64, None)?;
            Ok(0_i64)
        }),
        Method::new("increment").returns(DataType::Int64).unary(|_, context| {
            let lost = || RpcError::runtime_error("no session");
            let count = context.session::<i64>().ok_or_else(lost)?;
            *count += 1;
            Ok(*count)
        }),
        Method::new("count")
            .param("count", DataType::Int64)
            .output(schema([("n", DataType::Int64)]))
            .producer(|args, context| {
                journal(context).note("run");
                Ok(Stream::new(Count { next: 0, count: args.get("count")? }))
            }),
        Method::new("double").input(values()).output(values()).exchange(|_, context| {
            journal(context).note("run");
            Ok(Stream::new(Double {}))
        }),
    ]
}

/// Emits the numbers below `count`.
#[derive(Serialize, Deserialize)]
pub struct Count {
    pub next: i64,
    pub count: i64,
}

impl Producer for Count {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        journal(turn).note("turn");
        if self.next >= self.count {
            return turn.finish();
        }
        self.next += 1;
        turn.emit_columns(vec![int(self.next - 1)])
    }

    fn on_cancel(&mut self, context: &mut CallContext) {
        journal(context).note("cancel");
    }
}

/// Doubles its input.
#[derive(Serialize, Deserialize)]
pub struct Double {}

impl Exchange for Double {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        journal(turn).note("turn");
        let values =
            arrow_array::cast::AsArray::as_primitive::<arrow_array::types::Float64Type>(input.column(0));
        let doubled = values.unary::<_, arrow_array::types::Float64Type>(|value| value * 2.0);
        turn.emit_columns(vec![Arc::new(doubled)])
    }

    fn on_cancel(&mut self, context: &mut CallContext) {
        journal(context).note("cancel");
    }
}

/// A client and a responder in memory. The test decides when work runs.
pub struct Wire {
    pub client: client::Connection,
    pub server: Responder,
    account: Account,
}

impl Wire {
    pub fn new(service: &Arc<Service>) -> Self {
        Self::with_account(service, Account::default())
    }

    pub fn with_account(service: &Arc<Service>, account: Account) -> Self {
        Self::with_peer(service, account, Peer::new(TransportKind::Pipe, SERVER_ID))
    }

    pub fn with_peer(service: &Arc<Service>, account: Account, peer: Peer) -> Self {
        let mut server = Responder::new(service.clone(), peer, Limits::default(), IdSource::seeded(7))
            .with_account(account.clone());
        server.record_calls();
        Self { client: client::Connection::new(Limits::default()), server, account }
    }

    /// Sends a command. The server receives it, but does not process it.
    #[track_caller]
    pub fn send(&mut self, command: Command) {
        command.issue(&mut self.client).unwrap();
        let mut bytes = Vec::new();
        drain(self.client.poll_transmit(), usize::MAX, &mut bytes);
        self.server.receive(self.account.copy(&bytes));
    }

    /// Returns the next work.
    #[track_caller]
    pub fn work(&mut self) -> Work {
        Rest::or_event(self.server.poll_work()).unwrap_or_else(|rest| panic!("expected work, got {rest:?}"))
    }

    /// Returns what the server waits for if there is no work.
    #[track_caller]
    pub fn rest(&mut self) -> Rest {
        match Rest::or_event(self.server.poll_work()) {
            Ok(work) => panic!("expected no work, got {work:?}"),
            Err(rest) => rest,
        }
    }

    /// Runs all work. Returns the client's events as text.
    #[track_caller]
    pub fn run(&mut self) -> Vec<String> {
        while let Ok(work) = Rest::or_event(self.server.poll_work()) {
            self.server.complete(work.run()).unwrap();
        }
        self.heard()
    }

    /// Sends a command and runs its work.
    #[track_caller]
    pub fn play(&mut self, command: Command) -> Vec<String> {
        self.send(command);
        self.run()
    }

    /// Returns the client's events for everything that the server has sent, as text.
    pub fn heard(&mut self) -> Vec<String> {
        self.told().iter().map(Told::line).collect()
    }

    /// Returns the events themselves.
    pub fn told(&mut self) -> Vec<Told> {
        let (mut bytes, mut told) = (Vec::new(), Vec::new());
        drain(self.server.poll_transmit(), usize::MAX, &mut bytes);
        self.client.receive(bytes.into());
        listen(&mut self.client, &mut told);
        told
    }

    /// Returns the only requested effect.
    #[track_caller]
    pub fn effect(&mut self) -> Effect {
        only_request(std::iter::from_fn(|| self.server.poll_effect()).collect())
    }

    /// Returns the withdrawn effects.
    #[track_caller]
    pub fn withdrawn(&mut self) -> Vec<EffectId> {
        withdrawals(std::iter::from_fn(|| self.server.poll_effect()))
    }

    pub fn records(&mut self) -> Vec<CallRecord> {
        std::iter::from_fn(|| self.server.poll_record()).collect()
    }

    /// Returns the error type of the only record.
    #[track_caller]
    pub fn recorded(&mut self) -> String {
        let records = self.records();
        assert_eq!(records.len(), 1, "{records:?}");
        records[0].error.as_ref().map_or("ok", |error| error.error_type()).to_owned()
    }
}

#[track_caller]
fn only_request(mut events: Vec<EffectEvent>) -> Effect {
    match (events.pop(), events.is_empty()) {
        (Some(EffectEvent::Requested(effect)), true) => effect,
        (event, _) => panic!("expected one request, got {event:?} after {events:?}"),
    }
}

#[track_caller]
fn withdrawals(events: impl Iterator<Item = EffectEvent>) -> Vec<EffectId> {
    events
        .map(|event| match event {
            EffectEvent::Withdrawn(id) => id,
            EffectEvent::Requested(effect) => panic!("{effect:?} is requested"),
        })
        .collect()
}

/// Counts wake-ups.
#[derive(Default)]
pub struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A transaction. The test decides when its work runs.
pub struct Visit {
    pub transaction: Transaction,
    body: Option<Bytes>,
    pub now: Duration,
    wakes: Arc<Wakes>,
}

impl Visit {
    pub fn begin(server: &Server, request: Request<Bytes>) -> Self {
        Self::with_account(server, request, Account::default())
    }

    pub fn with_account(server: &Server, request: Request<Bytes>, account: Account) -> Self {
        let (head, body) = request.into_parts();
        let body = account.copy(&body);
        let arrival = RequestOrigin {
            now: server.now,
            remote_address: Some(CLIENT.into()),
            account,
            ..RequestOrigin::default()
        };
        let transaction = server.endpoint.begin(head, arrival);
        Self { transaction, body: Some(body), now: server.now, wakes: Arc::default() }
    }

    /// Returns the number of wake-ups.
    pub fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::SeqCst)
    }

    pub fn body_was_read(&self) -> bool {
        self.body.is_none()
    }

    /// Returns the next step, and provides the body if it is needed.
    pub fn next(&mut self) -> RequestStep {
        loop {
            match self.transaction.poll(self.now, &Waker::from(self.wakes.clone())) {
                RequestStep::NeedBody => {
                    let body = self.body.take().expect("a body is asked for once");
                    self.transaction.receive_body(Body::Whole(body)).unwrap();
                }
                next => return next,
            }
        }
    }

    /// Returns the next work after the start-up work, which it runs.
    #[track_caller]
    pub fn work(&mut self) -> HttpWork {
        loop {
            match self.next() {
                RequestStep::Work(work) if format!("{work:?}").contains("Start") => self.complete(work),
                RequestStep::Work(work) => return work,
                next => panic!("expected work, got {next:?}"),
            }
        }
    }

    pub fn complete(&mut self, work: HttpWork) {
        let done: RequestWorkResult = work.run(&|| self.now);
        self.transaction.complete(done).unwrap();
    }

    /// Runs all work. Returns the next other step.
    pub fn run(&mut self) -> RequestStep {
        loop {
            match self.next() {
                RequestStep::Work(work) => self.complete(work),
                next => return next,
            }
        }
    }

    /// Runs all work until the transaction waits.
    #[track_caller]
    pub fn wait(&mut self) {
        let next = self.run();
        assert!(matches!(next, RequestStep::Waiting), "expected it to wait, got {next:?}");
    }

    /// Runs all work until the answer.
    #[track_caller]
    pub fn answer(&mut self) -> Answered {
        match self.run() {
            RequestStep::Answer(answer) => Answered::new(answer, self.body.is_none()),
            next => panic!("expected an answer, got {next:?}"),
        }
    }

    #[track_caller]
    pub fn effect(&mut self) -> Effect {
        only_request(std::iter::from_fn(|| self.transaction.poll_effect()).collect())
    }

    #[track_caller]
    pub fn withdrawn(&mut self) -> Vec<EffectId> {
        withdrawals(std::iter::from_fn(|| self.transaction.poll_effect()))
    }
}

/// A machine that waits for effects: the interface common to both carriers.
pub trait Asking {
    /// Runs until it waits. Returns the requested effect.
    fn asked(&mut self) -> Effect;
    fn data(&mut self, id: EffectId, data: &'static [u8]);
    fn done(&mut self, id: EffectId, completion: Completion);
    /// Runs until the call is answered. Returns `ok`, or the code and message of the error.
    fn outcome(&mut self) -> String;
    fn late(&mut self) -> Vec<EffectId>;
}

/// Formats an error in one line.
pub fn shown(error: &RpcError) -> String {
    format!("{:?} {}", error.code(), error.message())
}

impl Asking for Wire {
    #[track_caller]
    fn asked(&mut self) -> Effect {
        assert_eq!(self.rest(), Rest::Waiting);
        self.effect()
    }

    fn data(&mut self, id: EffectId, data: &'static [u8]) {
        self.server.receive_effect_data(id, Bytes::from_static(data));
    }

    fn done(&mut self, id: EffectId, completion: Completion) {
        self.server.complete_effect(id, completion);
    }

    #[track_caller]
    fn outcome(&mut self) -> String {
        while let Ok(work) = Rest::or_event(self.server.poll_work()) {
            self.server.complete(work.run()).unwrap();
        }
        assert_eq!(self.rest(), Rest::NeedInput);
        self.told().iter().find_map(|told| told.error().map(shown)).unwrap_or_else(|| "ok".into())
    }

    #[track_caller]
    fn late(&mut self) -> Vec<EffectId> {
        self.withdrawn()
    }
}

impl Asking for Visit {
    #[track_caller]
    fn asked(&mut self) -> Effect {
        self.wait();
        self.effect()
    }

    fn data(&mut self, id: EffectId, data: &'static [u8]) {
        self.transaction.receive_effect_data(id, Bytes::from_static(data));
    }

    fn done(&mut self, id: EffectId, completion: Completion) {
        self.transaction.complete_effect(id, completion);
    }

    #[track_caller]
    fn outcome(&mut self) -> String {
        let answered = self.answer();
        assert_eq!(answered.status, 200);
        if answered.is_marked() { shown(&answered.error()) } else { "ok".into() }
    }

    #[track_caller]
    fn late(&mut self) -> Vec<EffectId> {
        self.withdrawn()
    }
}

/// Returns a budget that is large enough, and an account in it.
pub fn budget() -> (Budget, Account) {
    let budget = Budget::new(64 << 20);
    let account = budget.account();
    (budget, account)
}
