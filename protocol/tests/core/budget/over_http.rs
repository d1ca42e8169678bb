//! The budget over HTTP: 503 before a handler has run, an error in the body afterwards, and one limit for all layers.

use super::hostile_streams::{write_compressed, zeros};
use super::service::{LARGE, Runs, service};
use super::{KIB, MIB};
use crate::common::batches::*;
use crate::common::inline;
use crate::common::messages::{COMPRESSIONS, Header};
use crate::common::streams::{batches_of, stream_of};
use arrow_ipc::CompressionType;
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_protocol::http::coding::{Codecs, Coding};
use vgi_rpc_protocol::http::headers::ARROW_STREAM;
use vgi_rpc_protocol::http::{Endpoint, RecordedResponse, RequestOrigin};
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::memory::{Account, Budget};
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::keys;

const NOW: Duration = Duration::from_secs(1_800_000_000);

fn endpoint(limit: usize) -> (Arc<Endpoint>, Runs) {
    let (service, runs) = service();
    let endpoint = Endpoint::builder(service, |memory| memory.fill(7))
        .prefix("/vgi")
        .max_request_bytes(Some(limit as u64));
    (endpoint.build().unwrap(), runs)
}

fn routing(method: &str) -> Metadata {
    [(keys::METHOD, method), (keys::PROTOCOL, LARGE), (keys::REQUEST_VERSION, "1")].into_iter().collect()
}

fn post(method: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    let request = Request::post(format!("/vgi/{LARGE}/{method}")).header("content-type", ARROW_STREAM);
    request.body(body.into()).unwrap()
}

fn length(len: usize) -> Bytes {
    stream_of(&[(row([("value", zeros(len))]), routing("length"))])
}

fn answer(len: usize) -> Request<Bytes> {
    post("answer", stream_of(&[(row([("len", int(len as i64))]), routing("answer"))]))
}

fn coded(coding: Coding, body: Bytes) -> Request<Bytes> {
    let coded = Codecs::default().encode(coding, &[body]).unwrap();
    let mut request = post("length", coded);
    request.headers_mut().insert("content-encoding", HeaderValue::from_static(coding.as_str()));
    request
}

/// Returns the same request with its buffers compressed by Arrow.
fn compressed(len: usize, codec: CompressionType) -> Request<Bytes> {
    let whole = write_compressed(&[row([("value", zeros(len))])], codec);
    // Metadata is set on the batch's message, which arrow-ipc does not support.
    post("length", with_metadata(&whole, &routing("length")))
}

/// Sets metadata on the one batch of a stream.
fn with_metadata(stream: &Bytes, metadata: &Metadata) -> Bytes {
    let at = 8 + u32::from_le_bytes(stream[4..8].try_into().unwrap()) as usize;
    let len = u32::from_le_bytes(stream[at + 4..at + 8].try_into().unwrap()) as usize;
    let message = arrow_ipc::root_as_message(&stream[at + 8..at + 8 + len]).unwrap();
    let table = message.header_as_record_batch().unwrap();
    let nodes: Vec<_> =
        table.nodes().unwrap().iter().map(|node| (node.length(), node.null_count())).collect();
    let buffers: Vec<_> =
        table.buffers().unwrap().iter().map(|buffer| (buffer.offset(), buffer.length())).collect();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let header = Header {
        metadata: metadata.iter().map(|(key, value)| (text(key), text(value))).collect(),
        compression: table.compression().map(|compression| compression.codec()),
        ..Header::with_body(message.bodyLength())
    };
    let header = header.batch(table.length(), &nodes, &buffers);
    [&stream[..at], &header, &stream[at + 8 + len..]].concat().into()
}

fn send(endpoint: &Arc<Endpoint>, account: &Account, request: Request<Bytes>) -> RecordedResponse {
    inline::answer(
        endpoint,
        request,
        RequestOrigin { now: NOW, account: account.clone(), ..RequestOrigin::default() },
    )
}

fn error(answer: &RecordedResponse) -> RpcError {
    let batches = batches_of(&answer.response.body().concat().into());
    RpcError::from_metadata(&batches.last().unwrap().1)
}

/// Checks that the request was refused before its handler ran, and may be retried.
#[track_caller]
fn assert_unavailable(answer: &RecordedResponse) {
    assert_eq!(answer.response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let seconds = answer.response.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap();
    assert!((1..10).contains(&seconds));
    assert_eq!(error(answer).code(), Code::ResourceExhausted);
}

#[track_caller]
fn assert_answers(endpoint: &Arc<Endpoint>, account: &Account, runs: &Runs) {
    let before = runs.count();
    let answer = send(endpoint, account, post("length", length(3)));
    assert_eq!(answer.response.status(), StatusCode::OK);
    assert!(!answer.response.headers().contains_key("x-vgi-rpc-error"));
    assert_eq!(runs.count(), before + 1);
}

#[test]
fn a_body_that_does_not_fit_once_it_is_decoded_is_put_off() {
    let (endpoint, runs) = endpoint(64 * MIB);
    let budget = Budget::new(256 * KIB);
    let account = budget.account();
    for &coding in Coding::ALL {
        let answer = send(&endpoint, &account, coded(coding, length(2 * MIB)));
        assert_unavailable(&answer);
        drop(answer);
        assert_eq!((runs.count(), budget.used(), account.held()), (0, 0, 0));
    }
    assert_answers(&endpoint, &account, &runs);
    assert_eq!((budget.used(), account.held()), (0, 0));
}

#[test]
fn a_batch_that_does_not_fit_once_arrow_decompresses_it_is_put_off() {
    let (endpoint, runs) = endpoint(64 * MIB);
    let budget = Budget::new(256 * KIB);
    let account = budget.account();
    for &codec in COMPRESSIONS {
        let answer = send(&endpoint, &account, compressed(2 * MIB, codec));
        assert_unavailable(&answer);
        drop(answer);
        assert_eq!((runs.count(), budget.used(), account.held()), (0, 0, 0));
    }
    // The same, with enough memory.
    for &codec in COMPRESSIONS {
        let answer = send(&endpoint, &Budget::new(64 * MIB).account(), compressed(2 * MIB, codec));
        assert_eq!(answer.response.status(), StatusCode::OK);
    }
    assert_eq!(runs.count(), COMPRESSIONS.len());
}

#[test]
fn an_answer_that_does_not_fit_is_an_error_in_the_body() {
    let (endpoint, runs) = endpoint(64 * MIB);
    let budget = Budget::new(256 * KIB);
    let account = budget.account();
    let answered = send(&endpoint, &account, answer(2 * MIB));
    assert_eq!(runs.count(), 1, "its handler has run");
    assert_eq!(answered.response.status(), StatusCode::OK);
    assert_eq!(answered.response.headers()["x-vgi-rpc-error"], "true");
    assert!(!answered.response.headers().contains_key("retry-after"));
    let error = error(&answered);
    assert_eq!(
        (error.code(), error.retry_delay(), error.details().len()),
        (Code::ResourceExhausted, None, 0)
    );
    drop(answered);
    assert_eq!((budget.used(), account.held()), (0, 0));
    assert_answers(&endpoint, &account, &runs);
}

/// The answer's reservation is released with it.
#[test]
fn an_answer_is_reserved_until_its_driver_lets_go() {
    let (endpoint, _) = endpoint(64 * MIB);
    let budget = Budget::new(4 * MIB);
    let account = budget.account();
    let answered = send(&endpoint, &account, answer(MIB));
    assert!((MIB..MIB + 16 * KIB).contains(&account.held()), "{} are held", account.held());
    drop(answered);
    assert_eq!((budget.used(), account.held()), (0, 0));
    // If coded, the reservation is the coded size.
    for &coding in Coding::ALL {
        let mut request = answer(MIB);
        request.headers_mut().insert("accept-encoding", HeaderValue::from_static(coding.as_str()));
        let answered = send(&endpoint, &account, request);
        let sent: usize = answered.response.body().iter().map(Bytes::len).sum();
        assert!(sent < 16 * KIB, "{sent}");
        assert!((sent..64 * KIB).contains(&account.held()), "{} are held of {sent}", account.held());
        drop(answered);
        assert_eq!((budget.used(), account.held()), (0, 0));
    }
}

#[test]
fn streams_that_do_not_fit_are_told_so() {
    let (endpoint, _) = endpoint(64 * MIB);
    let budget = Budget::new(256 * KIB);
    let account = budget.account();
    for method in ["produce", "produce_with_header"] {
        let body = stream_of(&[(row([("len", int(2 << 20))]), routing(method))]);
        let answered = send(&endpoint, &account, post(&format!("{method}/init"), body));
        assert_eq!(answered.response.status(), StatusCode::OK);
        assert_eq!(answered.response.headers()["x-vgi-rpc-error"], "true", "{method}");
        assert_eq!(error(&answered).code(), Code::ResourceExhausted);
        let sent: usize = answered.response.body().iter().map(Bytes::len).sum();
        assert!(sent < 8 * KIB, "{sent} bytes for {method}");
        drop(answered);
        assert_eq!((budget.used(), account.held()), (0, 0));
    }
}

#[test]
fn small_calls_are_answered_while_the_budget_is_exhausted() {
    let (endpoint, runs) = endpoint(64 * MIB);
    for limit in [0, MIB] {
        let budget = Budget::new(limit);
        let _others = budget.account().charge(limit + Budget::FLOOR_BYTES + MIB);
        let used = budget.used();
        assert_answers(&endpoint, &budget.account(), &runs);
        let mut request = coded(Coding::Gzip, length(2 * KIB));
        request.headers_mut().insert("accept-encoding", HeaderValue::from_static("gzip"));
        assert_eq!(send(&endpoint, &budget.account(), request).response.status(), StatusCode::OK);
        assert_unavailable(&send(&endpoint, &budget.account(), coded(Coding::Gzip, length(MIB))));
        assert_eq!(budget.used(), used);
    }
}

/// The limit of a request applies to data that Arrow decompresses as to data that HTTP decodes, also in records.
#[test]
fn one_limit_holds_for_all_that_a_request_unfolds_into() {
    for limit in [64 * KIB, MIB] {
        let (endpoint, runs) = endpoint(limit);
        for &codec in COMPRESSIONS {
            for len in [limit + 1, 64 * MIB] {
                let request = compressed(len, codec);
                if request.body().len() > limit {
                    // LZ4 shrinks zeros 255 times.
                    assert_eq!((limit, len), (64 * KIB, 64 * MIB));
                    continue;
                }
                let account = Account::default();
                let mut answered = None;
                let taken = allocation_counter::measure(|| {
                    answered = Some(send(&endpoint, &account, request.clone()));
                });
                let status = answered.unwrap().response.status();
                assert!(status.is_client_error(), "{status} for {len} bytes of {codec:?} under {limit}");
                assert!(taken.bytes_max < (limit + 256 * KIB) as u64, "{} bytes at once", taken.bytes_max);
            }
            let answered = send(&endpoint, &Account::default(), compressed(limit / 2, codec));
            assert_eq!(answered.response.status(), StatusCode::OK);
        }
        assert_eq!(runs.count(), COMPRESSIONS.len(), "only those that fit ran");
    }
}
