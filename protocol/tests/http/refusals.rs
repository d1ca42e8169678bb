//! Requests that do not become calls, and the status that says whose fault it is. WIRE_PROTOCOL 13, "HTTP status code mapping".

use crate::ask::*;
use crate::common::batches::*;
use crate::common::service::{MAIN, VERSIONED, service};
use crate::common::streams::stream_of;
use crate::local::{self, LOCAL};
use crate::serve::*;
use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field};
use bytes::Bytes;
use http::Request;
use vgi_rpc_protocol::http::Body;
use vgi_rpc_protocol::http::coding::{Codecs, Coding};
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::wire::code::Code;
use vgi_rpc_protocol::wire::error::kind;
use vgi_rpc_protocol::wire::keys;

/// Returns the body of a request for `echo` with `routing` metadata, modified by `change`.
fn echo_with(change: impl FnOnce(&mut Metadata)) -> Request<Bytes> {
    let mut metadata = routing(MAIN, "echo");
    change(&mut metadata);
    post("/vgi/test.Main.v1/echo", stream_of(&[(row([("value", text("x"))]), metadata)]))
}

/// Sends a request that must be refused with this status and an Arrow body, before any handler runs.
#[track_caller]
fn refused(request: Request<Bytes>, status: u16) -> vgi_rpc_protocol::wire::error::RpcError {
    let answered = main().send(request);
    assert_eq!((answered.status, answered.is_marked()), (status, false), "{:?}", answered.told());
    answered.error()
}

#[test]
fn other_content_types_are_unsupported() {
    for content_type in ["application/json", "application/vnd.apache.arrow.file", "", "text/html"] {
        let answered = main().send(echo("x").having("content-type", content_type));
        assert_eq!((answered.status, answered.body_was_read), (415, false), "{content_type}");
    }
    let mut none = echo("x");
    none.headers_mut().remove("content-type");
    assert_eq!(main().send(none).status, 415);
    let twice = echo("x").with("content-type", "application/vnd.apache.arrow.stream");
    assert_eq!(main().send(twice).status, 415, "the request is ambiguous");
}

#[test]
fn a_content_type_has_no_case_and_may_have_parameters() {
    for content_type in [
        "Application/VND.Apache.Arrow.Stream",
        "application/vnd.apache.arrow.stream; charset=utf-8",
        "application/vnd.apache.arrow.stream ;",
    ] {
        assert_eq!(main().send(echo("x").having("content-type", content_type)).text(), "x", "{content_type}");
    }
}

#[test]
fn other_content_codings_are_unsupported() {
    for coding in ["br", "deflate", "gzip, zstd", "x-gzip-2", "\u{e9}"] {
        let answered = main().send(echo("x").with("content-encoding", coding));
        assert_eq!((answered.status, answered.body_was_read), (415, false), "{coding}");
        assert_eq!(answered.header("vgi-supported-encodings"), Some(ALL_CODINGS), "{coding}");
    }
    assert_eq!(main().send(echo("x").with("content-encoding", "identity")).text(), "x");
}

#[test]
fn a_body_that_is_no_arrow_stream_is_a_bad_request() {
    for body in [&b""[..], b"{}", &[0xff; 64], &[0; 64]] {
        let error = refused(post("/vgi/test.Main.v1/echo", Bytes::copy_from_slice(body)), 400);
        assert_eq!(error.error_type(), "ArrowInvalid");
    }
}

#[test]
fn a_body_that_is_cut_short_anywhere_is_a_bad_request() {
    let (_, body) = echo("a value").into_parts();
    let server = main();
    // The stream's end marker is the last 8 bytes: the bytes before it are a complete request.
    for length in 0..body.len() - 8 {
        let answered = server.send(post("/vgi/test.Main.v1/echo", body.slice(..length)));
        assert_eq!((answered.status, answered.is_marked()), (400, false), "{length} bytes");
    }
    assert_eq!(server.send(post("/vgi/test.Main.v1/echo", body)).text(), "a value");
}

#[test]
fn what_follows_the_stream_of_a_body_is_named() {
    let (_, body) = echo("a value").into_parts();
    let server = main();
    for rest in [&b"x"[..], b"junk", &body] {
        let answered = server.send(post("/vgi/test.Main.v1/echo", [&body[..], rest].concat().into()));
        assert_eq!((answered.status, answered.is_marked()), (400, false));
        let text = answered.error().message().to_owned();
        assert!(text.contains("the end of the body after that of its stream"), "{text}");
    }
}

#[test]
fn a_body_with_any_byte_changed_is_answered() {
    let (_, body) = echo("a value").into_parts();
    let server = main();
    for at in 0..body.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = body.to_vec();
            damaged[at] ^= flip;
            let answered = server.send(post("/vgi/test.Main.v1/echo", damaged.into()));
            assert!([200, 400].contains(&answered.status), "byte {at}: {}", answered.status);
        }
    }
}

#[test]
fn the_request_must_name_its_method_and_framing() {
    let error = refused(echo_with(|metadata| metadata.remove(keys::METHOD)), 400);
    assert!(error.message().contains(keys::METHOD), "{error:?}");
    let version = |metadata: &mut Metadata| metadata.remove(keys::REQUEST_VERSION);
    assert_eq!(refused(echo_with(version), 400).error_type(), "VersionError");
    let version = |metadata: &mut Metadata| metadata.set(keys::REQUEST_VERSION, "2");
    assert_eq!(refused(echo_with(version), 400).error_type(), "VersionError");
}

#[test]
fn what_the_path_and_the_metadata_say_must_agree() {
    refused(echo_with(|metadata| metadata.set(keys::METHOD, "nothing")), 400);
    let error = refused(echo_with(|metadata| metadata.set(keys::PROTOCOL, VERSIONED)), 400);
    assert!(error.is_kind(kind::PROTOCOL_NOT_SUPPORTED), "{error:?}");
    let error = refused(echo_with(|metadata| metadata.set(keys::PROTOCOL, [0xff])), 400);
    assert!(error.is_kind(kind::PROTOCOL_NOT_SUPPORTED), "{error:?}");
    let without = echo_with(|metadata| metadata.remove(keys::PROTOCOL));
    assert_eq!(main().send(without).text(), "x", "the path names it");
}

#[test]
fn a_version_that_does_not_interoperate_is_a_bad_request() {
    let call = |version: Option<&str>, part: &str, method: &str, row: RecordBatch| {
        let mut metadata = routing(VERSIONED, method);
        version.into_iter().for_each(|version| metadata.push(keys::PROTOCOL_VERSION, version));
        post(&format!("/vgi/{VERSIONED}/{method}{part}"), stream_of(&[(row, metadata)]))
    };
    let echo = |version| call(version, "", "echo", row([("value", text("x"))]));
    for version in [None, Some("1.3.0"), Some("2.4.0"), Some("nonsense")] {
        assert!(refused(echo(version), 400).is_kind(kind::PROTOCOL_VERSION_MISMATCH), "{version:?}");
        let init = call(version, "/init", "count", row([("count", int(1))]));
        assert!(refused(init, 400).is_kind(kind::PROTOCOL_VERSION_MISMATCH), "{version:?}");
    }
    assert_eq!(main().send(echo(Some("1.4.9"))).text(), "x");
}

#[test]
fn arguments_must_be_those_declared() {
    let nullable = fields([(Field::new("value", DataType::Utf8, true), texts([None]))]);
    let two_rows = fields([(Field::new("value", DataType::Utf8, false), texts([Some("a"), Some("b")]))]);
    for row in [row([("other", text("x"))]), row([("value", int(1))]), nullable, two_rows, no_columns(1)] {
        refused(unary("echo", row.clone()), 400);
        refused(init("count", row), 400);
    }
}

#[test]
fn a_limit_that_breaks_the_grammar_is_refused_before_any_method_runs() {
    let (service, counters) = local::service();
    let server = serve(service, |builder| builder);
    for limit in ["0", "65535", "065536", "+65536", "65536, 65536", "9007199254740992", "1e6", ""] {
        let request = local::big(1).with("vgi-accept-max-response-bytes", limit);
        let answered = server.send(request);
        assert_eq!((answered.status, answered.body_was_read), (400, false), "{limit:?}");
        assert_eq!(answered.error().error_type(), "ValueError", "{limit:?}");
    }
    let twice = local::big(1)
        .with("vgi-accept-max-response-bytes", "65536")
        .with("vgi-accept-max-response-bytes", "65536");
    assert_eq!(server.send(twice).status, 400);
    assert_eq!(counters.runs(), 0);
    assert_eq!(server.send(local::big(1).with("vgi-accept-max-response-bytes", "65536")).text(), "x");
}

#[test]
fn a_body_that_is_declared_too_large_is_not_read() {
    let server = serve_main(|builder| builder.max_request_bytes(Some(1000)));
    let answered = server.send(echo("x").with("content-length", "1001"));
    assert_eq!((answered.status, answered.body_was_read), (413, false));
    assert_eq!(answered.error().code(), Code::ResourceExhausted);
    assert_eq!(answered.header("vgi-max-request-bytes"), Some("1000"));
    let fits = server.send(echo("x").with("content-length", "1000"));
    assert_eq!((fits.status, fits.body_was_read), (200, true));
}

#[test]
fn a_body_that_turns_out_too_large_is_not_used() {
    let server = serve_main(|builder| builder.max_request_bytes(Some(1000)));
    let (head, _) = echo("x").into_parts();
    let answered = server.send_body(head, |most| {
        assert_eq!(most, 1000);
        Body::TooLarge
    });
    assert_eq!((answered.status, answered.error().code()), (413, Code::ResourceExhausted));
}

#[test]
fn a_body_that_is_too_large_once_decoded_is_not_used() {
    let server = serve_main(|builder| builder.max_request_bytes(Some(100_000)));
    let (_, body) = echo(&"a".repeat(1_000_000)).into_parts();
    for &coding in Coding::ALL {
        let coded = Codecs::default().encode(coding, std::slice::from_ref(&body)).unwrap();
        assert!(coded.len() < 100_000);
        let request = post("/vgi/test.Main.v1/echo", coded.into()).with("content-encoding", coding.as_str());
        let answered = server.send(request);
        assert_eq!((answered.status, answered.error().code()), (413, Code::ResourceExhausted), "{coding}");
    }
}

#[test]
fn a_body_that_does_not_decode_is_a_bad_request() {
    for coding in Coding::ALL {
        refused(echo("x").with("content-encoding", coding.as_str()), 400);
    }
}

#[test]
fn the_smallest_of_several_bounds_holds() {
    let server = serve_main(|builder| {
        builder.max_request_bytes(Some(5000)).max_request_bytes(Some(700)).max_request_bytes(None)
    });
    assert_eq!(server.endpoint.max_body_bytes(), 700);
    assert_eq!(server.send(echo("x").with("content-length", "701")).status, 413);
}

#[test]
fn refusals_say_which_server_and_request() {
    for request in [
        call_of("test.Other.v1", "echo", "", no_columns(1)),
        echo("x").having("content-type", "text/plain"),
        post("/vgi/test.Main.v1/echo", Bytes::new()),
    ] {
        let answered = main().send(request.with("x-request-id", "request-7"));
        assert_eq!(answered.header("x-request-id"), Some("request-7"));
        let (batch, metadata) = &answered.batches()[0];
        assert_eq!(batch.num_columns(), 0);
        assert_eq!(metadata.get_str(keys::SERVER_ID), Some(&**service().server_id()));
        assert_eq!(metadata.get_str(keys::REQUEST_ID), Some("request-7"));
    }
}

#[test]
fn no_refused_request_reaches_a_handler() {
    let (service, counters) = local::service();
    let server = serve(service, |builder| builder.max_request_bytes(Some(2000)));
    let whole = || local::big(1);
    let requests = [
        whole().having("content-type", "text/plain"),
        whole().with("content-encoding", "br"),
        whole().with("content-length", "2001"),
        call_of(LOCAL, "big", "", row([("bytes", floats([1.0]))])),
        post("/vgi/test.Local.v1/big", Bytes::new()),
    ];
    for request in requests {
        let status = server.send(request).status;
        assert!((400..500).contains(&status), "{status}");
    }
    assert_eq!(counters.runs(), 0);
    assert_eq!(server.send(whole()).text().len(), 1);
    assert_eq!(counters.runs(), 1);
}
