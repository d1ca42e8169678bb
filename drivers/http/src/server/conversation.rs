//! Drives one connection in the event loop: the HTTP/1.1 state machine and the endpoint that handles its requests.

use super::clock::Clock;
use super::date::Date;
use super::hosts::HostCheck;
use super::unfinished::UnfinishedCalls;
use super::work::{FinishedTransactionJob, TransactionJob};
use crate::http1::server::{Event, Phase as MachinePhase, ServerCodec as Machine};
use crate::http1::{self, BodyKind, Limits, Outbox};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, EXPECT};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;
use vgi_rpc_access_log::AccessLog;
use vgi_rpc_effects::{Inbox, Performer};
use vgi_rpc_protocol::http::{Body, Endpoint, RequestOrigin, RequestStep as Needs, Transaction};
use vgi_rpc_protocol::memory::{Account, Budget};
use vgi_rpc_protocol::service::{CallRecord, ProxyPeer, TlsPeer};
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_reactor::{Expiry, Origin, Phase, ProxiedOrigin, Step};

/// Responds to requests that are not for the endpoint.
pub(crate) type Route = dyn Fn(&Parts) -> Option<Response<Bytes>> + Send + Sync;

/// Called with the error if the service fails to start.
pub(crate) type OnStartFailure = dyn Fn(&RpcError) + Send + Sync;

/// A body of at most this many bytes is read before its head is processed. Both are then one step, and the body costs no more
/// memory than a head.
const SMALL_BODY: u64 = 64 << 10;

/// State shared by a server's connections.
#[derive(Clone)]
pub(crate) struct Acceptor {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) limits: Limits,
    pub(super) budget: Budget,
    pub(super) access_log: Option<AccessLog>,
    pub(super) unfinished: UnfinishedCalls,
    pub(super) performer: Performer,
    pub(super) on_start_failure: Option<Arc<OnStartFailure>>,
    pub(super) route: Option<Arc<Route>>,
    pub(super) hosts: Arc<HostCheck>,
    pub(super) date: Arc<Date>,
    pub(super) clock: Clock,
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Conversation {
    shared: Acceptor,
    machine: Machine,
    /// Accounts for the memory that this client makes the server hold.
    account: Account,
    remote_address: Option<String>,
    /// The client's address as reported by a proxy.
    proxy: Option<Arc<ProxyPeer>>,
    tls: Option<Arc<TlsPeer>>,
    waker: Waker,
    request: Request,
    /// The body of the request is being read because the transaction needs it.
    reads_body: bool,
    /// Receives the results of the request's effects, once it has any.
    inbox: Option<Inbox>,
    /// Records of calls whose responses have not been sent yet.
    records: Vec<CallRecord>,
}

/// The current request.
#[derive(Debug, Default)]
enum Request {
    /// There is none, or nothing about it needs to be kept.
    #[default]
    None,
    /// A request with a small body, which is read first.
    Head(Parts),
    Transaction(Transaction),
}

impl vgi_rpc_reactor::Acceptor for Acceptor {
    type Machine = Conversation;

    fn accept(&self, origin: &Origin, _seed: u64, waker: Waker) -> Conversation {
        let remote_address = origin.address().map(|address| address.to_string());
        let proxy = origin.proxied().map(|proxied| Arc::new(proxy_peer(proxied)));
        let account = self.budget.account();
        Conversation {
            shared: self.clone(),
            machine: Machine::new(self.limits.clone()).with_account(account.clone()),
            account,
            remote_address,
            proxy,
            tls: tls_peer(origin),
            waker,
            request: Request::None,
            reads_body: false,
            inbox: None,
            records: Vec::new(),
        }
    }

    fn memory_refusals(&self) -> u64 {
        self.budget.refusals()
    }

    fn watch_memory(&self, waker: Waker) -> Option<Box<dyn Any + Send>> {
        Some(Box::new(self.budget.on_refusal(waker)))
    }
}

/// Returns what calls may know about a proxy.
fn proxy_peer(proxied: &ProxiedOrigin) -> ProxyPeer {
    let text = |address: Option<SocketAddr>| address.map(|address| address.to_string());
    let mut peer = ProxyPeer::new(text(proxied.below.address()).unwrap_or_default());
    (peer.destination, peer.iroh_endpoint) = (text(proxied.destination()), proxied.iroh_endpoint());
    peer
}

#[cfg(feature = "tls")]
use vgi_rpc_tls::tls_peer;

/// Returns `None`: without the feature no connection uses TLS.
#[cfg(not(feature = "tls"))]
fn tls_peer(_: &Origin) -> Option<Arc<TlsPeer>> {
    None
}

impl Conversation {
    fn take_event(&mut self, event: Event) {
        match event {
            Event::Head(head, body) => self.head(head, body),
            Event::Body(body) => match std::mem::take(&mut self.request) {
                Request::Head(head) => self.begin(head, Some(body)),
                request => self.give_body(request, Body::Whole(body)),
            },
            Event::BodyTooLarge(_) => match std::mem::take(&mut self.request) {
                Request::Head(_) | Request::None => self.reject(StatusCode::PAYLOAD_TOO_LARGE),
                request => self.give_body(request, Body::TooLarge),
            },
            Event::BodyOverBudget(error) => match std::mem::take(&mut self.request) {
                Request::Head(_) | Request::None => self.reject(StatusCode::SERVICE_UNAVAILABLE),
                request => self.give_body(request, Body::OverBudget(error)),
            },
            Event::Malformed(error) => self.reject(error.status()),
        }
    }

    fn head(&mut self, head: Parts, body: BodyKind) {
        if !self.shared.hosts.allows(&head.headers) {
            return self.respond(misdirected(&head.headers));
        }
        if let Some(response) = self.shared.route.as_ref().and_then(|route| route(&head)) {
            return self.respond(response.map(|body| vec![body]));
        }
        match body {
            BodyKind::None => self.begin(head, Some(Bytes::new())),
            // A client that expects `100 Continue` is sent it only if its body is needed.
            BodyKind::Length(length) if length <= SMALL_BODY && !head.headers.contains_key(EXPECT) => {
                self.request = Request::Head(head);
                self.read_body(SMALL_BODY);
            }
            _ => self.begin(head, None),
        }
    }

    fn begin(&mut self, head: Parts, body: Option<Bytes>) {
        let arrival = RequestOrigin {
            now: self.shared.clock.now(),
            remote_address: self.remote_address.clone(),
            proxy: self.proxy.clone(),
            tls: self.tls.clone(),
            account: self.account.clone(),
        };
        let mut transaction = self.shared.endpoint.begin(head, arrival);
        if let Some(body) = body {
            // This is the first body, so it is accepted.
            let _ = transaction.receive_body(Body::Whole(body));
        }
        self.request = Request::Transaction(transaction);
    }

    fn give_body(&mut self, request: Request, body: Body) {
        if let Request::Transaction(mut transaction) = request {
            // The transaction asked for it once, so it is accepted.
            let _ = transaction.receive_body(body);
            self.request = Request::Transaction(transaction);
        }
    }

    /// Advances the current request as far as possible without input. Returns `None` if input is needed.
    fn drive(&mut self) -> Option<Step<TransactionJob>> {
        let Request::Transaction(transaction) = &mut self.request else { return None };
        if let Some(inbox) = &mut self.inbox {
            while let Some(arrival) = inbox.poll() {
                match arrival {
                    vgi_rpc_effects::Arrival::Data(id, data) => transaction.receive_effect_data(id, data),
                    vgi_rpc_effects::Arrival::Completed(id, completion) => {
                        transaction.complete_effect(id, completion);
                    }
                }
            }
        }
        let next = transaction.poll(self.shared.clock.now(), &self.waker);
        while let Some(event) = transaction.poll_effect() {
            // A separate inbox, since each request numbers its effects from the beginning.
            let inbox = self.inbox.get_or_insert_with(|| self.shared.performer.inbox(self.waker.clone()));
            inbox.handle(event);
        }
        match next {
            Needs::NeedBody => {
                let most = transaction.max_body_bytes();
                if !self.reads_body {
                    self.reads_body = true;
                    self.read_body(most);
                }
                None
            }
            Needs::Work(work) => {
                let Acceptor { access_log, clock, unfinished, .. } = &self.shared;
                let (access_log, clock, unfinished) = (access_log.clone(), clock.clone(), unfinished.clone());
                Some(Step::Job(TransactionJob { work, access_log, clock, unfinished }))
            }
            Needs::Waiting => Some(Step::Waiting),
            Needs::Answer(answer) => {
                self.end_request();
                self.records.extend(answer.record);
                self.respond(answer.response);
                // The response is counted again in the output buffer.
                drop(answer.memory);
                None
            }
            Needs::Over => {
                self.end_request();
                None
            }
        }
    }

    fn end_request(&mut self) {
        self.request = Request::None;
        self.inbox = None;
        self.reads_body = false;
    }

    fn write_records(&mut self) {
        if let Some(log) = &self.shared.access_log {
            self.records.drain(..).for_each(|record| log.write(&record));
        }
    }

    fn read_body(&mut self, max_bytes: u64) {
        // A body that can never fit is too large; the client should not retry.
        let max_bytes = max_bytes.min(self.shared.budget.limit().saturating_add(Budget::FLOOR_BYTES) as u64);
        let read = self.machine.read_body(max_bytes);
        debug_assert!(read.is_ok(), "a head was delivered: {read:?}");
    }

    fn respond(&mut self, mut response: Response<Vec<Bytes>>) {
        if let Some(date) = self.shared.date.at(self.shared.clock.now()) {
            response.headers_mut().entry(DATE).or_insert(date);
        }
        if self.machine.respond(response).is_err() {
            // Nothing was written: the response has a field that only the state machine may set.
            self.reject(StatusCode::INTERNAL_SERVER_ERROR);
        }
    }

    fn reject(&mut self, status: StatusCode) {
        self.end_request();
        let rejected = self.machine.reject(status);
        debug_assert!(rejected.is_ok(), "a request awaits its response: {rejected:?}");
    }
}

/// The response to a request whose host the server does not serve.
fn misdirected(headers: &HeaderMap) -> Response<Vec<Bytes>> {
    let host = HostCheck::named(headers).map_or_else(|| "another".to_owned(), |host| format!("{host:?}"));
    let text = format!(
        "expected Host to name a host that this server serves, got {host}: its operator can add it to the allowed hosts \
         (--allowed-hosts of a worker, AllowedHosts in Rust)\n"
    );
    let mut response = Response::new(vec![Bytes::from(text)]);
    *response.status_mut() = StatusCode::MISDIRECTED_REQUEST;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

impl vgi_rpc_reactor::Machine for Conversation {
    type Job = TransactionJob;
    type Output<'a> = &'a mut Outbox;

    fn phase(&self) -> Phase {
        match self.machine.phase() {
            MachinePhase::Idle => Phase::Idle,
            MachinePhase::Head => Phase::Head,
            MachinePhase::Body | MachinePhase::Answering | MachinePhase::Closing => Phase::Body,
        }
    }

    fn read_buf(&mut self) -> Option<&mut [u8]> {
        match self.machine.phase() {
            MachinePhase::Idle => None,
            _ => Some(self.machine.read_buf()).filter(|memory| !memory.is_empty()),
        }
    }

    fn advance(&mut self, count: usize) {
        self.machine.advance(count);
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.machine.receive(self.account.copy(bytes));
    }

    fn receive_eof(&mut self) {
        self.machine.receive_eof();
    }

    fn release_memory(&mut self) {
        self.machine.release_memory();
    }

    fn held_bytes(&self) -> usize {
        self.account.held()
    }

    fn complete(&mut self, done: FinishedTransactionJob) {
        if let Request::Transaction(transaction) = &mut self.request {
            match done.take() {
                Some(done) => {
                    if let (Some(report), Some(error)) = (&self.shared.on_start_failure, done.start_failure())
                    {
                        report(error);
                    }
                    if transaction.complete(done).is_err() {
                        transaction.lose_work();
                    }
                }
                None => transaction.lose_work(),
            }
        }
    }

    fn expire(&mut self, phase: Phase, reason: Expiry) {
        let status = match (reason, phase) {
            (_, Phase::Preamble | Phase::Handshake | Phase::Fresh | Phase::Idle | Phase::Stream) => return,
            (Expiry::Timeout, Phase::Head | Phase::Body) => StatusCode::REQUEST_TIMEOUT,
            (Expiry::Timeout, Phase::Waiting) | (Expiry::Memory, _) => StatusCode::SERVICE_UNAVAILABLE,
        };
        if let Request::Transaction(transaction) = &mut self.request {
            let error = match reason {
                Expiry::Timeout => {
                    let text = "the request waited too long for its effects or its session";
                    RpcError::status(Code::DeadlineExceeded, text)
                }
                Expiry::Memory => {
                    let text = "the server needs the memory that this request uses";
                    RpcError::status(Code::ResourceExhausted, text)
                }
            };
            self.records.extend(transaction.abandon(&error, status, self.shared.clock.now()));
        }
        self.end_request();
        // Without a request this is not an error here: the connection is closed in any case.
        let _ = self.machine.reject(status);
    }

    fn drain(&mut self) {
        self.machine.close_after_response();
    }

    fn poll(&mut self) -> Step<TransactionJob> {
        loop {
            if let Some(next) = self.drive() {
                return next;
            }
            // A response made here counts as a step, so that one client's many requests do not delay other clients.
            if self.machine.buffered_output() > 0 {
                return Step::NeedDrain;
            }
            match self.machine.poll_event() {
                http1::Next::Event(event) => self.take_event(event),
                http1::Next::NeedInput => return Step::NeedInput,
                http1::Next::NeedDrain => return Step::NeedDrain,
                http1::Next::NeedCommand | http1::Next::Waiting => {
                    debug_assert!(false, "a request without an answer has a transaction");
                    return Step::Close;
                }
                http1::Next::Closed if self.machine.should_linger() => return Step::LingeringClose,
                http1::Next::Closed => return Step::Close,
            }
        }
    }

    fn hang_up(&mut self) {
        // Its call ends with the connection, unless a thread is running it: then its result is logged.
        if let Request::Transaction(transaction) = &mut self.request {
            self.records.extend(transaction.hang_up(self.shared.clock.now()));
        }
        self.end_request();
        self.write_records();
    }

    fn poll_transmit(&mut self) -> Option<&mut Outbox> {
        self.write_records();
        self.machine.poll_transmit()
    }
}
