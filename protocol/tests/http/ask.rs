//! Requests, built in one line each.

use crate::common::batches::*;
use crate::common::service::MAIN;
use crate::common::streams::stream_of;
use crate::serve::Answered;
use arrow_array::RecordBatch;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request};
use vgi_rpc_protocol::http::headers::ARROW_STREAM;

/// The codings that a server advertises.
pub const ALL_CODINGS: &str = if cfg!(feature = "zstd") { "zstd, gzip" } else { "gzip" };
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::wire::keys;

/// Adds headers to a request.
pub trait With: Sized {
    /// Adds a header line.
    fn with(self, name: &str, value: &str) -> Self;
    /// Replaces the header lines of this name.
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

/// Returns a request without a body.
pub fn ask(method: &str, path: &str) -> Request<Bytes> {
    Request::builder().method(method).uri(path).body(Bytes::new()).unwrap()
}

/// Returns a request with an Arrow body.
pub fn post(path: &str, body: Bytes) -> Request<Bytes> {
    Request::post(path).header("content-type", ARROW_STREAM).body(body).unwrap()
}

/// Returns the metadata of a request for this method.
pub fn routing(protocol: &str, method: &str) -> Metadata {
    [(keys::METHOD, method), (keys::PROTOCOL, protocol), (keys::REQUEST_VERSION, "1")].into_iter().collect()
}

/// Returns a request of any method and part: `part` is empty, `/init` or `/exchange`.
pub fn call_of(protocol: &str, method: &str, part: &str, row: RecordBatch) -> Request<Bytes> {
    let body = stream_of(&[(row, routing(protocol, method))]);
    post(&format!("/vgi/{protocol}/{method}{part}"), body)
}

/// Returns a unary call.
pub fn unary(method: &str, row: RecordBatch) -> Request<Bytes> {
    call_of(MAIN, method, "", row)
}

/// Returns a call of `echo`.
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

/// Returns the input of an exchange.
pub fn value(value: f64) -> RecordBatch {
    row([("value", floats([value]))])
}

/// A stream's tokens, as its client stores them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    pub cursor: Option<String>,
    pub call: Option<String>,
}

impl Tokens {
    /// Returns the tokens of the response to an init.
    #[track_caller]
    pub fn of(answered: &Answered) -> Self {
        let tokens = Self { cursor: answered.cursor(), call: answered.call_token() };
        assert!(tokens.cursor.is_some() && tokens.call.is_some(), "{:?}", answered.told());
        tokens
    }

    /// Replaces the cursor with the next one. Only an init returns a call token.
    #[track_caller]
    pub fn follow(&mut self, answered: &Answered) {
        assert_eq!(answered.call_token(), None, "a call token is minted once");
        self.cursor = Some(answered.cursor().expect("a stream that continues"));
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

/// Returns a further turn of a stream of any protocol, with additional metadata.
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

/// Returns a further turn of an exchange.
pub fn turn(method: &str, input: RecordBatch, tokens: &Tokens) -> Request<Bytes> {
    turn_of((MAIN, method), input, tokens, &[])
}

/// Returns a further turn of a producer.
pub fn tick(method: &str, tokens: &Tokens) -> Request<Bytes> {
    turn(method, no_columns(0), tokens)
}

/// Cancels a stream.
pub fn cancel(method: &str, tokens: &Tokens) -> Request<Bytes> {
    turn_of((MAIN, method), no_columns(0), tokens, &[(keys::CANCEL, "true")])
}
