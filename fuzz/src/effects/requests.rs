//! Requests over HTTP, most of them valid.

use super::service::{ASKS, SESSIONS};
use crate::support::http_service::stream_of;
use crate::support::service::MAIN;
use arbitrary::{Result, Unstructured};
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, RecordBatchOptions};
use arrow_schema::Schema;
use bytes::Bytes;
use http::{HeaderValue, Method, Request};
use std::sync::Arc;
use vgi_rpc_protocol::http::headers::{ARROW_STREAM, REQUEST_ID, SESSION, SESSION_ACCEPT};
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::wire::keys;

/// Tokens from responses, for use in requests.
#[derive(Default)]
pub struct Tokens {
    pub sessions: Vec<HeaderValue>,
    pub streams: Vec<StreamTokens>,
}

/// The tokens of a stream.
pub struct StreamTokens {
    pub method: &'static str,
    pub cursor: Vec<u8>,
    pub call: Vec<u8>,
}

/// A request, and the stream whose tokens its response may contain.
pub struct Described {
    pub request: Request<Bytes>,
    pub stream: Option<&'static str>,
}

/// A batch without columns.
pub fn no_columns(rows: usize) -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).expect("no columns")
}

/// A batch of one column.
pub fn row(name: &str, column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter([(name, column)]).expect("one column")
}

/// Draws the questions of admission.
pub fn asks(u: &mut Unstructured<'_>) -> Result<&'static str> {
    Ok(["", "", "a", "a", "aa", "aaa", "e", "p", "ap", "r", "ar"][u.choose_index(11)?])
}

/// Draws a request with this id.
pub fn draw(u: &mut Unstructured<'_>, id: &str, tokens: &Tokens) -> Result<Described> {
    let count: ArrayRef = Arc::new(Int64Array::from(vec![2]));
    let factor: ArrayRef = Arc::new(Float64Array::from(vec![2.0]));
    let asks = asks(u)?;
    let mut stream = None;
    let mut call = |method: &'static str, part: &str, row: RecordBatch| {
        stream = (part == "/init").then_some(method);
        post(&format!("/{MAIN}/{method}{part}"), &row, &routing(MAIN, method, asks))
    };
    let mut request = match u.int_in_range(0..=15)? {
        0 => call("echo", "", row("value", crate::support::service::text(id))),
        1 => call("fail", "", row("message", crate::support::service::text(id))),
        2 => call("count", "/init", row("count", count)),
        3 => call("scale", "/init", row("factor", factor)),
        4 | 5 if !tokens.streams.is_empty() => {
            let tokens = u.choose(&tokens.streams)?;
            stream = Some(tokens.method);
            turn(tokens, u.ratio(1, 4)?)
        }
        6 => end_session(),
        7 => upload_urls(),
        8 => Request::get("/health").body(Bytes::new()).expect("a path"),
        9 => Request::get("/nothing").body(Bytes::new()).expect("a path"),
        _ => {
            let methods = ["open", "open", "open_briefly", "touch", "touch", "close", "close_and_open", "panic"];
            let method = *u.choose(&methods)?;
            post(&format!("/{SESSIONS}/{method}"), &no_columns(1), &routing(SESSIONS, method, asks))
        }
    };
    let headers = request.headers_mut();
    headers.insert(REQUEST_ID, HeaderValue::from_str(id).expect("an id"));
    let callers = ["ann", "ann", "ann/1", "ann/2", "bob", "bob/1", "ann/x"];
    if !u.ratio(1, 12)? {
        let bearer = format!("Bearer {}", u.choose(&callers)?);
        headers.insert("authorization", HeaderValue::from_str(&bearer).expect("a token"));
    }
    if !tokens.sessions.is_empty() && u.ratio(3, 4)? {
        headers.insert(SESSION, u.choose(&tokens.sessions)?.clone());
    }
    if u.ratio(7, 8)? {
        headers.insert(SESSION_ACCEPT, HeaderValue::from_static("true"));
    }
    if u.ratio(1, 12)? {
        let len = u.int_in_range(0..=request.body().len())?;
        request.body_mut().truncate(len);
    }
    Ok(Described { request, stream })
}

fn routing(protocol: &str, method: &str, asks: &str) -> Metadata {
    let routing = [(keys::METHOD, method), (keys::PROTOCOL, protocol), (keys::REQUEST_VERSION, "1")];
    routing.into_iter().chain([(ASKS, asks)].into_iter().filter(|_| !asks.is_empty())).collect()
}

fn post(path: &str, row: &RecordBatch, metadata: &Metadata) -> Request<Bytes> {
    let body = stream_of(row, metadata).expect("it can be sent");
    Request::post(path).header("content-type", ARROW_STREAM).body(body).expect("a path")
}

fn turn(tokens: &StreamTokens, is_cancel: bool) -> Request<Bytes> {
    let mut metadata = Metadata::new();
    metadata.push(keys::STREAM_STATE, &tokens.cursor);
    metadata.push(keys::CALL_STATE, &tokens.call);
    if is_cancel {
        metadata.push(keys::CANCEL, "true");
    }
    let input = match tokens.method {
        "scale" => row("value", Arc::new(Float64Array::from(vec![1.5]))),
        _ => no_columns(0),
    };
    post(&format!("/{MAIN}/{}/exchange", tokens.method), &input, &metadata)
}

fn end_session() -> Request<Bytes> {
    let request = Request::builder().method(Method::DELETE).uri("/__session__");
    request.body(Bytes::new()).expect("a path")
}

fn upload_urls() -> Request<Bytes> {
    let count: ArrayRef = Arc::new(Int64Array::from(vec![2]));
    let metadata = [(keys::METHOD, "__upload_url__"), (keys::REQUEST_VERSION, "1")].into_iter().collect();
    post("/__upload_url__/init", &row("count", count), &metadata)
}
