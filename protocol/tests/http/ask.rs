//! Requests, built in one line each.

use crate::common::batches::*;
use crate::common::service::MAIN;
use crate::common::streams::stream_of;
use crate::serve::Answered;
use arrow_array::RecordBatch;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request};
use vgi_rpc_protocol::http::headers::ARROW_STREAM;

/// What a server says that it codes and decodes.
pub const ALL_CODINGS: &str = if cfg!(feature = "zstd") { "zstd, gzip" } else { "gzip" };
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::wire::keys;

/// Adding to a request.
pub trait With: Sized {
    /// One header line more.
    fn with(self, name: &str, value: &str) -> Self;
    /// One header line instead of those of the name.
    fn having(self, name: &str, value: &str) -> Self;
}

impl With for Request<Bytes> {
    fn with(mut self, name: &str, value: &str) -> Self {
        let (name, value) = header(name, value);
        self.headers_mut().append(name, value);
        self
    }

    fn having(mut self, name: &str, value: &str) -> Self {
        let (name, value) = header(name, value);
        self.headers_mut().insert(name, value);
        self
    }
}

fn header(name: &str, value: &str) -> (HeaderName, HeaderValue) {
    (name.parse().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
}

/// A request without a body.
pub fn ask(method: &str, path: &str) -> Request<Bytes> {
    Request::builder().method(method).uri(path).body(Bytes::new()).unwrap()
}

/// A request with an Arrow body.
pub fn post(path: &str, body: Bytes) -> Request<Bytes> {
    Request::post(path).header("content-type", ARROW_STREAM).body(body).unwrap()
}

/// The metadata of a request for this method.
pub fn routing(protocol: &str, method: &str) -> Metadata {
    [(keys::METHOD, method), (keys::PROTOCOL, protocol), (keys::REQUEST_VERSION, "1")].into_iter().collect()
}

/// A request of any method and part: `part` is empty, `/init` or `/exchange`.
pub fn call_of(protocol: &str, method: &str, part: &str, row: RecordBatch) -> Request<Bytes> {
    let body = stream_of(&[(row, routing(protocol, method))]);
    post(&format!("/vgi/{protocol}/{method}{part}"), body)
}

/// A unary call.
pub fn unary(method: &str, row: RecordBatch) -> Request<Bytes> {
    call_of(MAIN, method, "", row)
}

/// A call of `echo`.
pub fn echo(value: &str) -> Request<Bytes> {
    unary("echo", row([("value", text(value))]))
}

/// Opens a stream.
pub fn init(method: &str, row: RecordBatch) -> Request<Bytes> {
    call_of(MAIN, method, "/init", row)
}

/// Opens a stream of the numbers below `count`.
pub fn init_count(count: i64) -> Request<Bytes> {
    init("count", row([("count", int(count))]))
}

/// Opens a stream that multiplies.
pub fn init_scale(factor: f64) -> Request<Bytes> {
    init("scale", row([("factor", floats([factor]))]))
}

/// Opens a stream that misbehaves at one turn.
pub fn init_until(method: &str, at: i64, manner: &str) -> Request<Bytes> {
    init(method, row([("at", int(at)), ("manner", text(manner))]))
}

/// An exchange's input.
pub fn value(value: f64) -> RecordBatch {
    row([("value", floats([value]))])
}

/// A stream's tokens, as its client keeps them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    pub cursor: Option<String>,
    pub call: Option<String>,
}

impl Tokens {
    /// Those of the answer to an init.
    #[track_caller]
    pub fn of(answered: &Answered) -> Self {
        let tokens = Self { cursor: answered.cursor(), call: answered.call_token() };
        assert!(tokens.cursor.is_some() && tokens.call.is_some(), "{:?}", answered.told());
        tokens
    }

    /// Takes the next cursor. Only an init has a call token.
    #[track_caller]
    pub fn follow(&mut self, answered: &Answered) {
        assert_eq!(answered.call_token(), None, "a call token is minted once");
        self.cursor = Some(answered.cursor().expect("a stream that goes on"));
    }

    pub fn metadata(&self) -> Metadata {
        let mut metadata = Metadata::new();
        if let Some(cursor) = &self.cursor {
            metadata.push(keys::STREAM_STATE, cursor);
        }
        if let Some(call) = &self.call {
            metadata.push(keys::CALL_STATE, call);
        }
        metadata
    }
}

/// A further turn of a stream of any protocol, with metadata beside the tokens.
pub fn turn_of(
    (protocol, method): (&str, &str),
    input: RecordBatch,
    tokens: &Tokens,
    more: &[(&str, &str)],
) -> Request<Bytes> {
    let mut metadata = tokens.metadata();
    more.iter().for_each(|(key, value)| metadata.push(key, value));
    post(&format!("/vgi/{protocol}/{method}/exchange"), stream_of(&[(input, metadata)]))
}

/// An exchange's further turn.
pub fn turn(method: &str, input: RecordBatch, tokens: &Tokens) -> Request<Bytes> {
    turn_of((MAIN, method), input, tokens, &[])
}

/// A producer's further turn.
pub fn tick(method: &str, tokens: &Tokens) -> Request<Bytes> {
    turn(method, no_columns(0), tokens)
}

/// Gives a stream up.
pub fn cancel(method: &str, tokens: &Tokens) -> Request<Bytes> {
    turn_of((MAIN, method), no_columns(0), tokens, &[(keys::CANCEL, "true")])
}
