//! The axum example answers calls, without a socket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[allow(dead_code, reason = "its main function serves on a socket")]
#[path = "../examples/axum.rs"]
mod example;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, StatusCode};
use std::sync::Arc;
use tower::ServiceExt;
use vgi_rpc_effects::Performer;
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::http::Endpoint;
use vgi_rpc_protocol::http::headers::ARROW_STREAM;
use vgi_rpc_protocol::ipc::{Metadata, decode_batch, encode_batch};
use vgi_rpc_protocol::service::{Method, Protocol, Service};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::wire::keys;

const MAX_REQUEST_BYTES: usize = 2000;

/// Sends a request to the application and gives the answer's status, and its body.
fn send(request: Request<Body>) -> (StatusCode, Bytes) {
    let shout = Method::new("shout")
        .param("text", DataType::Utf8)
        .returns(DataType::Utf8)
        .unary(|args, _| Ok(args.get::<&str>("text")?.to_uppercase()));
    let fail = Method::new("fail")
        .param("text", DataType::Utf8)
        .unary(|_, _| Err::<(), _>(RpcError::value_error("as asked")));
    let service =
        Service::builder("server-1").protocol(Protocol::new("test.Shout.v1").methods([shout, fail]));
    let endpoint = Endpoint::builder(Arc::new(service.build().unwrap()), |memory| memory.fill(7))
        .max_request_bytes(Some(MAX_REQUEST_BYTES as u64))
        .record_calls(true)
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.block_on(async {
        let response = example::router(endpoint, Performer::none()).oneshot(request).await.unwrap();
        assert!(response.headers().contains_key("x-request-id"), "the endpoint answered, and not axum");
        let (head, body) = response.into_parts();
        (head.status, to_bytes(body, usize::MAX).await.unwrap())
    })
}

/// A call of a method whose parameter is a text.
fn call(method: &str, text: &str) -> Request<Body> {
    let schema = Schema::new(vec![Field::new("text", DataType::Utf8, false)]);
    let text: ArrayRef = Arc::new(StringArray::from(vec![text]));
    let row = RecordBatch::try_new(Arc::new(schema), vec![text]).unwrap();
    let metadata: Metadata =
        [(keys::METHOD, method), (keys::PROTOCOL, "test.Shout.v1"), (keys::REQUEST_VERSION, "1")]
            .into_iter()
            .collect();
    Request::post(format!("/test.Shout.v1/{method}"))
        .header("content-type", ARROW_STREAM)
        .body(Body::from(encode_batch(&row, &metadata).unwrap()))
        .unwrap()
}

#[test]
fn a_call_is_answered() {
    let (status, body) = send(call("shout", "hello"));
    assert_eq!(status, StatusCode::OK);
    let (batch, _) = decode_batch(body, &Limits::default()).unwrap();
    assert_eq!(batch.column(0).as_string::<i32>().value(0), "HELLO");
}

#[test]
fn a_failure_is_told() {
    let (status, body) = send(call("fail", "x"));
    let (_, metadata) = decode_batch(body, &Limits::default()).unwrap();
    assert_eq!((status, RpcError::from_metadata(&metadata).error_type()), (StatusCode::OK, "ValueError"));
}

#[test]
fn a_body_that_does_not_say_how_large_it_is_is_cut_off() {
    let (status, _) = send(call("shout", &"x".repeat(MAX_REQUEST_BYTES)));
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[test]
fn every_other_path_is_the_endpoints() {
    let get = |path: &str| send(Request::get(path).body(Body::empty()).unwrap());
    for (path, status) in [("/", 200), ("/health", 200), ("/a/b/c/d", 404)] {
        assert_eq!(get(path).0.as_u16(), status, "{path}");
    }
    assert!(String::from_utf8_lossy(&get("/describe").1).contains("shout"));
    let patch = Request::patch("/test.Shout.v1/shout").body(Body::empty()).unwrap();
    assert_eq!(send(patch).0, StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn the_application_keeps_its_own_page() {
    let page = Request::get("/about").body(Body::empty()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let service = Service::builder("server-1").protocol(Protocol::new("test.Empty.v1")).build().unwrap();
    let endpoint = Endpoint::builder(Arc::new(service), |_| {}).build().unwrap();
    let answered = runtime.block_on(example::router(endpoint, Performer::none()).oneshot(page)).unwrap();
    assert_eq!(answered.status(), StatusCode::OK);
    assert!(!answered.headers().contains_key("vgi-supported-encodings"), "the endpoint was not asked");
}
