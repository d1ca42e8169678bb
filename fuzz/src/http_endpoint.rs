//! A hostile caller of an endpoint with every option enabled: each request has a documented response, and a sealed token
//! works only unchanged.
//!
//! The first byte of an input selects the kind of the rest: the text of a request and its body; edits of the tokens of an
//! open stream; an input for that stream; edits of a sticky session's token.

use crate::support::edits;
use crate::support::http_service::{ANN, BOB, SESSIONS, endpoint, send, stream_of};
use crate::support::http_text;
use crate::support::limits;
use crate::support::service::{MAIN, states_alive};
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, RecordBatchOptions};
use arrow_schema::Schema;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri};
use std::sync::Arc;
use vgi_rpc_protocol::http::Endpoint;
use vgi_rpc_protocol::http::headers::{ACCEPT_ENCODING, ARROW_STREAM, SESSION, SESSION_ACCEPT};
use vgi_rpc_protocol::ipc::{Item, Metadata, Reader};
use vgi_rpc_protocol::wire::keys;

/// Sends the requests that `data` describes.
pub fn run(data: &[u8]) {
    let Some((manner, rest)) = data.split_first() else { return };
    let endpoint = endpoint(if manner & 8 == 0 { 0 } else { 16 });
    match manner & 7 {
        0..=3 => requests(&endpoint, rest, manner & 0x10 == 0),
        4 | 5 => turn_with_edits(&endpoint, rest, manner & 8 == 0),
        6 => turn_with_input(&endpoint, rest),
        _ => session_with_edits(&endpoint, rest),
    }
    endpoint.shut_down();
    assert_eq!(endpoint.session_count(), 0);
    drop(endpoint);
    assert_eq!(states_alive(), 0, "every state is dropped with its request");
}

/// Sends one request after another: a line with method and path, lines of headers, an empty line, and a body whose length
/// is in the two bytes before the request.
fn requests(endpoint: &Arc<Endpoint>, mut data: &[u8], known: bool) {
    for _ in 0..4 {
        let Some((len, rest)) = data.split_first_chunk::<2>() else { return };
        let (text, rest) = rest.split_at(rest.len().min(usize::from(u16::from_le_bytes(*len))));
        data = rest;
        let Some(mut request) = request(text) else { continue };
        if known {
            let headers = request.headers_mut();
            headers.entry("authorization").or_insert(HeaderValue::from_static(ANN));
            headers.entry("content-type").or_insert(HeaderValue::from_static(ARROW_STREAM));
        }
        send(endpoint, request);
    }
}

fn request(text: &[u8]) -> Option<Request<Bytes>> {
    let (line, rest) = http_text::line(text);
    let mut words = line.splitn(2, |byte| *byte == b' ');
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = Method::from_bytes(words.next()?).ok()?;
    *request.uri_mut() = Uri::try_from(words.next()?).ok()?;
    let (headers, body) = http_text::headers_and_body(rest);
    (*request.headers_mut(), *request.body_mut()) = (headers, body);
    Some(request)
}

fn call(protocol: &str, method: &str, part: &str, row: &RecordBatch) -> Request<Bytes> {
    let routing = [(keys::METHOD, method), (keys::PROTOCOL, protocol), (keys::REQUEST_VERSION, "1")];
    let body = stream_of(row, &routing.into_iter().collect()).expect("it can be sent");
    post(&format!("/vgi/{protocol}/{method}{part}"), body)
}

fn post(path: &str, body: Bytes) -> Request<Bytes> {
    let request = Request::post(path).header("content-type", ARROW_STREAM).header("authorization", ANN);
    request.body(body).expect("a path")
}

fn no_columns(rows: usize) -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).expect("no columns")
}

fn row(name: &str, column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter([(name, column)]).expect("one column")
}

/// An open stream: its method, an input of its kind, and its tokens.
struct Opened {
    method: &'static str,
    input: RecordBatch,
    cursor: Vec<u8>,
    call: Vec<u8>,
}

impl Opened {
    fn new(endpoint: &Arc<Endpoint>, which: u8) -> Self {
        let value: ArrayRef = Arc::new(Float64Array::from(vec![2.0]));
        let count: ArrayRef = Arc::new(Int64Array::from(vec![3]));
        let (method, row, input) = match which % 5 {
            0 => ("count", row("count", count), no_columns(0)),
            1 => ("count_with_header", row("count", count), no_columns(0)),
            2 => ("colors", no_columns(1), no_columns(0)),
            3 => ("copy", no_columns(1), no_columns(0)),
            _ => ("scale", row("factor", value.clone()), self::row("value", value)),
        };
        let answered = send(endpoint, call(MAIN, method, "/init", &row));
        assert!(answered.is_good(), "{answered:?}");
        let cursor = answered.token(keys::STREAM_STATE).expect("a stream has a cursor");
        let call = answered.token(keys::CALL_STATE).expect("a stream has a call token");
        Self { method, input, cursor, call }
    }

    fn turn(
        &self,
        cursor: &[u8],
        call: &[u8],
        input: &RecordBatch,
        more: &Metadata,
    ) -> Option<Request<Bytes>> {
        let mut metadata = Metadata::new();
        metadata.push(keys::STREAM_STATE, cursor);
        metadata.push(keys::CALL_STATE, call);
        for (key, value) in more.iter() {
            metadata.push(key, value);
        }
        Some(post(&format!("/vgi/{MAIN}/{}/exchange", self.method), stream_of(input, &metadata)?))
    }
}

/// Edits a stream's tokens. Without a cache of calls both are opened, with one only the cursor.
fn turn_with_edits(endpoint: &Arc<Endpoint>, data: &[u8], opens_both: bool) {
    let Some(([which, cut], edits)) = data.split_first_chunk::<2>() else { return };
    let opened = Opened::new(endpoint, *which);
    let (of_cursor, of_call) = edits.split_at(edits.len().min(usize::from(*cut)));
    let (cursor, cursor_changed) = edits::apply(&opened.cursor, of_cursor);
    let (call, call_changed) = edits::apply(&opened.call, of_call);
    let none = Metadata::new();

    let request = |cursor, call| opened.turn(cursor, call, &opened.input, &none).expect("it can be sent");
    let answered = send(endpoint, request(&cursor, &call));
    if cursor_changed || (call_changed && opens_both) {
        assert_eq!(answered.status, 400, "a changed token works: {answered:?}");
    }
    let mut foreign = request(&opened.cursor, &opened.call);
    foreign.headers_mut().insert("authorization", HeaderValue::from_static(BOB));
    assert_eq!(send(endpoint, foreign).status, 400, "a token works for another caller");
    let answered = send(endpoint, request(&opened.cursor, &opened.call));
    // The input for `copy` here has the wrong schema, which is the call's failure and not the token's.
    assert!(answered.status == 200 && (answered.is_good() || opened.method == "copy"), "{answered:?}");
}

/// Sends valid tokens, with the batches in `data` as inputs with their metadata.
fn turn_with_input(endpoint: &Arc<Endpoint>, data: &[u8]) {
    let Some(([which, coded], stream)) = data.split_first_chunk::<2>() else { return };
    let opened = Opened::new(endpoint, *which);
    let mut reader = Reader::new(limits());
    reader.receive(Bytes::copy_from_slice(stream));
    for _ in 0..8 {
        let Ok(Some(item)) = reader.next_item() else { return };
        let Item::Batch(input, metadata) = item else { continue };
        let Some(mut request) = opened.turn(&opened.cursor, &opened.call, &input, &metadata) else {
            continue;
        };
        if coded & 1 == 1 {
            request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("zstd"));
        }
        let answered = send(endpoint, request);
        assert!([200, 400, 413].contains(&answered.status.as_u16()), "{answered:?}");
    }
}

fn session_with_edits(endpoint: &Arc<Endpoint>, edits: &[u8]) {
    let mut open = call(SESSIONS, "open", "", &no_columns(1));
    open.headers_mut().insert(SESSION_ACCEPT, HeaderValue::from_static("true"));
    let answered = send(endpoint, open);
    assert!(answered.is_good() && endpoint.session_count() == 1, "{answered:?}");
    let token = answered.headers.get(SESSION).expect("a session has a token").clone();

    let add = |token: HeaderValue, who: &'static str| {
        let mut request = call(SESSIONS, "add", "", &no_columns(1));
        request.headers_mut().insert(SESSION, token);
        request.headers_mut().insert("authorization", HeaderValue::from_static(who));
        send(endpoint, request).is_good()
    };
    let (edited, _) = edits::apply(token.as_bytes(), edits);
    // White space around a header's value is not part of it.
    let changed = edited.trim_ascii() != token.as_bytes();
    if let Ok(edited) = HeaderValue::from_bytes(&edited) {
        assert_eq!(add(edited, ANN), !changed, "a token works only unchanged");
    }
    assert!(!add(token.clone(), BOB), "a session works for another caller");
    assert!(add(token.clone(), ANN));
    let mut end = Request::new(Bytes::new());
    *end.method_mut() = Method::DELETE;
    *end.uri_mut() = Uri::from_static("/vgi/__session__");
    end.headers_mut().insert(SESSION, token.clone());
    end.headers_mut().insert("authorization", HeaderValue::from_static(ANN));
    assert_eq!(send(endpoint, end).status, 204);
    assert!(!add(token, ANN) && endpoint.session_count() == 0);
}
