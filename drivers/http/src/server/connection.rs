//! One connection as the event loop drives it: the HTTP/1.1 machine, and the endpoint that answers its requests.

use super::Route;
use super::date::Date;
use super::hosts::HostCheck;
use super::work::{Begin, Done, Work, now};
use crate::http1::server::{Connection as Machine, Event, Phase as MachinePhase};
use crate::http1::{self, BodyKind, Limits, Outbox};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, EXPECT};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use vgi_rpc_access_log::AccessLog;
use vgi_rpc_protocol::http::{Body, Call, Endpoint};
use vgi_rpc_protocol::memory::{Account, Budget};
use vgi_rpc_protocol::service::CallRecord;
use vgi_rpc_reactor::{Expiry, Next, Origin, Phase};

/// A body of at most this many bytes is read before its head is looked at: the two are one step then, and it costs
/// no more memory than a head does.
const SMALL_BODY: u64 = 64 << 10;

/// What the connections of a server share.
#[derive(Clone)]
pub(crate) struct Acceptor {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) limits: Limits,
    pub(super) budget: Budget,
    pub(super) access_log: Option<AccessLog>,
    pub(super) route: Option<Arc<Route>>,
    pub(super) hosts: Arc<HostCheck>,
    pub(super) date: Arc<Date>,
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    shared: Acceptor,
    machine: Machine,
    /// What the client makes this server hold is reserved in it.
    account: Account,
    remote_address: Option<String>,
    request: Request,
    /// Records of calls whose responses are not sent yet.
    records: Vec<CallRecord>,
}

/// The request under way.
#[derive(Debug, Default)]
enum Request {
    /// None, or none that anything is to be remembered of.
    #[default]
    None,
    /// Its body is small, and is read first.
    Head(Parts),
    /// Its body is of use.
    Call(Call),
}

impl vgi_rpc_reactor::Acceptor for Acceptor {
    type Machine = Connection;

    fn accept(&self, origin: &Origin, _seed: u64, _waker: Waker) -> Connection {
        let remote_address = match origin {
            Origin::Tcp(Some(address)) => Some(address.to_string()),
            _ => None,
        };
        let account = self.budget.account();
        Connection {
            shared: self.clone(),
            machine: Machine::new(self.limits.clone()).with_account(account.clone()),
            account,
            remote_address,
            request: Request::None,
            records: Vec::new(),
        }
    }

    fn memory_refusals(&self) -> u64 {
        self.budget.refusals()
    }
}

impl Connection {
    /// The work that an event asks for, if any. What needs none is answered here.
    fn work(&mut self, event: Event) -> Option<Work> {
        match event {
            Event::Head(head, body) => self.head(head, body),
            Event::Body(body) => match std::mem::take(&mut self.request) {
                Request::Head(head) => self.begin(head, Some(body)),
                Request::Call(call) => Some(Work::Run(call, Body::Whole(body))),
                Request::None => None,
            },
            Event::BodyTooLarge(_) => match std::mem::take(&mut self.request) {
                Request::Call(call) => Some(Work::Run(call, Body::TooLarge)),
                Request::Head(_) | Request::None => {
                    self.reject(StatusCode::PAYLOAD_TOO_LARGE);
                    None
                }
            },
            Event::BodyOverBudget(error) => match std::mem::take(&mut self.request) {
                Request::Call(call) => Some(Work::Run(call, Body::OverBudget(error))),
                Request::Head(_) | Request::None => {
                    self.reject(StatusCode::SERVICE_UNAVAILABLE);
                    None
                }
            },
            Event::Malformed(error) => {
                self.reject(error.status());
                None
            }
            Event::Aborted(_) => {
                self.request = Request::None;
                None
            }
        }
    }

    fn head(&mut self, head: Parts, body: BodyKind) -> Option<Work> {
        if !self.shared.hosts.allows(&head.headers) {
            self.respond(misdirected());
            return None;
        }
        if let Some(response) = self.shared.route.as_ref().and_then(|route| route(&head)) {
            self.respond(response.map(|body| vec![body]));
            return None;
        }
        match body {
            BodyKind::None => self.begin(head, Some(Bytes::new())),
            // A client that waits to be told to go on is to be told only if its body is of use.
            BodyKind::Length(length) if length <= SMALL_BODY && !head.headers.contains_key(EXPECT) => {
                self.request = Request::Head(head);
                self.read_body(SMALL_BODY);
                None
            }
            _ => self.begin(head, None),
        }
    }

    /// Has a head looked at, right here unless that may wait: then a request that needs no handler is answered
    /// even if every thread is at work.
    fn begin(&mut self, head: Parts, body: Option<Bytes>) -> Option<Work> {
        let waits = self.shared.endpoint.may_wait(&head);
        let begin = Begin {
            endpoint: self.shared.endpoint.clone(),
            head,
            remote: self.remote_address.clone(),
            account: self.account.clone(),
        };
        if waits {
            return Some(match body {
                None => Work::Begin(begin),
                Some(body) => Work::Whole(begin, body),
            });
        }
        match (begin.run(), body) {
            (Done::ReadBody(call), Some(body)) => return Some(Work::Run(call, Body::Whole(body))),
            (done, _) => self.take(done),
        }
        None
    }

    fn take(&mut self, done: Done) {
        match done {
            Done::ReadBody(call) => {
                self.read_body(call.max_body_bytes());
                self.request = Request::Call(call);
            }
            Done::Answer(answer) => {
                self.records.extend(answer.record);
                self.respond(answer.response);
                // The response is counted where it waits to be sent.
                drop(answer.memory);
            }
            Done::Failed => self.reject(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    fn read_body(&mut self, max_bytes: u64) {
        // What can never fit is too large, and not for the client to try again.
        let max_bytes = max_bytes.min(self.shared.budget.limit().saturating_add(Budget::FLOOR_BYTES) as u64);
        let read = self.machine.read_body(max_bytes);
        debug_assert!(read.is_ok(), "a head came: {read:?}");
    }

    fn respond(&mut self, mut response: Response<Vec<Bytes>>) {
        if let Some(date) = self.shared.date.at(now()) {
            response.headers_mut().entry(DATE).or_insert(date);
        }
        if self.machine.respond(response).is_err() {
            // Nothing was written: the response has a field that only the machine may set.
            self.reject(StatusCode::INTERNAL_SERVER_ERROR);
        }
    }

    fn reject(&mut self, status: StatusCode) {
        self.request = Request::None;
        let rejected = self.machine.reject(status);
        debug_assert!(rejected.is_ok(), "a request waits for its answer: {rejected:?}");
    }
}

/// The answer to a request that names a host which the server does not serve.
fn misdirected() -> Response<Vec<Bytes>> {
    let text = "expected Host to name a host that this server serves, got another: its operator allows more by AllowedHosts\n";
    let mut response = Response::new(vec![Bytes::from_static(text.as_bytes())]);
    *response.status_mut() = StatusCode::MISDIRECTED_REQUEST;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

impl vgi_rpc_reactor::Machine for Connection {
    type Work = Work;
    type Output = Outbox;

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

    fn complete(&mut self, done: Done) {
        self.take(done);
    }

    fn expire(&mut self, phase: Phase, reason: Expiry) {
        if let Phase::Head | Phase::Body = phase {
            self.request = Request::None;
            // Nothing to answer is no error here: the connection is closed all the same.
            let _ = self.machine.reject(match reason {
                Expiry::Timeout => StatusCode::REQUEST_TIMEOUT,
                Expiry::Memory => StatusCode::SERVICE_UNAVAILABLE,
            });
        }
    }

    fn drain(&mut self) {
        self.machine.close_after_response();
    }

    fn poll(&mut self) -> Next<Work> {
        loop {
            match self.machine.poll_event() {
                http1::Next::Event(event) => {
                    if let Some(work) = self.work(event) {
                        return Next::Work(work);
                    }
                    // What was answered here counts as a step, so that one client's many requests do not keep
                    // others waiting.
                    if self.machine.buffered_output() > 0 {
                        return Next::NeedDrain;
                    }
                }
                http1::Next::NeedInput => return Next::NeedInput,
                http1::Next::NeedDrain => return Next::NeedDrain,
                // The work that answers the request is out, and nothing comes before it is completed.
                http1::Next::NeedCommand => return Next::Waiting,
                http1::Next::Closed if self.machine.should_linger() => return Next::LingeringClose,
                http1::Next::Closed => return Next::Close,
            }
        }
    }

    fn poll_transmit(&mut self) -> Option<&mut Outbox> {
        if let Some(log) = &self.shared.access_log {
            self.records.drain(..).for_each(|record| log.write(&record));
        }
        self.machine.poll_transmit()
    }
}
