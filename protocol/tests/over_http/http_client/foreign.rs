//! Responses that do not answer the call: refusals, pages of intermediaries, bodies that are not what they claim.

use super::pair::*;
use crate::common::batches::*;
use arrow_array::RecordBatch;
use bytes::Bytes;
use http::HeaderValue;
use vgi_rpc_protocol::client::CallKind;
use vgi_rpc_protocol::http::auth::{Reason, bearer_static};
use vgi_rpc_protocol::http::client::ResponseError;
use vgi_rpc_protocol::service::AuthContext;

fn params() -> arrow_array::RecordBatch {
    row([("value", text("x"))])
}

#[test]
fn a_refusal_is_told_with_its_reason() {
    let authenticator = bearer_static([("secret", AuthContext::new("bearer", "ann"))]);
    let mut pair = Pair::new(unlimited(), vec![endpoint(|builder| builder.authenticate(authenticator))]);
    let error = pair.try_call("echo", UNARY, &params()).unwrap_err();
    let ResponseError::Unauthorized(refused) = &error else { panic!("{error}") };
    assert_eq!(refused.reason, Reason::MissingCredential);
    assert!(pair.caller.is_idle() && pair.told().is_empty());
    pair.credential = Some("Bearer secret");
    assert_eq!(pair.call("echo", UNARY, &params()), ["output \"x\"", "finished"]);
}

#[test]
fn a_refusal_is_not_taken_for_arrow_even_if_it_claims_to_be() {
    let mut pair = pair();
    pair.between = Box::new(|_, mut response| {
        *response.status_mut() = http::StatusCode::UNAUTHORIZED;
        response
    });
    let error = pair.try_call("echo", UNARY, &params()).unwrap_err();
    assert!(matches!(error, ResponseError::Unauthorized(_)), "{error}");
}

#[test]
fn pages_of_others_are_told_with_status_and_beginning() {
    let mut pair = pair();
    let cases: [(u16, Option<&'static str>, &'static [u8]); 5] = [
        (404, Some("text/html"), b"<html>\x1b[2Jno such page"),
        (502, Some("text/plain; charset=utf-8"), b"bad gateway\n"),
        (200, None, b""),
        (204, None, b""),
        (503, Some("application/json"), &[b'x'; 5000]),
    ];
    for (status, content_type, body) in cases {
        pair.between = Box::new(move |_, _| {
            let mut response = foreign(status, content_type, body);
            response.headers_mut().insert("retry-after", HeaderValue::from_static("7"));
            response
        });
        let error = pair.try_call("echo", UNARY, &params()).unwrap_err();
        let ResponseError::Foreign(answer) = &error else { panic!("{error}") };
        assert_eq!(answer.status, status);
        assert_eq!(answer.content_type.as_deref(), content_type);
        assert_eq!(answer.retry_after.unwrap().as_secs(), 7);
        assert!(answer.body.chars().count() <= 500 && !answer.body.contains('\u{1b}'), "{answer:?}");
        assert!(error.to_string().contains(&status.to_string()), "{error}");
        assert!(pair.caller.is_idle());
    }
    pair.between = Box::new(|_, response| response);
    assert_eq!(pair.call("echo", UNARY, &params()), ["output \"x\"", "finished"]);
}

#[test]
fn pages_for_browsers_are_not_quoted_and_a_wrong_path_is_pointed_out() {
    let mut pair = pair();
    let page = b"<!DOCTYPE html><style>body { margin: 0 }</style>";
    let cases: [(u16, Option<&'static str>, &'static [u8], &str); 5] = [
        (
            404,
            Some("Text/HTML; charset=utf-8"),
            page,
            " with content type \"Text/HTML; charset=utf-8\"; check the path",
        ),
        (
            404,
            Some("text/plain"),
            b"no such page",
            " with content type \"text/plain\": \"no such page\"; check the path",
        ),
        (502, Some("application/xhtml+xml"), page, "\"application/xhtml+xml\""),
        (502, None, page, " without a content type"),
        (502, None, b"<htm", " without a content type: \"<htm\""),
    ];
    for (status, content_type, body, says) in cases {
        pair.between = Box::new(move |_, _| foreign(status, content_type, body));
        let error = pair.try_call("echo", UNARY, &params()).unwrap_err().to_string();
        assert!(error.contains(says) && !error.contains("margin"), "{error}");
        assert_eq!(
            (error.contains("; check"), error.ends_with(says)),
            (status == 404, status != 404),
            "{error}"
        );
    }
}

#[test]
fn a_body_that_is_cut_or_goes_on_is_refused_whole() {
    let mut whole = pair();
    let mut bodies: Vec<Bytes> = Vec::new();
    let (sender, receiver) = std::sync::mpsc::channel();
    whole.between = Box::new(move |_, response| {
        sender.send(response.body().clone()).unwrap();
        response
    });
    assert_eq!(whole.call("echo", UNARY, &params()), ["output \"x\"", "finished"]);
    let body = receiver.recv().unwrap();
    bodies.extend((0..body.len()).map(|len| body.slice(..len)));
    bodies.push([&body[..], &body[..]].concat().into());
    bodies.push([&body[..], b"x"].concat().into());
    for bytes in bodies {
        let mut pair = pair();
        let cut = bytes.clone();
        pair.between = Box::new(move |_, response| response.map(|_| cut.clone()));
        let told = pair.try_call("echo", UNARY, &params());
        // A stream without its end marker is incomplete.
        assert!(matches!(told, Err(ResponseError::Streams(_))), "{} bytes: {told:?}", bytes.len());
        assert!(pair.told().is_empty() && pair.caller.is_idle());
    }
}

/// Returns the response of a method as sent, without the end marker of the last stream.
fn without_end_marker(method: &str, kind: CallKind, params: &RecordBatch) -> Bytes {
    let mut settings = unlimited();
    settings.codings = Vec::new();
    let mut pair = Pair::new(settings, vec![endpoint(|builder| builder)]);
    let (sender, receiver) = std::sync::mpsc::channel();
    pair.between = Box::new(move |_, response| {
        sender.send(response.body().clone()).unwrap();
        response
    });
    pair.try_call(method, kind, params).unwrap();
    let body = receiver.recv().unwrap();
    let (body, marker) = body.split_at(body.len() - 8);
    assert_eq!(marker, [255, 255, 255, 255, 0, 0, 0, 0]);
    Bytes::copy_from_slice(body)
}

/// Returns the events of this body under this header.
fn told_of(
    method: &str,
    kind: CallKind,
    params: &RecordBatch,
    body: &Bytes,
    (name, value): (&'static str, String),
) -> Result<Vec<String>, ResponseError> {
    let mut pair = pair();
    let body = body.clone();
    pair.between = Box::new(move |_, _| {
        let mut response = arrow(body.to_vec());
        response.headers_mut().insert(name, HeaderValue::try_from(&value).unwrap());
        response
    });
    pair.try_call(method, kind, params)?;
    Ok(pair.told())
}

#[test]
fn a_missing_end_marker_is_accepted_if_the_body_is_proven_whole() {
    let count = row([("count", int(3))]);
    let cases = [
        ("echo", UNARY, params(), vec!["output \"x\"", "finished"]),
        ("count", STREAM, count, vec!["output 0"]),
        ("fail", UNARY, row([("message", text("no"))]), vec!["failed ValueError: no", "finished"]),
    ];
    for (method, kind, params, expected) in cases {
        let body = without_end_marker(method, kind, &params);
        let told = |body: &Bytes, header| told_of(method, kind, &params, body, header);
        let length = |body: &Bytes| ("content-length", body.len().to_string());
        assert_eq!(told(&body, length(&body)).unwrap(), expected, "{method}");
        assert_eq!(told(&body, ("transfer-encoding", "chunked".into())).unwrap(), expected, "{method}");
        // A body that ends with the connection may have been truncated anywhere.
        assert!(matches!(told(&body, ("x-nothing", "".into())), Err(ResponseError::Streams(_))), "{method}");
        let longer = ("content-length", (body.len() + 8).to_string());
        assert!(matches!(told(&body, longer), Err(ResponseError::Streams(_))), "{method}");
        for cut in [1, 4, 8, 64] {
            let cut = body.slice(..body.len() - cut);
            let refused = told(&cut, length(&cut));
            assert!(matches!(refused, Err(ResponseError::Streams(_))), "{method}: within a message");
        }
    }
}

#[test]
fn a_body_without_its_result_is_refused_though_it_is_whole() {
    let body = without_end_marker("echo", UNARY, &params());
    // Only the schema message, and an empty body.
    let schema = 8 + u32::from_le_bytes(body[4..8].try_into().unwrap()) as usize;
    for body in [body.slice(..schema), Bytes::new()] {
        let length = ("content-length", body.len().to_string());
        let told = told_of("echo", UNARY, &params(), &body, length);
        assert!(!matches!(&told, Ok(told) if told.iter().any(|event| event.starts_with("output"))));
        assert!(told.is_err() || told.as_ref().unwrap()[0].starts_with("failed"), "{told:?}");
    }
}

#[test]
fn an_error_and_its_sources_say_each_thing_once() {
    let mut pair = pair();
    let answers: [fn() -> http::Response<Bytes>; 4] = [
        || arrow(b"not Arrow at all".to_vec()),
        || foreign(200, Some("text/plain"), b"\x1b[2Jplain"),
        || {
            let mut coded = arrow(b"not coded".to_vec());
            coded.headers_mut().insert("content-encoding", HeaderValue::from_static("gzip"));
            coded
        },
        || {
            let mut coded = arrow(Vec::new());
            coded.headers_mut().insert("content-encoding", HeaderValue::from_static("br"));
            coded
        },
    ];
    for answer in answers {
        pair.between = Box::new(move |_, _| answer());
        let error = pair.try_call("echo", UNARY, &params()).unwrap_err();
        let text = error.to_string();
        assert!(!text.contains(char::is_control), "{text:?}");
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            assert!(!text.contains(&error.to_string()), "{text} says {error} already");
            source = error.source();
        }
    }
}

#[test]
fn a_broken_turn_ends_the_stream_for_the_caller_only() {
    let mut pair = pair();
    assert_eq!(pair.call("count", STREAM, &row([("count", int(3))])), ["output 0"]);
    pair.between = Box::new(|_, _| foreign(502, Some("text/html"), b"<html>"));
    pair.caller.tick(&Default::default()).unwrap();
    assert!(pair.go().is_err());
    assert!(pair.caller.is_idle() && pair.caller.tick(&Default::default()).is_err());
}

#[test]
fn a_response_without_a_request_is_the_drivers_mistake() {
    let mut pair = pair();
    let error = pair.caller.receive(foreign(200, None, b"")).unwrap_err();
    assert!(matches!(error, ResponseError::Unasked));
}

#[test]
fn the_driver_may_abandon_a_call() {
    let mut pair = pair();
    pair.try_call("count", STREAM, &row([("count", int(3))])).unwrap();
    pair.told();
    pair.caller.tick(&Default::default()).unwrap();
    assert!(pair.caller.poll_request().is_some());
    pair.caller.abandon();
    assert!(pair.caller.is_idle() && pair.told().is_empty());
    assert_eq!(pair.call("echo", UNARY, &params()), ["output \"x\"", "finished"]);
}
