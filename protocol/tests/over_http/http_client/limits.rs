//! What the two sides negotiate by header: capabilities, the limit on responses, content codings.

use super::pair::*;
use crate::common::batches::*;
use crate::common::messages::COMPRESSIONS;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use http::HeaderValue;
use vgi_rpc_protocol::http::client::{ClientMachine, ResponseError, Settings, SettingsError};
use vgi_rpc_protocol::http::coding::{Codecs, Coding};

fn limited(bytes: u64) -> Settings {
    let mut settings = settings();
    settings.max_response_bytes = Some(bytes);
    settings
}

fn long() -> arrow_array::RecordBatch {
    row([("value", text(&"long ".repeat(40_000)))])
}

#[test]
fn settings_that_cannot_be_had_are_refused() {
    assert_eq!(
        ClientMachine::new(limited(65_535)).unwrap_err(),
        SettingsError::MaxResponseBytes { limit: 65_535 }
    );
    for prefix in ["vgi", "/a?b", "/a b", "/a#"] {
        let mut settings = Settings::default();
        settings.prefix = prefix.into();
        assert_eq!(ClientMachine::new(settings).unwrap_err(), SettingsError::Prefix(prefix.into()));
    }
    for prefix in [Settings::default().prefix, "/".into()] {
        let mut settings = unlimited();
        settings.prefix = prefix;
        let mut pair = Pair::new(settings, vec![endpoint(|builder| builder.prefix(""))]);
        pair.call("echo", UNARY, &row([("value", text("x"))]));
        assert_eq!(pair.last().path, "/test.Main.v1/echo", "the default is the root");
    }
}

#[test]
fn a_limit_is_asked_about_once_and_sent_with_every_request() {
    let mut pair = Pair::new(limited(65_536), vec![endpoint(|builder| builder)]);
    assert!(pair.caller.capabilities().is_none());
    assert_eq!(pair.call("count", STREAM, &row([("count", int(1))])), ["output 0"]);
    assert_eq!(pair.tick(), ["finished"]);
    let sent: Vec<_> = pair.exchanged.iter().map(|one| (one.method.as_str(), one.path.as_str())).collect();
    let expected = [
        ("HEAD", "/vgi/health"),
        ("POST", "/vgi/test.Main.v1/count/init"),
        ("POST", "/vgi/test.Main.v1/count/exchange"),
    ];
    assert_eq!(sent, expected);
    let limits = pair.exchanged.iter().map(|one| one.request("vgi-accept-max-response-bytes"));
    assert!(limits.into_iter().all(|limit| limit == Some("65536")));
    assert!(pair.caller.capabilities().unwrap().accept_max_response_bytes);
    // Another caller to the same server need not ask again.
    let another = pair.caller.another();
    pair.caller = another;
    pair.call("echo", UNARY, &row([("value", text("x"))]));
    assert_eq!(pair.exchanged.len(), 4);
}

#[test]
fn without_support_for_the_limit_no_call_is_made() {
    let mut pair = Pair::new(limited(65_536), vec![endpoint(|builder| builder)]);
    pair.between = Box::new(|_, mut response| {
        response.headers_mut().remove("vgi-accept-max-response-bytes-support");
        response
    });
    for _ in 0..2 {
        let error = pair.try_call("echo", UNARY, &long()).unwrap_err();
        assert!(matches!(error, ResponseError::LimitUnsupported { status } if status == 200), "{error}");
    }
    assert!(pair.exchanged.iter().all(|one| one.method == "HEAD"), "asked again, and nothing else");
    pair.between = Box::new(|_, _| foreign(503, None, b""));
    let error = pair.try_call("echo", UNARY, &long()).unwrap_err();
    assert!(matches!(&error, ResponseError::Foreign(answer) if answer.status == 503), "{error}");
    pair.between = Box::new(|_, response| response);
    assert_eq!(pair.call("echo", UNARY, &row([("value", text("x"))])), ["output \"x\"", "finished"]);
}

#[test]
fn the_server_keeps_to_the_limit_and_otherwise_the_client_does() {
    let mut pair = Pair::new(limited(65_536), vec![endpoint(|builder| builder)]);
    let told = pair.call("echo", UNARY, &long());
    assert!(told[0].starts_with("failed ResponseTooLargeError"), "{told:?}");

    // A server that exceeds the limit: coded or not, nothing of the response is used.
    let each = Coding::ALL.iter().map(|coding| vec![*coding]);
    for codings in [vec![]].into_iter().chain(each) {
        let mut settings = limited(65_536);
        settings.codings = codings;
        let mut pair = Pair::new(settings, vec![endpoint(|builder| builder)]);
        let mut large = self::pair();
        let (sender, receiver) = std::sync::mpsc::channel();
        large.between = Box::new(move |_, response| {
            sender.send(response.clone()).unwrap();
            response
        });
        large.call("echo", UNARY, &long());
        let too_large = receiver.recv().unwrap();
        pair.between = Box::new(
            move |method, response| {
                if method == http::Method::HEAD { response } else { too_large.clone() }
            },
        );
        let error = pair.try_call("echo", UNARY, &long()).unwrap_err();
        assert!(matches!(error, ResponseError::TooLarge { limit: 65_536 }), "{error}");
        assert!(pair.told().is_empty());
    }
    let mut settings = limited(65_536);
    settings.codings = vec![];
    let mut pair = Pair::new(settings, vec![endpoint(|builder| builder)]);
    let body = vec![0; 65_537];
    pair.between = Box::new(
        move |method, response| {
            if method == http::Method::HEAD { response } else { arrow(body.clone()) }
        },
    );
    let error = pair.try_call("echo", UNARY, &long()).unwrap_err();
    assert!(matches!(error, ResponseError::TooLarge { .. }), "{error}");
}

#[test]
fn a_stream_that_gets_too_large_ends_there() {
    let mut pair = Pair::new(limited(65_536), vec![endpoint(|builder| builder)]);
    let told = pair.call("large", STREAM, &row([("rows", int(100_000))]));
    assert!(told[0].starts_with("failed ResponseTooLargeError") && told[1] == "finished", "{told:?}");
    assert!(pair.caller.is_idle());
}

#[test]
fn responses_come_in_the_coding_that_is_preferred() {
    for (codings, named) in [
        (Coding::ALL.to_vec(), Some(Coding::ALL[0].as_str())),
        (Coding::ALL.iter().rev().copied().collect(), Some("gzip")),
        (vec![], None),
    ] {
        let mut settings = unlimited();
        settings.codings = codings;
        let mut pair = Pair::new(settings, vec![endpoint(|builder| builder)]);
        assert_eq!(pair.call("echo", UNARY, &long()).len(), 2);
        assert_eq!(pair.last().response("x-vgi-content-encoding"), named);
    }
}

#[test]
fn requests_are_coded_once_the_server_is_known_to_take_it() {
    let mut pair = pair();
    pair.call("echo", UNARY, &long());
    assert_eq!(pair.last().request("content-encoding"), None, "the server's codings are unknown");
    pair.call("echo", UNARY, &long());
    assert_eq!(pair.last().request("content-encoding"), Some(Coding::ALL[0].as_str()));
    assert!(pair.last().request_bytes < 10_000);
    pair.call("echo", UNARY, &row([("value", text("x"))]));
    assert_eq!(pair.last().request("content-encoding"), None, "coding it is not worthwhile");

    // A gateway that refuses coded requests: the request is sent again uncoded, and so are the next ones.
    pair.between = Box::new(|_, response| {
        let is_first = response.headers().get("x-request-id").is_some();
        if is_first { response } else { foreign(415, None, b"") }
    });
    let refuse_next = std::rc::Rc::new(std::cell::Cell::new(true));
    let refuse = refuse_next.clone();
    pair.between =
        Box::new(move |_, response| if refuse.take() { foreign(415, None, b"") } else { response });
    assert_eq!(pair.call("echo", UNARY, &long()).len(), 2);
    assert_eq!(pair.last().request("content-encoding"), None);
    let sent = pair.exchanged.len();
    pair.call("echo", UNARY, &long());
    assert_eq!((pair.exchanged.len() - sent, pair.last().request("content-encoding")), (1, None));
}

#[test]
fn a_server_without_codings_is_sent_none() {
    let mut pair = Pair::new(unlimited(), vec![endpoint(|builder| builder.compress(false))]);
    for _ in 0..2 {
        assert_eq!(pair.call("echo", UNARY, &long()).len(), 2);
        assert_eq!(pair.last().request("content-encoding"), None);
    }
}

#[test]
fn capabilities_can_be_asked_for_and_proxies_do_not_change_them() {
    let mut pair = Pair::new(unlimited(), vec![endpoint(|builder| builder.max_request_bytes(Some(1 << 20)))]);
    pair.caller.discover().unwrap();
    pair.go().unwrap();
    assert_eq!(pair.last().method, "HEAD");
    let known = pair.caller.capabilities().unwrap();
    assert_eq!((known.max_request_bytes, known.sticky.is_some()), (Some(1 << 20), false));
    pair.between = Box::new(|_, _| foreign(502, Some("text/html"), b""));
    assert!(pair.try_call("echo", UNARY, &long()).is_err());
    assert_eq!(pair.caller.capabilities().unwrap(), known);
}

#[test]
fn a_body_in_a_coding_of_its_own_is_refused() {
    let mut pair = pair();
    pair.between = Box::new(|_, mut response| {
        response.headers_mut().insert("content-encoding", HeaderValue::from_static("br"));
        response
    });
    let error = pair.try_call("echo", UNARY, &long()).unwrap_err();
    assert!(matches!(error, ResponseError::Coding(_)), "{error}");
    let bomb = Codecs::default().encode(Coding::Gzip, &[vec![0; 10 << 20].into()]).unwrap();
    let mut settings = limited(65_536);
    settings.compress_requests = false;
    let mut pair = Pair::new(settings, vec![endpoint(|builder| builder)]);
    pair.between = Box::new(move |method, response| {
        if method == http::Method::HEAD {
            return response;
        }
        let mut bomb = arrow(bomb.clone());
        bomb.headers_mut().insert("content-encoding", HeaderValue::from_static("gzip"));
        bomb
    });
    let error = pair.try_call("echo", UNARY, &long()).unwrap_err();
    assert!(matches!(error, ResponseError::TooLarge { .. }), "{error}");
}

#[cfg(feature = "zstd")]
#[test]
fn a_response_may_be_several_frames() {
    let mut pair = pair();
    pair.between = Box::new(|_, mut response| {
        let body = response.body();
        let (first, second) = body.split_at(body.len() / 2);
        let frames = [first, b"", second].map(|part| zstd::bulk::compress(part, 1).unwrap()).concat();
        *response.body_mut() = frames.into();
        response.headers_mut().insert("content-encoding", HeaderValue::from_static("zstd"));
        response
    });
    assert_eq!(pair.call("echo", UNARY, &row([("value", text("x"))])), ["output \"x\"", "finished"]);
}

/// A body that is small as received, and whose buffers expand.
#[test]
fn the_limit_holds_for_what_arrow_decompresses() {
    for &codec in COMPRESSIONS {
        for (len, fits) in [(32_000, true), (65_536, false), (1 << 23, false)] {
            let batch = row([("result", text(&"0".repeat(len)))]);
            let options = IpcWriteOptions::default().try_with_compression(Some(codec)).unwrap();
            let mut writer =
                StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
            writer.write(&batch).unwrap();
            let body = writer.into_inner().unwrap();
            assert!(body.len() < 65_536, "{}", body.len());
            let mut pair = Pair::new(limited(65_536), vec![endpoint(|builder| builder)]);
            pair.between =
                Box::new(
                    move |method, response| {
                        if method == http::Method::HEAD { response } else { arrow(body.clone()) }
                    },
                );
            let told = pair.call("echo", UNARY, &row([("value", text("x"))]));
            if fits {
                assert!(told[0].starts_with("output"), "{told:?}");
            } else {
                assert!(told[0].starts_with("failed ") && told[0].contains("limit exceeded"), "{told:?}");
            }
        }
    }
}
