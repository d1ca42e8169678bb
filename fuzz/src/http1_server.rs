//! A hostile HTTP client: the server's machine behaves the same for any bytes in any pieces, lends and uses no more
//! memory than its limits, parses nothing after a message that it refused, and sends valid responses.
//!
//! The first four bytes of an input select how requests are answered; the rest is what the client sends.

use crate::support::feed::Cut;
use crate::support::http1::{drain_all, limits};
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use vgi_rpc_http::http1::server::{ServerCodec, Event, Phase};
use vgi_rpc_http::http1::{CommandError, Next, client};

/// The limit on a request's body; some requests are allowed less.
const MAX_BODY: u64 = 100_000;
/// Like [`MAX_BODY`], for a small limit.
const SMALL_BODY: u64 = 9;
/// The most memory that is lent, whatever the client announces.
const MOST_LENT: usize = 256 << 10;
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Feeds `data` to a server's machine, whole and in pieces.
pub fn run(data: &[u8]) {
    let Some((plan, sent)) = data.split_first_chunk::<4>() else { return };
    let bytes = Bytes::copy_from_slice(sent);
    let whole = Session::serve(*plan, &bytes, Cut::Whole);
    let pieces = Session::serve(*plan, &bytes, Cut::of(data));
    assert_eq!(whole.events, pieces.events, "whole and in pieces");
    assert_eq!(whole.end, pieces.end);
    assert_eq!(whole.output().escape_ascii().to_string(), pieces.output().escape_ascii().to_string());
    whole.expect_readable_answers();
}

/// The events and output of a machine.
struct Session {
    plan: [u8; 4],
    /// Number of decisions made.
    decided: usize,
    events: Vec<String>,
    /// The output of each response, and the output in between.
    written: Vec<Vec<u8>>,
    /// For each response: its index in `written`, the method of its request, its status.
    answers: Vec<(usize, Method, StatusCode)>,
    method: Method,
    /// The request's body is being read: an error belongs to it, not to the next request's head.
    reads_body: bool,
    /// No further event is allowed.
    is_over: bool,
    end: Option<Phase>,
}

impl Session {
    fn serve(plan: [u8; 4], bytes: &Bytes, cut: Cut) -> Self {
        let mut session = Self {
            plan,
            decided: 0,
            events: Vec::new(),
            written: Vec::new(),
            answers: Vec::new(),
            method: Method::GET,
            reads_body: false,
            is_over: false,
            end: None,
        };
        let mut machine = ServerCodec::new(limits());
        cut.feed(&mut machine, bytes, |machine| session.go_on(machine));
        assert_eq!(machine.received_bytes(), bytes.len() as u64);
        match plan[0] >> 6 {
            0 => machine.receive_eof(),
            1 => machine.close_after_response(),
            // A request that takes too long to arrive.
            2 => session.reject_late(&mut machine),
            _ => {}
        }
        session.go_on(&mut machine);
        session.end = Some(machine.phase());
        machine.release_memory();
        session.go_on(&mut machine);
        session
    }

    /// Does everything that can be done without more input.
    fn go_on(&mut self, machine: &mut ServerCodec) {
        loop {
            let before = machine.phase();
            match machine.poll_event() {
                Next::Event(event) => {
                    assert!(!self.is_over, "{event:?} after the end");
                    self.events.push(describe(&event));
                    self.decide(machine, event);
                }
                Next::NeedDrain => {
                    assert!(machine.buffered_output() > 0, "there is something to drain");
                    self.take_output(machine);
                }
                Next::NeedInput => {
                    assert!(!matches!(machine.phase(), Phase::Closing | Phase::Answering), "{before:?}");
                    self.take_output(machine);
                    assert!((1..=MOST_LENT).contains(&machine.read_buf().len()));
                    return;
                }
                Next::NeedCommand | Next::Waiting => panic!("every event was answered"),
                Next::Closed => {
                    assert_eq!((machine.phase(), machine.buffered_output()), (Phase::Closing, 0));
                    assert!(machine.poll_transmit().is_none());
                    self.is_over = true;
                    return;
                }
            }
        }
    }

    fn decide(&mut self, machine: &mut ServerCodec, event: Event) {
        let decision = self.plan[self.decided % self.plan.len()];
        self.decided += 1;
        let reads_body = std::mem::take(&mut self.reads_body);
        match event {
            Event::Head(head, _) => {
                self.method = head.method;
                self.reads_body = !matches!(decision & 7, 5 | 6);
                match decision & 7 {
                    0..=2 => machine.read_body(MAX_BODY).expect("a head was delivered"),
                    3 => machine.read_body(SMALL_BODY).expect("a head was delivered"),
                    4 => {
                        machine.close_after_response();
                        machine.read_body(MAX_BODY).expect("a head was delivered");
                    }
                    5 => self.answer(machine, decision, StatusCode::OK),
                    6 => self.reject(machine, StatusCode::FORBIDDEN),
                    _ => {
                        machine.read_body(MAX_BODY).expect("a head was delivered");
                        assert_eq!(machine.read_body(1), Err(CommandError::NoBodyToRead), "once");
                    }
                }
            }
            Event::Body(_) if decision & 0x18 == 0x18 => {
                self.reject(machine, StatusCode::INTERNAL_SERVER_ERROR);
            }
            Event::Body(_) => self.answer(machine, decision, StatusCode::OK),
            Event::BodyTooLarge(_) if decision & 8 == 0 => {
                self.answer(machine, decision, StatusCode::PAYLOAD_TOO_LARGE);
            }
            Event::BodyTooLarge(_) => self.reject(machine, StatusCode::PAYLOAD_TOO_LARGE),
            Event::BodyOverBudget(error) => panic!("without a budget: {error}"),
            Event::Malformed(error) => {
                assert!(error.status().is_client_error() || error.status().is_server_error());
                if !reads_body {
                    // A malformed head has no method.
                    self.method = Method::GET;
                }
                if decision & 8 == 0 {
                    self.reject(machine, error.status());
                } else {
                    self.answer(machine, decision, error.status());
                }
                self.is_over = true;
            }
        }
    }

    /// Responds, sometimes after an unsendable response that must leave no trace.
    fn answer(&mut self, machine: &mut ServerCodec, decision: u8, status: StatusCode) {
        if decision & 0x20 != 0 {
            let mut misfit = Response::new(vec![Bytes::from_static(b"x")]);
            misfit.headers_mut().insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            let refused = Err(CommandError::FramingField(header::TRANSFER_ENCODING));
            assert_eq!(machine.respond(misfit), refused);
        }
        // Large enough to be shared in the output, or small enough to be copied.
        let body = if decision & 0x40 != 0 { vec![b'a'; 5000] } else { b"answer".to_vec() };
        let mut response = Response::new(vec![Bytes::from(body), Bytes::new(), Bytes::from_static(b".")]);
        *response.status_mut() = status;
        if decision & 0x80 != 0 {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            self.is_over = true;
        }
        self.take_output(machine);
        machine.respond(response).expect("an event awaits its response");
        self.note_answer(machine, status);
        assert_eq!(machine.reject(StatusCode::OK), Err(CommandError::NothingToAnswer), "answered once");
    }

    fn reject(&mut self, machine: &mut ServerCodec, status: StatusCode) {
        self.take_output(machine);
        let interim = Err(CommandError::InterimStatus(StatusCode::CONTINUE));
        assert_eq!(machine.reject(StatusCode::CONTINUE), interim);
        machine.reject(status).expect("an event awaits its response");
        self.note_answer(machine, status);
        self.is_over = true;
    }

    fn reject_late(&mut self, machine: &mut ServerCodec) {
        let begun = matches!(machine.phase(), Phase::Head);
        match machine.reject(StatusCode::REQUEST_TIMEOUT) {
            Ok(()) => {
                if begun {
                    self.method = Method::GET;
                }
                self.note_answer(machine, StatusCode::REQUEST_TIMEOUT);
                self.is_over = true;
            }
            Err(error) => assert_eq!((error, begun), (CommandError::NothingToAnswer, false)),
        }
    }

    fn note_answer(&mut self, machine: &mut ServerCodec, status: StatusCode) {
        self.answers.push((self.written.len(), self.method.clone(), status));
        // The input selects whether the output is sent at once, or must be drained.
        if self.plan[1] & 1 == 0 {
            self.take_output(machine);
        }
    }

    fn take_output(&mut self, machine: &mut ServerCodec) {
        let bytes = drain_all(machine.poll_transmit());
        if !bytes.is_empty() {
            self.written.push(bytes);
        }
        assert_eq!(machine.buffered_output(), 0);
    }

    /// Returns the output without `100 Continue`, which depends on what arrives with the head.
    fn output(&self) -> Vec<u8> {
        let mut output = self.written.concat();
        while let Some(at) = output.windows(CONTINUE.len()).position(|window| window == CONTINUE) {
            output.drain(at..at + CONTINUE.len());
        }
        output
    }

    /// Parses each response separately with a client's machine.
    fn expect_readable_answers(&self) {
        for (index, (at, method, status)) in self.answers.iter().enumerate() {
            let alone = self.answers.get(index + 1).is_none_or(|(next, ..)| next > at)
                && (index == 0 || self.answers[index - 1].0 < *at);
            if let (true, Some(bytes)) = (alone, self.written.get(*at)) {
                read_answer(bytes, method, *status);
            }
        }
    }
}

fn read_answer(bytes: &[u8], method: &Method, status: StatusCode) {
    let mut client = client::ClientCodec::new(limits());
    // A request may have a method that this client would not send; only HEAD affects how a response is parsed.
    let method = if method == Method::HEAD { Method::HEAD } else { Method::GET };
    let request = http::Request::builder().method(method.clone()).uri("http://a/").body(Vec::new());
    client.send(request.expect("a request"), MAX_BODY).expect("a new connection");
    drain_all(client.poll_transmit());
    client.receive(Bytes::copy_from_slice(bytes));
    let (Ok(Next::Event(client::Event::Head(head, _))), Ok(Next::Event(client::Event::Body(body)))) =
        (client.poll_event(), client.poll_event())
    else {
        panic!("expected an answer of {status}: {}", bytes.escape_ascii());
    };
    assert_eq!(head.status, status);
    assert!(method != Method::HEAD || body.is_empty());
    assert!(matches!(client.poll_event(), Ok(Next::NeedCommand | Next::Closed)), "and nothing after it");
}

/// Returns an event with all of its contents, so that two can be compared.
fn describe(event: &Event) -> String {
    match event {
        Event::Head(head, body) => {
            format!("{} {} {:?} {:?} {body:?}", head.method, head.uri, head.version, head.headers)
        }
        Event::Body(body) => {
            assert!(body.is_empty() || body.as_ptr().align_offset(64) == 0, "bodies are aligned");
            format!("body {}", body.escape_ascii())
        }
        other => format!("{other:?}"),
    }
}
