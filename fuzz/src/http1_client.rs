//! A hostile HTTP server: the client's machine behaves the same for any bytes in any pieces, an exchange results in a
//! head and a body or one lasting error, and nothing is parsed after it.
//!
//! An input is a list of exchanges: two bytes select the request, and when the server ends; two state how many of the
//! following bytes are the server's response.

use crate::support::feed::Cut;
use crate::support::http1::{drain_all, limits};
use bytes::Bytes;
use http::{Method, Request};
use vgi_rpc_http::http1::client::{ClientCodec, Event};
use vgi_rpc_http::http1::{CommandError, Next};

/// The limit on a response's body; some requests allow less.
const MAX_BODY: u64 = 100_000;
/// Like [`MAX_BODY`], for a small limit.
const SMALL_BODY: u64 = 9;

/// Runs the exchanges in `data` on a client's machine, whole and in pieces.
pub fn run(data: &[u8]) {
    let whole = carry(data, |_| Cut::Whole);
    let pieces = carry(data, Cut::of);
    assert_eq!(whole, pieces, "whole and in pieces");
}

fn carry(mut data: &[u8], cut: impl Fn(&[u8]) -> Cut) -> Vec<String> {
    let mut machine = ClientCodec::new(limits());
    let mut told = Vec::new();
    while let Some(([plan, manner, len @ ..], rest)) = data.split_first_chunk::<4>() {
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(u16::from_le_bytes(*len))));
        data = rest;
        if !send(&mut machine, *plan, *manner, &mut told) {
            break;
        }
        let mut response = Response::default();
        let bytes = Bytes::copy_from_slice(bytes);
        cut(&bytes).feed(&mut machine, &bytes, |machine| response.read(machine, &mut told));
        if manner & 0x80 != 0 || rest.is_empty() {
            machine.receive_eof();
            response.read(&mut machine, &mut told);
            assert!(!machine.can_reuse());
            let next = machine.poll_event();
            assert!(matches!(next, Ok(Next::Closed) | Err(_)), "{next:?} at the end");
        }
        told.push(format!("{} {:?}", machine.can_reuse(), machine.received()));
    }
    told
}

/// Sends a request, if the machine accepts one.
fn send(machine: &mut ClientCodec, plan: u8, manner: u8, told: &mut Vec<String>) -> bool {
    let method = [Method::GET, Method::POST, Method::HEAD, Method::OPTIONS][usize::from(plan & 3)].clone();
    let mut request = Request::builder().method(method).uri("http://a.example/x?y");
    if plan & 0x04 != 0 {
        request = request.header("connection", "close");
    }
    let body = if plan & 0x08 != 0 { vec![Bytes::from_static(&[b'b'; 5000])] } else { Vec::new() };
    let max = if plan & 0x10 != 0 { SMALL_BODY } else { MAX_BODY };
    let misfit = Request::builder().uri("http://a/").header("content-length", "1").body(Vec::new());
    assert!(machine.send(misfit.expect("a request"), max).is_err(), "the machine counts the body itself");
    match machine.send(request.body(body).expect("a request"), max) {
        Ok(()) => {}
        Err(error) => {
            assert_eq!((error, machine.can_reuse()), (CommandError::NotReady, false));
            return false;
        }
    }
    // The server may respond before the request was sent.
    if manner & 1 == 0 {
        let sent = drain_all(machine.poll_transmit());
        told.push(sent.escape_ascii().to_string());
    }
    true
}

/// The progress of the response to one request.
#[derive(Default)]
struct Response {
    head: bool,
    body: bool,
    error: Option<String>,
}

impl Response {
    fn read(&mut self, machine: &mut ClientCodec, told: &mut Vec<String>) {
        loop {
            match machine.poll_event() {
                Ok(Next::Event(Event::Head(head, body))) => {
                    assert!(!self.head && !self.body && self.error.is_none(), "one head, and first");
                    assert!(!head.status.is_informational());
                    self.head = true;
                    told.push(format!("{} {:?} {:?} {body:?}", head.status, head.version, head.headers));
                }
                Ok(Next::Event(Event::Body(body))) => {
                    assert!(self.head && !self.body && self.error.is_none(), "one body, after the head");
                    assert!(body.len() as u64 <= MAX_BODY);
                    assert!(body.is_empty() || body.as_ptr().align_offset(64) == 0, "bodies are aligned");
                    self.body = true;
                    told.push(format!("body {}", body.escape_ascii()));
                }
                Ok(Next::NeedDrain | Next::Waiting) => panic!("a client's machine waits only for bytes"),
                Ok(Next::NeedInput) => {
                    assert!(!self.body && self.error.is_none() && !machine.can_reuse());
                    return;
                }
                Ok(Next::NeedCommand) => {
                    assert!(self.body && self.error.is_none(), "the exchange has ended");
                    assert!(machine.can_reuse(), "nothing arrived after it");
                    return;
                }
                Ok(Next::Closed) => {
                    assert!(self.body && self.error.is_none(), "the exchange has ended");
                    assert!(!machine.can_reuse());
                    return;
                }
                Err(error) => {
                    let error = format!("{error:?}");
                    match &self.error {
                        Some(before) => assert_eq!(before, &error, "an error is final"),
                        None => {
                            told.push(error.clone());
                            self.error = Some(error);
                        }
                    }
                    assert!(!machine.can_reuse());
                    return;
                }
            }
        }
    }
}
