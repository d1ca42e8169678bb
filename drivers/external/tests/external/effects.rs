//! Performing the effects of machines: the completion for each result.

use crate::common::objects::{batch, object, schema};
use crate::common::server::{Server, respond};
use crate::common::{SECRET, fetcher, loopback};
use bytes::Bytes;
use std::fmt::Debug;
use std::time::Duration;
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::effect::{Completion, FailureReason};
use vgi_rpc_protocol::external::{
    Digest, Fetch, FetchOptions, Location, ObjectLimits, Pointer, ResolveErrorKind, Upload,
};
use vgi_rpc_protocol::memory::Budget;

fn options() -> FetchOptions {
    FetchOptions { policy: loopback(), time_limit: Duration::from_secs(20), ..FetchOptions::default() }
}

fn fetch(url: &str, sha256: Option<Digest>, options: &FetchOptions) -> Completion {
    let pointer = Pointer { location: Location::parse(url).unwrap(), sha256 };
    let account = Budget::new(1 << 30).account();
    let fetch = Fetch::new(pointer, schema(), &Limits::default(), &account, options).unwrap();
    let completion = fetcher().fetch(&fetch);
    hides_secrets(&completion);
    completion
}

fn hides_secrets(what: &dyn Debug) {
    let shown = format!("{what:?}");
    assert!(!shown.contains(SECRET), "{shown}");
}

#[test]
fn faults_of_the_object_and_of_the_way_to_it_are_distinguished() {
    let server = Server::start(|request, connection| match &*request.path {
        "/object" => respond(connection, 200, &[], &object(10)),
        "/loop" => respond(connection, 302, &[("Location", &format!("/loop?{SECRET}"))], b""),
        "/away" => respond(connection, 302, &[("Location", &format!("http://h.example/?{SECRET}"))], b""),
        "/busy" => respond(connection, 503, &[], b""),
        _ => respond(connection, 404, &[], b""),
    });
    match fetch(&server.url("/object"), None, &options()) {
        Completion::Resolved(Ok(resolved)) => assert_eq!(resolved.batch, batch(10)),
        other => panic!("{other:?}"),
    }
    let small = FetchOptions {
        object_limits: ObjectLimits { max_fetch_bytes: 10, ..ObjectLimits::default() },
        ..options()
    };
    let object = [
        (fetch(&server.url("/object"), Some(Digest([1; 32])), &options()), "checksum"),
        (fetch(&server.url("/object"), None, &small), "max_fetch_bytes"),
        (fetch(&server.url("/loop"), None, &options()), "redirect limit"),
        (fetch(&server.url("/away"), None, &options()), "URL rejected"),
    ];
    for (completion, text) in object {
        match completion {
            Completion::Resolved(Err(error)) => {
                assert!(error.to_string().contains(text), "{error}");
                assert!(error.location.starts_with("http://127.0.0.1:"), "{error:?}");
                assert!(!matches!(error.kind, ResolveErrorKind::NotBegun));
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    for (path, reason) in [("/busy", FailureReason::Unavailable), ("/gone", FailureReason::Failed)] {
        match fetch(&server.url(path), None, &options()) {
            Completion::Failed(failure) => {
                assert_eq!(failure.reason, reason);
                assert!(failure.message.ends_with(&format!("{}{path})", server.port)), "{failure}");
            }
            other => panic!("{path}: {other:?}"),
        }
    }
}

#[test]
fn requests_are_uploaded_as_arrow_streams() {
    let server = Server::start(|request, connection| {
        let body = request.body(connection);
        respond(connection, if body == b"request" { 204 } else { 403 }, &[], b"")
    });
    let upload = |segments: &[&'static str]| {
        let segments = segments.iter().map(|text| Bytes::from_static(text.as_bytes())).collect();
        let upload = Upload::new(Location::parse(&server.url("/key")).unwrap(), segments, options());
        hides_secrets(&upload);
        fetcher().upload(&upload)
    };
    assert!(matches!(upload(&["req", "uest"]), Completion::Done));
    let request = &server.requests()[0];
    assert_eq!(request.header("content-type"), Some("application/vnd.apache.arrow.stream"));
    assert_eq!((&*request.method, request.header("content-encoding")), ("PUT", None));
    match upload(&["other"]) {
        Completion::Failed(failure) => {
            assert_eq!(failure.reason, FailureReason::Failed);
            assert!(failure.message.contains("status 403"), "{failure}");
            hides_secrets(&failure);
        }
        other => panic!("{other:?}"),
    }
}
