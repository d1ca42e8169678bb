//! Hostile responses to a caller: it emits the events of a call, or an error and no events, sends one request at a time,
//! and can be abandoned and used again.
//!
//! The first two bytes of an input select the call and the steps between responses. Each response has a byte for its
//! status, a byte of flags, two bytes for its length, and then headers and a body as text, or edits of the body of an
//! endpoint's response.

use crate::ipc_raw::check_batch;
use crate::support::http_service::{ANN, NOW, endpoint, perform};
use crate::support::service::{MAIN, text};
use crate::support::{edits, http_text, limits};
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use std::sync::Arc;
use vgi_rpc_protocol::Next;
use vgi_rpc_protocol::client::{Call, CallKind, Event};
use vgi_rpc_protocol::http::client::{ClientMachine, Session, Settings};
use vgi_rpc_protocol::http::headers::{ARROW_STREAM, RPC_ERROR};
use vgi_rpc_effects::run_inline;
use vgi_rpc_protocol::http::{RequestOrigin, Body, Endpoint};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};

const STATUSES: [u16; 16] = [200, 200, 200, 200, 204, 206, 301, 400, 401, 404, 405, 413, 415, 429, 500, 503];

/// Answers a caller with the responses in `data`.
pub fn run(data: &[u8]) {
    let Some(([plan, manner], responses)) = data.split_first_chunk::<2>() else { return };
    let endpoint = endpoint(4);
    let mut settings = below_prefix();
    settings.limits = limits();
    settings.max_response_bytes = (manner & 1 == 0).then_some(1 << 20);
    let mut caller = ClientMachine::new(settings).expect("it is well configured");
    if manner & 2 != 0 {
        caller = caller.with_session(Session::new());
    }
    let mut exchange =
        Exchange { endpoint, responses, turn: 0, plan: *plan, has_failed: false, is_over: false };
    exchange.call(&mut caller);
    exchange.go(&mut caller);

    // In any case it can be abandoned, and another of the same kind starts fresh.
    caller.abandon();
    assert!(caller.is_idle() && caller.poll_request().is_none());
    assert!(matches!(caller.poll_event(), Next::NeedCommand));
    let _ = (caller.capabilities(), caller.session().map(Session::is_open), caller.max_body_bytes());
    let mut another = ClientMachine::new(below_prefix()).expect("it is well configured");
    exchange.expect_an_answer(&mut another);
    exchange.endpoint.shut_down();
}

struct Exchange<'a> {
    endpoint: Arc<Endpoint>,
    /// Unused responses.
    responses: &'a [u8],
    turn: u32,
    plan: u8,
    /// The call has failed.
    has_failed: bool,
    /// The call is finished.
    is_over: bool,
}

fn row(name: &str, column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter([(name, column)]).expect("one column")
}

fn encoded(batch: &RecordBatch) -> EncodedSchema {
    EncodedSchema::new(batch.schema()).expect("it can be sent")
}

impl Exchange<'_> {
    fn call(&self, caller: &mut ClientMachine) {
        let number: ArrayRef = Arc::new(Int64Array::from(vec![3]));
        let float: ArrayRef = Arc::new(Float64Array::from(vec![2.0]));
        let (method, kind, row) = match self.plan & 7 {
            0 => ("count", CallKind::Stream { header: false }, row("count", number)),
            1 => ("count_with_header", CallKind::Stream { header: true }, row("count", number)),
            2 => ("scale", CallKind::Stream { header: false }, row("factor", float)),
            3 => ("log", CallKind::Unary, row("value", text("x"))),
            4 => ("fail", CallKind::Unary, row("message", text("x"))),
            5 => return caller.request_upload_urls(self.plan >> 3).unwrap_or_default(),
            6 => return caller.discover().expect("it is idle"),
            _ => ("echo", CallKind::Unary, row("value", text("x"))),
        };
        let call = Call {
            protocol: MAIN,
            method,
            protocol_version: None,
            request_id: None,
            kind,
            metadata: Metadata::new(),
        };
        caller.call(&call, &encoded(&row), &row).expect("it is idle");
    }

    fn go(&mut self, caller: &mut ClientMachine) {
        loop {
            let Some(request) = caller.poll_request() else {
                assert!(!matches!(caller.poll_event(), Next::NeedInput), "it waits without a request");
                return;
            };
            assert!(caller.poll_request().is_none(), "one request at a time");
            assert!(request.uri().path().starts_with("/vgi"));
            let Some(response) = self.next_response(request) else { return };
            if caller.receive(response).is_err() {
                assert!(caller.is_idle(), "an invalid response ends the call");
                assert!(matches!(caller.poll_event(), Next::NeedCommand));
                return;
            }
            self.read(caller);
            self.go_on(caller);
        }
    }

    fn read(&mut self, caller: &mut ClientMachine) {
        loop {
            let event = match caller.poll_event() {
                Next::Event(event) => event,
                Next::NeedInput | Next::NeedCommand => return,
                other => panic!("{other:?} cannot end a caller's events"),
            };
            assert!(!self.is_over, "{event:?} after the end of its call");
            match event {
                Event::Log(_) => {}
                Event::Header(batch, metadata) | Event::Output(batch, metadata) => {
                    assert!(!self.has_failed, "{batch:?} after a failure");
                    check_batch(&batch, &metadata);
                    let _ = vgi_rpc_protocol::http::client::upload_urls(&batch);
                }
                Event::Failed(_) => self.has_failed = true,
                Event::Finished => self.is_over = true,
            }
        }
    }

    /// Issues the next command, if the caller waits for one and the plan has one.
    fn go_on(&mut self, caller: &mut ClientMachine) {
        self.turn += 1;
        if self.is_over || self.has_failed {
            return;
        }
        let value = row("value", Arc::new(Float64Array::from(vec![1.5])));
        // An unsuitable command is refused, and changes nothing.
        let _ = match self.plan.rotate_right(self.turn) & 7 {
            0 => caller.cancel(),
            1 => caller.close(),
            2 | 3 => caller.send(&encoded(&value), &value, &Metadata::new()),
            _ => caller.tick(&Metadata::new()),
        };
    }

    fn next_response(&mut self, request: Request<Vec<Bytes>>) -> Option<Response<Bytes>> {
        let ([status, flags, len @ ..], rest) = self.responses.split_first_chunk::<4>()?;
        let (text, rest) = rest.split_at(rest.len().min(usize::from(u16::from_le_bytes(*len))));
        self.responses = rest;
        if flags & 0x80 != 0 {
            let response = self.answer(request);
            return Some(response.map(|body| edits::apply(&body, text).0.into()));
        }
        let (headers, body) = http_text::headers_and_body(text);
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(STATUSES[usize::from(status & 0x0f)]).expect("a status");
        *response.headers_mut() = headers;
        let headers = response.headers_mut();
        if flags & 1 == 0 {
            headers.entry("content-type").or_insert(HeaderValue::from_static(ARROW_STREAM));
        }
        if flags & 2 != 0 {
            headers.insert(RPC_ERROR, HeaderValue::from_static("true"));
        }
        if flags & 4 == 0 {
            // Without this, a caller with a limit makes no call.
            let name = "vgi-accept-max-response-bytes-support";
            headers.insert(name, HeaderValue::from_static("true"));
        }
        Some(response)
    }

    fn answer(&self, request: Request<Vec<Bytes>>) -> Response<Bytes> {
        let (mut head, body) = request.into_parts();
        head.headers.insert("authorization", HeaderValue::from_static(ANN));
        let is_head = head.method == http::Method::HEAD;
        let transaction = self.endpoint.begin(head, RequestOrigin { now: NOW, ..RequestOrigin::default() });
        let body = |_| Body::Whole(body.concat().into());
        let answer = run_inline(transaction, body, &|| NOW, perform).expect("an answer");
        answer.response.map(|body| if is_head { Bytes::new() } else { body.concat().into() })
    }

    /// Makes a call that an endpoint answers correctly.
    fn expect_an_answer(&self, caller: &mut ClientMachine) {
        let row = row("value", text("alive"));
        let call = Call {
            protocol: MAIN,
            method: "echo",
            protocol_version: None,
            request_id: None,
            kind: CallKind::Unary,
            metadata: Metadata::new(),
        };
        caller.call(&call, &encoded(&row), &row).expect("it is idle");
        while let Some(request) = caller.poll_request() {
            caller.receive(self.answer(request)).expect("an endpoint's answer");
        }
        let Next::Event(Event::Output(batch, _)) = caller.poll_event() else { panic!("an output") };
        assert_eq!(batch.column(0), &text("alive"));
    }
}

/// Calls below the prefix that the endpoint serves.
fn below_prefix() -> Settings {
    let mut settings = Settings::default();
    settings.prefix = "/vgi".into();
    settings
}
