//! Calls of every kind, over this crate's own server.

use super::serving::*;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use std::sync::{Arc, Mutex};
use vgi_rpc_http::client::{CallError, HttpOptions, ResumeToken};
use vgi_rpc_protocol::http::auth::{Reason, bearer_static};
use vgi_rpc_protocol::http::client::ResponseError;
use vgi_rpc_protocol::http::coding::CodecSettings;
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::service::AuthContext;

fn number(batch: &arrow_array::RecordBatch) -> i64 {
    batch.column(0).as_primitive::<Int64Type>().value(0)
}

#[test]
fn unary_calls_answer_log_and_fail() {
    let server = serve(|builder| builder);
    let logs = Arc::new(Mutex::new(Vec::new()));
    let kept = logs.clone();
    let mut client =
        server.client().client().on_log(move |message| kept.lock().unwrap().push(message.message));
    let remote = remote();
    for _ in 0..3 {
        let answer = client.unary(&remote.method("echo"), &text("x")).unwrap();
        assert_eq!(answer.column(0).as_string::<i32>().value(0), "x");
    }
    assert_eq!(*logs.lock().unwrap(), ["echoing"; 3]);
    let error = client.unary(&remote.method("fail"), &nothing()).unwrap_err();
    assert!(matches!(&error, CallError::Rpc(error) if error.error_type() == "ValueError"), "{error}");
    let metadata: Metadata = [("vgi_rpc.request_id", "mine")].into_iter().collect();
    let error = client.unary(&remote.method("fail").with_metadata(metadata), &nothing()).unwrap_err();
    assert!(matches!(&error, CallError::Rpc(error) if error.request_id() == "mine"), "{error}");
    let error = client.unary(&remote.method("absent"), &nothing()).unwrap_err();
    assert!(matches!(&error, CallError::Rpc(_)), "{error}");
    client.unary(&remote.method("echo"), &text("after errors")).unwrap();
    assert_eq!(server.connections(), 1, "one connection carries them all");
}

#[test]
fn streams_have_the_interface_of_other_transports() {
    let server = serve(|builder| builder);
    let mut client = server.client().client();
    let remote = remote();
    let numbers: Vec<i64> = client
        .stream(&remote.method("count"), &int("value", 4))
        .unwrap()
        .map(|batch| number(&batch.unwrap()))
        .collect();
    assert_eq!(numbers, [0, 1, 2, 3]);

    let method = remote.method("count_with_header").with_header();
    let mut stream = client.stream(&method, &int("value", 2)).unwrap();
    assert_eq!(number(stream.header().unwrap()), 2);
    assert_eq!(number(&stream.tick(&Metadata::new()).unwrap().unwrap().0), 0);
    stream.cancel().unwrap();

    let mut stream = client.stream(&remote.method("double"), &nothing()).unwrap();
    for value in [1.5, 2.0] {
        let answer = stream.exchange(&float(value)).unwrap();
        assert_eq!(answer.column(0).as_primitive::<Float64Type>().value(0), value * 2.0);
    }
    let error = stream.exchange(&float(f64::NAN)).unwrap_err();
    assert!(matches!(&error, CallError::Rpc(_)), "{error}");
    drop(stream);

    // Dropped without reading it: the client can still make its next call.
    drop(client.stream(&remote.method("count"), &int("value", 9)).unwrap());
    let mut stream = client.stream(&remote.method("count"), &int("value", -1)).unwrap();
    assert!(matches!(stream.next(), Some(Err(CallError::Rpc(_)))));
    assert!(stream.next().is_none());
    drop(stream);
    client.unary(&remote.method("echo"), &text("x")).unwrap();
    client.close().unwrap();
}

#[test]
fn a_stream_is_resumed_by_another_client() {
    let server = serve(|builder| builder);
    let remote = remote();
    let method = remote.method("count_with_header").with_header();
    let mut first = server.client().client();
    let mut stream = first.stream(&method, &int("value", 3)).unwrap();
    assert!(stream.header_metadata().unwrap().is_empty());
    assert_eq!(number(&stream.next().unwrap().unwrap()), 0);
    let token = stream.resume_token().unwrap().to_bytes();
    assert_eq!(number(&stream.next().unwrap().unwrap()), 1);
    drop(stream);

    let mut second = server.client().client();
    let token = ResumeToken::from_bytes(&token).unwrap();
    let mut stream = second.resume_stream(&method, &token).unwrap();
    assert!(stream.header().is_none());
    let numbers: Vec<_> = stream.by_ref().map(|batch| number(&batch.unwrap())).collect();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(stream.resume_token(), None);
    drop(stream);
    second.unary(&remote.method("echo"), &text("x")).unwrap();
}

#[test]
fn requests_are_compressed_with_the_effort_that_is_asked_for() {
    let server = serve(|builder| builder);
    let codec = CodecSettings { zstd_level: 19, ..CodecSettings::default() };
    let options = HttpOptions::default().codec(codec);
    let value = "abc".repeat(10_000);
    let mut client = options.build(&server.url).unwrap().client();
    let answer = client.unary(&remote().method("echo"), &text(&value)).unwrap();
    assert_eq!(answer.column(0).as_string::<i32>().value(0), value);
}

#[test]
fn large_batches_go_both_ways_coded_or_not() {
    let server = serve(|builder| builder);
    let long = "abc ".repeat(500_000);
    for compress in [true, false] {
        let mut options = HttpOptions::default().compress_requests(compress);
        if !compress {
            options = options.codings([]);
        }
        let mut client = options.build(&server.url).unwrap().client();
        for _ in 0..2 {
            let answer = client.unary(&remote().method("echo"), &text(&long)).unwrap();
            assert_eq!(answer.column(0).as_string::<i32>().value(0), long);
        }
    }
}

#[test]
fn threads_share_what_is_known_and_the_connections() {
    let server = serve(|builder| builder);
    let http = server.client();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = http.client();
                for _ in 0..10 {
                    client.unary(&remote().method("echo"), &text("x")).unwrap();
                }
            });
        }
    });
    assert!(server.connections() <= 4, "{}", server.connections());
}

#[test]
fn capabilities_are_asked_for_and_a_limit_is_kept() {
    let server = serve(|builder| builder.max_request_bytes(Some(1 << 20)));
    let capabilities = server.client().capabilities().unwrap();
    assert_eq!(
        (capabilities.max_request_bytes, capabilities.accept_max_response_bytes),
        (Some(1 << 20), true)
    );
    let http = HttpOptions::default().max_response_bytes(65_536).build(&server.url).unwrap();
    let error = http.client().unary(&remote().method("echo"), &text(&"x".repeat(100_000))).unwrap_err();
    assert!(
        matches!(&error, CallError::Rpc(error) if error.error_type() == "ResponseTooLargeError"),
        "{error}"
    );
}

#[test]
fn a_credential_is_asked_for_each_time_and_a_refusal_is_told() {
    let server =
        serve(|builder| builder.authenticate(bearer_static([("right", AuthContext::new("bearer", "ann"))])));
    let error = server.client().client().unary(&remote().method("echo"), &text("x")).unwrap_err();
    let Some(ResponseError::Unauthorized(refused)) = error.transport_cause() else { panic!("{error}") };
    assert_eq!(refused.reason, Reason::MissingCredential);

    let tokens = Mutex::new(vec!["right", "right", "wrong", "right"]);
    let next = move || Ok(tokens.lock().unwrap().pop().unwrap().to_owned());
    let http = HttpOptions::default().max_response_bytes(None).bearer(next).build(&server.url).unwrap();
    let mut client = http.client();
    client.unary(&remote().method("echo"), &text("x")).unwrap();
    let error = client.unary(&remote().method("echo"), &text("x")).unwrap_err();
    assert!(matches!(error.transport_cause(), Some(ResponseError::Unauthorized(_))), "{error}");
    assert!(!format!("{error} {error:?} {http:?} {client:?}").contains("wrong"));
    client.unary(&remote().method("echo"), &text("x")).unwrap();

    let http = HttpOptions::default().bearer(|| Ok("line\nbreak".into())).build(&server.url).unwrap();
    let error = http.client().unary(&remote().method("echo"), &text("x")).unwrap_err();
    assert!(matches!(&error, CallError::Transport(error) if !error.may_have_reached_server()), "{error}");
    assert!(!format!("{error} {error:?}").contains("break"));
}
