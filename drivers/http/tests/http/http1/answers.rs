//! Responses of a server's connection: framing, `Expect`, HEAD, keep-alive, and what it refuses to send.

use super::support::{
    Way, asked, describe, event, new_connection, ok, output, receive, serve, statuses, with_status,
};
use bytes::{Buf, Bytes};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use std::io::IoSlice;
use vgi_rpc_http::http1::server::{Event, Phase};
use vgi_rpc_http::http1::{BodyTooLarge, CommandError, Limits, Malformed, Next};

#[test]
fn continue_is_sent_when_the_body_is_asked_for_and_has_not_begun() {
    let head = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n";
    let mut connection = asked(head);
    assert_eq!(output(&mut connection), "");
    connection.read_body(2).unwrap();
    assert_eq!(output(&mut connection), "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(matches!(connection.poll_event(), Next::NeedInput));
    receive(&mut connection, b"ab");
    assert_eq!(describe(&event(&mut connection)), "body ab");
    connection.respond(ok("")).unwrap();
    assert_eq!(output(&mut connection), "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    assert!(matches!(connection.poll_event(), Next::NeedInput));

    let mut connection =
        asked("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\na");
    connection.read_body(2).unwrap();
    assert_eq!(output(&mut connection), "", "the body has begun");

    let mut connection = asked("PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    connection.read_body(2).unwrap();
    assert_eq!(output(&mut connection), "", "HTTP/1.0 has no interim responses");

    for too_small in [false, true] {
        let mut connection = asked(head);
        if too_small {
            connection.read_body(1).unwrap();
            assert!(matches!(event(&mut connection), Event::BodyTooLarge(BodyTooLarge { max: 1 })));
        }
        connection.respond(with_status(StatusCode::PAYLOAD_TOO_LARGE)).unwrap();
        let output = output(&mut connection);
        assert_eq!(statuses(&output), [413], "the client gets no 100 Continue");
        assert!(output.contains("connection: close"), "it is unknown whether the body follows");
        assert!(matches!(connection.poll_event(), Next::Closed));
        assert!(connection.should_linger());
    }
}

#[test]
fn answers_to_head_state_a_length_and_have_no_body() {
    let mut connection = asked("HEAD / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    connection.respond(ok("hello")).unwrap();
    assert_eq!(output(&mut connection), "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
    event(&mut connection);
    let mut response = ok("");
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("1234"));
    connection.respond(response).unwrap();
    assert_eq!(output(&mut connection), "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n");
}

#[test]
fn statuses_without_a_body_have_none() {
    for (status, expected) in [
        (StatusCode::NO_CONTENT, "HTTP/1.1 204 No Content\r\n\r\n"),
        (StatusCode::NOT_MODIFIED, "HTTP/1.1 304 Not Modified\r\n\r\n"),
        (StatusCode::RESET_CONTENT, "HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n"),
    ] {
        let mut connection = asked("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut wrong = ok("body");
        *wrong.status_mut() = status;
        assert_eq!(connection.respond(wrong), Err(CommandError::BodyNotAllowed(status)));
        connection.respond(with_status(status)).unwrap();
        assert_eq!(output(&mut connection), expected);
    }
}

#[test]
fn what_belongs_to_the_connection_is_refused_in_an_answer() {
    let mut connection = asked("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let early = with_status(StatusCode::EARLY_HINTS);
    assert_eq!(connection.respond(early), Err(CommandError::InterimStatus(StatusCode::EARLY_HINTS)));
    for (name, value) in [(CONTENT_LENGTH, "2"), (TRANSFER_ENCODING, "chunked")] {
        let mut response = ok("ab");
        response.headers_mut().insert(name.clone(), HeaderValue::from_static(value));
        assert_eq!(connection.respond(response), Err(CommandError::FramingField(name)));
    }
    assert_eq!(connection.buffered_output(), 0, "a refused answer leaves no trace");
    let mut response = ok("ab");
    response.headers_mut().insert(HeaderName::from_static("date"), HeaderValue::from_static("today"));
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("x-hop, Close"));
    connection.respond(response).unwrap();
    assert_eq!(
        output(&mut connection),
        "HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 2\r\nconnection: close\r\n\r\nab"
    );
    assert!(matches!(connection.poll_event(), Next::Closed));
    assert_eq!(connection.respond(ok("")), Err(CommandError::NothingToAnswer));
    assert_eq!(connection.read_body(1), Err(CommandError::NoBodyToRead));
}

#[test]
fn keep_alive_is_the_rule_in_1_1_and_asked_for_in_1_0() {
    let plain = [&b"GET / HTTP/1.0\r\n\r\n"[..]];
    let transcript = serve(Limits::default(), plain, Way::Receive, false);
    assert_eq!(transcript.output, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    assert!(transcript.closed);
    let asking = [&b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"[..]];
    let transcript = serve(Limits::default(), asking, Way::Receive, false);
    assert_eq!(transcript.output, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n");
    assert!(!transcript.closed);
    let closing =
        [&b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\nGET /2 HTTP/1.1\r\n"[..]];
    let transcript = serve(Limits::default(), closing, Way::Receive, false);
    assert_eq!(statuses(&transcript.output), [200]);
    assert!(transcript.closed);
}

#[test]
fn a_slow_request_can_be_answered_with_408() {
    let mut connection = new_connection();
    assert_eq!(connection.reject(StatusCode::REQUEST_TIMEOUT), Err(CommandError::NothingToAnswer));
    assert_eq!(connection.phase(), Phase::Idle);
    receive(&mut connection, b"GET / HTTP/1.1\r\nHo");
    assert!(matches!(connection.poll_event(), Next::NeedInput));
    assert_eq!(connection.phase(), Phase::Head);
    connection.reject(StatusCode::REQUEST_TIMEOUT).unwrap();
    assert_eq!(
        output(&mut connection),
        "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    assert!(matches!(connection.poll_event(), Next::Closed));

    connection = asked("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na");
    connection.read_body(10).unwrap();
    assert!(matches!(connection.poll_event(), Next::NeedInput));
    assert_eq!(connection.phase(), Phase::Body);
    connection.reject(StatusCode::REQUEST_TIMEOUT).unwrap();
    receive(&mut connection, b"b");
    assert_eq!(statuses(&output(&mut connection)), [408]);
    assert!(matches!(connection.poll_event(), Next::Closed));
}

#[test]
fn answers_are_gathered_and_not_copied() {
    let mut connection = asked("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let (first, second) = (Bytes::from(vec![1; 10_000]), Bytes::from(vec![2; 20_000]));
    connection.respond(Response::new(vec![first.clone(), second.clone()])).unwrap();
    let outbox = connection.poll_transmit().unwrap();
    let mut slices = [IoSlice::new(&[]); 8];
    assert_eq!(outbox.chunks_vectored(&mut slices), 3);
    assert_eq!((slices[1].as_ptr(), slices[2].as_ptr()), (first.as_ptr(), second.as_ptr()));
    assert_eq!(*slices[0], *b"HTTP/1.1 200 OK\r\ncontent-length: 30000\r\n\r\n");
}

#[test]
fn a_refusal_owes_nothing_to_the_request_before() {
    let mut connection = asked("HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nBAD\r\n\r\n");
    connection.respond(ok("")).unwrap();
    output(&mut connection);
    assert!(matches!(event(&mut connection), Event::Malformed(Malformed::RequestLine)));
    let mut response = ok("why");
    *response.status_mut() = StatusCode::BAD_REQUEST;
    connection.respond(response).unwrap();
    assert_eq!(
        output(&mut connection),
        "HTTP/1.1 400 Bad Request\r\ncontent-length: 3\r\nconnection: close\r\n\r\nwhy"
    );
}

#[test]
fn a_refusal_of_a_body_still_answers_its_request() {
    let mut connection = asked("HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n");
    connection.read_body(100).unwrap();
    assert!(matches!(event(&mut connection), Event::Malformed(_)));
    let mut response = ok("why");
    *response.status_mut() = StatusCode::BAD_REQUEST;
    connection.respond(response).unwrap();
    let expected = "HTTP/1.1 400 Bad Request\r\ncontent-length: 3\r\nconnection: close\r\n\r\n";
    assert_eq!(output(&mut connection), expected, "no body in answer to HEAD");
}
