//! The basis for implementing object stores: custom requests, and performing a server's effects.

use crate::common::objects::{batch, object, schema};
use crate::common::server::{Server, respond};
use crate::common::{LIMIT, SECRET, failure, fetcher, loopback};
use bytes::Bytes;
use http::{HeaderValue, Method};
use vgi_rpc_effects::Perform;
use vgi_rpc_external::{HttpRequest, ObjectStorage, StorageEffects, TransferErrorKind};
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::effect::{Completion, FailureReason, Question, Request, UploadUrl};
use vgi_rpc_protocol::external::{Fetch, FetchOptions, Location, Pointer, Store, UrlPolicy};
use vgi_rpc_protocol::memory::Budget;

fn location(server: &Server, path: &str) -> Location {
    Location::parse(&server.url(path)).unwrap()
}

#[test]
fn a_request_is_sent_once_and_its_response_read_whole() {
    let server = Server::start(|request, connection| {
        let body =
            if request.header("content-length").is_some() { request.body(connection) } else { Vec::new() };
        let status = match &*request.path {
            "/busy" => 503,
            "/moved" => 307,
            _ => 200,
        };
        let answer = [b"got ", &*body].concat();
        let answer = if request.method == "HEAD" { &[][..] } else { &*answer };
        respond(connection, status, &[("X-Test", "here"), ("Location", "/elsewhere")], answer)
    });
    let fetcher = fetcher();
    let send = |method: Method, path: &str, body: &'static str| {
        let mut request = HttpRequest::new(method);
        request.headers.insert("x-secret", HeaderValue::from_static(SECRET));
        request.body = vec![Bytes::from_static(body.as_bytes()), Bytes::new()];
        assert!(!format!("{request:?}").contains(SECRET));
        let response = fetcher.exchange(&location(&server, path), &request, &loopback(), LIMIT).unwrap();
        assert!(!format!("{response:?}").contains("got"), "a response may be a credential");
        (response.status.as_u16(), response.headers["x-test"].clone(), response.body)
    };
    for (method, path, body, status, answer) in [
        (Method::POST, "/x", "form", 200, "got form"),
        (Method::PUT, "/x", "", 200, "got "),
        (Method::GET, "/busy", "", 503, "got "),
        (Method::DELETE, "/moved", "", 307, "got "),
        (Method::HEAD, "/x", "", 200, ""),
    ] {
        let found = send(method.clone(), path, body);
        assert_eq!(found, (status, HeaderValue::from_static("here"), Bytes::from(answer)), "{method}");
    }
    assert_eq!(server.count(), 5);
    assert_eq!(server.requests()[0].header("content-length"), Some("4"));
    assert_eq!(server.requests()[0].header("x-secret"), Some(SECRET));
    assert_eq!(server.requests()[1].header("content-length"), Some("0"));
    assert_eq!(server.requests()[2].header("content-length"), None);
}

#[test]
fn a_long_response_is_not_read_to_its_end() {
    let server = Server::start(|_, connection| respond(connection, 200, &[], &[0; 1001]));
    let exchange = |max: Option<u64>| {
        let request = HttpRequest { max_response_bytes: max, ..HttpRequest::default() };
        fetcher().exchange(&location(&server, "/x"), &request, &loopback(), LIMIT)
    };
    assert_eq!(exchange(Some(1001)).unwrap().body.len(), 1001);
    assert_eq!(exchange(None).unwrap().body.len(), 1001);
    let error = failure(exchange(Some(1000)));
    assert_eq!((error.kind, error.attempts), (TransferErrorKind::LongResponse { max: 1000 }, 1));
}

#[test]
fn the_status_of_a_failure_is_told_however_long_its_text_is() {
    let server =
        Server::start(|_, connection| respond(connection, 503, &[("retry-after", "7")], &[b'x'; 100_000]));
    let request = HttpRequest { max_response_bytes: Some(1000), ..HttpRequest::default() };
    let response = fetcher().exchange(&location(&server, "/x"), &request, &loopback(), LIMIT).unwrap();
    assert_eq!((response.status.as_u16(), response.body), (503, Bytes::from(vec![b'x'; 1000])));
    assert_eq!(response.headers["retry-after"], "7");
}

#[test]
fn a_request_keeps_to_its_policy() {
    let server = Server::start(|_, connection| respond(connection, 200, &[], b""));
    let exchange = |policy: &UrlPolicy| {
        fetcher().exchange(&location(&server, "/x"), &HttpRequest::default(), policy, LIMIT)
    };
    let error = failure(exchange(&UrlPolicy::https_public()));
    assert!(matches!(error.kind, TransferErrorKind::UrlRejected(_)));
    assert_eq!(server.connections(), 0);
    assert!(exchange(&UrlPolicy::unrestricted()).is_ok());
}

/// A store that stores nothing.
#[derive(Debug)]
struct Nowhere;

impl ObjectStorage for Nowhere {
    fn store(&self, _: &Store) -> Completion {
        Completion::Stored(Location::parse("https://h.example/object").unwrap())
    }

    fn upload_urls(&self, count: usize) -> Completion {
        let (upload_url, download_url) = ("https://h.example/put".into(), "https://h.example/get".into());
        let url = UploadUrl { upload_url, download_url, expires_at: LIMIT };
        Completion::UploadUrls(vec![url; count])
    }

    fn fetch_policy(&self) -> UrlPolicy {
        loopback()
    }
}

#[test]
fn effects_go_to_the_store_or_the_fetcher() {
    let server = Server::start(|_, connection| respond(connection, 200, &[], &object(10)));
    let effects = StorageEffects { storage: std::sync::Arc::new(Nowhere), fetcher: fetcher() };
    let perform = |request: Request| effects.perform(&request, &mut |_| {});
    assert!(matches!(perform(Request::UploadUrls(3)), Completion::UploadUrls(urls) if urls.len() == 3));
    let options = FetchOptions { policy: effects.storage.fetch_policy(), ..FetchOptions::default() };
    let pointer = Pointer { location: location(&server, "/object"), sha256: None };
    let account = Budget::new(1 << 30).account();
    let fetch = Fetch::new(pointer, schema(), &Limits::default(), &account, &options).unwrap();
    match perform(Request::Fetch(fetch)) {
        Completion::Resolved(Ok(resolved)) => assert_eq!(resolved.batch, batch(10)),
        other => panic!("{other:?}"),
    }
    match perform(Request::Question(Question::new(1))) {
        Completion::Failed(failure) => assert_eq!(failure.reason, FailureReason::Unsupported),
        other => panic!("{other:?}"),
    }
}
