//! How a server's connection behaves from request to request: order, `Expect`, HEAD, half-close, limits, closing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use bytes::{Buf, Bytes};
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use std::io::IoSlice;
use support::{Way, describe, serve, statuses};
use vgi_rpc_http::http1::server::{Aborted, Connection, Event, Phase};
use vgi_rpc_http::http1::{BodyKind, BodyTooLarge, CommandError, Limits, Malformed, Next};

fn connection() -> Connection {
    Connection::new(Limits::default())
}

fn receive(connection: &mut Connection, bytes: &'static [u8]) {
    connection.receive(Bytes::from_static(bytes));
}

fn event(connection: &mut Connection) -> Event {
    match connection.poll_event() {
        Next::Event(event) => event,
        other => panic!("an event was expected, not {other:?}"),
    }
}

fn output(connection: &mut Connection) -> String {
    let mut bytes = Vec::new();
    while let Some(outbox) = connection.poll_transmit() {
        bytes.extend(outbox.pop_segment().unwrap());
    }
    String::from_utf8(bytes).unwrap()
}

fn ok(body: &'static str) -> Response<Vec<Bytes>> {
    Response::new(vec![Bytes::from_static(body.as_bytes())])
}

fn with_status(status: StatusCode) -> Response<Vec<Bytes>> {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = status;
    response
}

/// A connection that has delivered the head of a request.
fn asked(request: &'static str) -> Connection {
    let mut connection = connection();
    receive(&mut connection, request.as_bytes());
    assert!(matches!(event(&mut connection), Event::Head(..)));
    connection
}

#[test]
fn pipelined_requests_are_answered_one_after_the_other() {
    let mut connection = connection();
    receive(&mut connection, b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3");
    for path in ["/1", "/2"] {
        let Event::Head(head, BodyKind::None) = event(&mut connection) else { panic!("no head") };
        assert_eq!(head.uri, path);
        assert!(matches!(connection.poll_event(), Next::NeedCommand), "the next head waits for the answer");
        connection.respond(ok(path)).unwrap();
    }
    assert!(matches!(connection.poll_event(), Next::NeedInput));
    assert_eq!(connection.phase(), Phase::Head);
    assert_eq!(
        output(&mut connection),
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/1HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/2"
    );
}

#[test]
fn a_client_that_does_not_wait_for_answers_is_held_back() {
    let mut connection = asked("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut held = 0;
    loop {
        let space = connection.read_buf();
        if space.is_empty() {
            break;
        }
        space.fill(b'x');
        held += space.len();
        let count = space.len();
        connection.advance(count);
        assert!(held <= 64 << 10);
    }
    assert!(matches!(connection.poll_event(), Next::NeedCommand));
}

#[test]
fn a_client_that_does_not_read_answers_is_held_back() {
    let mut limits = Limits::default();
    limits.max_buffered_output = 100;
    let mut connection = Connection::new(limits);
    receive(&mut connection, b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    event(&mut connection);
    connection.respond(Response::new(vec![Bytes::from(vec![b'x'; 100])])).unwrap();
    assert!(matches!(connection.poll_event(), Next::NeedDrain));
    output(&mut connection);
    assert!(matches!(event(&mut connection), Event::Head(..)));
}

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
        assert_eq!(statuses(&output), [413], "the client is not told to go on");
        assert!(output.contains("connection: close"), "nobody knows whether the body comes");
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
fn a_client_that_ended_its_side_is_still_answered() {
    let mut connection = connection();
    receive(
        &mut connection,
        b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nabGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    connection.receive_eof();
    event(&mut connection);
    connection.read_body(10).unwrap();
    assert_eq!(describe(&event(&mut connection)), "body ab");
    connection.respond(ok("1")).unwrap();
    assert!(matches!(event(&mut connection), Event::Head(..)));
    connection.respond(ok("2")).unwrap();
    assert!(matches!(connection.poll_event(), Next::NeedDrain));
    assert_eq!(statuses(&output(&mut connection)), [200, 200]);
    assert!(matches!(connection.poll_event(), Next::Closed));
    assert!(!connection.should_linger());
}

#[test]
fn a_request_that_ends_early_is_aborted() {
    for (bytes, expected) in [
        (&b"GET / HT"[..], Some(Aborted::Head)),
        (b"\r\nG", Some(Aborted::Head)),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na", Some(Aborted::Body)),
        (
            b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n",
            Some(Aborted::Body),
        ),
        (b"\r\n", None),
        (b"", None),
    ] {
        let mut connection = connection();
        receive(&mut connection, bytes);
        connection.receive_eof();
        loop {
            match connection.poll_event() {
                Next::Event(Event::Head(..)) => connection.read_body(10).unwrap(),
                Next::Event(Event::Aborted(place)) => assert_eq!(Some(place), expected),
                Next::Closed => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(connection.buffered_output(), 0);
    }
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
fn a_short_unread_body_is_dropped_and_a_long_one_closes() {
    let short =
        &b"PUT /early HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n"[..];
    let transcript = serve(Limits::default(), [short], Way::Receive, false);
    assert_eq!((statuses(&transcript.output), transcript.closed), (vec![200, 200], false));
    assert_eq!(transcript.events[1], "GET / HTTP/1.1 None; host=a", "the body was no part of it");

    for request in [
        "PUT /early HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n",
        "PUT /early HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        let mut connection = asked(request);
        connection.respond(ok("no")).unwrap();
        assert!(output(&mut connection).contains("connection: close"));
        assert!(matches!(connection.poll_event(), Next::Closed));
        assert!(connection.should_linger());
        for _ in 0..100 {
            let count = connection.read_buf().len();
            assert!(count > 0, "late input is read and dropped");
            connection.advance(count);
        }
        assert!(matches!(connection.poll_event(), Next::Closed));
        connection.receive_eof();
        assert!(!connection.should_linger());
    }
}

#[test]
fn a_connection_that_was_refused_lingers_until_the_client_is_done() {
    for request in ["GET / HTTP/3.0\r\n\r\n", "GET / HTTP/1.1\n"] {
        let mut connection = connection();
        receive(&mut connection, request.as_bytes());
        let Event::Malformed(error) = event(&mut connection) else { panic!("no error") };
        connection.reject(error.status()).unwrap();
        output(&mut connection);
        assert!(matches!(connection.poll_event(), Next::Closed));
        assert!(connection.should_linger());
        connection.receive_eof();
        assert!(!connection.should_linger());
    }
}

#[test]
fn limits_hold() {
    let mut limits = Limits::default();
    limits.max_head_bytes = 1000;
    limits.max_fields = 3;
    limits.max_target_bytes = 50;
    limits.max_trailer_bytes = 30;
    let chunked = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let long_target = "a".repeat(50);
    let many_extensions = format!("1;{}\r\nx\r\n", "e".repeat(400)).repeat(3);
    for (request, expected) in [
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", &long_target[1..]), 200),
        (format!("GET /{long_target} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        ("G".repeat(200), 414),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(1000)), 431),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nX: y\r\n\r\n".to_owned(), 200),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nX: y\r\nX: y\r\n\r\n".to_owned(), 431),
        (format!("{chunked}0\r\nX: y\r\nX: y\r\nX: y\r\n\r\n"), 200),
        (format!("{chunked}0\r\na:\r\nb:\r\nc:\r\nd:\r\n\r\n"), 431),
        (format!("{chunked}0\r\nX: {}", "y".repeat(40)), 431),
        (format!("{chunked}{many_extensions}"), 400),
        (format!("{chunked}1\r\nx\r\n{:x}\r\n", support::MAX_BODY), 413),
        (format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", support::MAX_BODY + 1), 413),
    ] {
        let transcript = serve(limits.clone(), [request.as_bytes()], Way::Receive, false);
        assert_eq!(statuses(&transcript.output), [expected], "{request}");
        assert_eq!(transcript.closed, expected != 200, "{request}");
    }
}

#[test]
fn a_slow_request_can_be_answered_with_408() {
    let mut connection = connection();
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
fn closing_waits_for_the_answer_that_is_due_and_no_other() {
    let mut idle = connection();
    idle.close_after_response();
    assert!(matches!(idle.poll_event(), Next::Closed));

    let mut unread = connection();
    receive(&mut unread, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    unread.close_after_response();
    assert!(matches!(event(&mut unread), Event::Head(..)), "it has come, if nobody had looked");
    unread.respond(ok("last")).unwrap();
    assert!(output(&mut unread).contains("connection: close"));

    let mut dropping = asked("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na");
    dropping.respond(ok("no")).unwrap();
    assert!(matches!(dropping.poll_event(), Next::NeedInput));
    dropping.close_after_response();
    output(&mut dropping);
    assert!(matches!(dropping.poll_event(), Next::Closed));

    let mut busy = asked("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    busy.close_after_response();
    assert!(matches!(busy.poll_event(), Next::NeedCommand));
    busy.respond(ok("last")).unwrap();
    assert!(output(&mut busy).contains("connection: close"));
    assert!(matches!(busy.poll_event(), Next::Closed));

    let mut reading = connection();
    receive(&mut reading, b"GET / HT");
    assert!(matches!(reading.poll_event(), Next::NeedInput));
    reading.close_after_response();
    receive(&mut reading, b"TP/1.1\r\nHost: a\r\n\r\n");
    assert!(matches!(event(&mut reading), Event::Head(..)));
    reading.respond(ok("last")).unwrap();
    assert!(output(&mut reading).contains("connection: close"));
}

#[test]
fn large_bodies_are_read_in_place_and_aligned() {
    const LEN: usize = 3_000_000;
    for head in ["Content-Length: 3000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n2dc6c0\r\n"] {
        let mut connection = connection();
        connection.receive(Bytes::from(format!("PUT / HTTP/1.1\r\nHost: a\r\n{head}xxxxx")));
        event(&mut connection);
        connection.read_body(LEN as u64).unwrap();
        assert!(matches!(connection.poll_event(), Next::NeedInput));
        let mut read = 5;
        let mut last = 0..0;
        while read < LEN {
            let space = connection.read_buf();
            assert!(space.len() > (LEN - read).min(10_000), "{} of {read}", space.len());
            let count = space.len().min(LEN - read);
            // What lies beyond the last stretch of memory is the chunk's end.
            space[..count].fill(b'x');
            last = space.as_ptr().addr()..space[count..].as_ptr().addr();
            connection.advance(count);
            read += count;
            if read < LEN {
                assert!(matches!(connection.poll_event(), Next::NeedInput));
            }
        }
        if head.contains("chunked") {
            receive(&mut connection, b"\r\n0\r\n\r\n");
        }
        let Event::Body(body) = event(&mut connection) else { panic!("no body") };
        assert_eq!((body.len(), body.as_ptr().align_offset(64)), (LEN, 0));
        assert!(body.iter().all(|byte| *byte == b'x'));
        let tail = body[LEN - 10_000..].as_ptr().addr();
        assert!(last.contains(&tail), "the last stretch was read into the body's own memory");
    }
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
fn an_absolute_target_decides_the_host() {
    let mut connection = connection();
    receive(&mut connection, b"GET http://real/x HTTP/1.1\r\nHost: claimed\r\n\r\n");
    let Event::Head(head, _) = event(&mut connection) else { panic!("no head") };
    assert_eq!((head.uri.path(), &head.headers["host"]), ("/x", &HeaderValue::from_static("real")));
}

#[test]
fn debug_output_and_errors_have_no_secrets() {
    let mut connection = connection();
    receive(
        &mut connection,
        b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer hunter2\r\nX-Token: hunter2\r\n",
    );
    assert!(matches!(connection.poll_event(), Next::NeedInput));
    let mut text = format!("{connection:?}");
    receive(&mut connection, b"VGI-Session: hunter2\r\nCookie: hunter2\r\nContent-Length: 7\r\n\r\nhunter2");
    let head = event(&mut connection);
    text.push_str(&format!("{head:?}"));
    let Event::Head(head, _) = head else { panic!("no head") };
    assert_eq!(head.headers[AUTHORIZATION], "Bearer hunter2");
    connection.read_body(100).unwrap();
    text.push_str(&format!("{connection:?}{:?}", connection.poll_event()));
    connection.respond(ok("hunter2")).unwrap();
    text.push_str(&format!("{connection:?}"));
    receive(&mut connection, b"GET / HTTP/1.1\r\nHost: hunter2/\r\n\r\n");
    let Event::Malformed(error) = event(&mut connection) else { panic!("no error") };
    assert_eq!(error, Malformed::InvalidHost);
    text.push_str(&format!("{error:?}{error}"));

    for body in ["Content-Length: 20000\r\n\r\nhunter2", "Transfer-Encoding: chunked\r\n\r\n0\r\nX: hunter2"]
    {
        let mut connection = self::connection();
        connection.receive(Bytes::from(format!("PUT / HTTP/1.1\r\nHost: a\r\n{body}")));
        event(&mut connection);
        connection.read_body(100_000).unwrap();
        assert!(matches!(connection.poll_event(), Next::NeedInput));
        text.push_str(&format!("{connection:?}"));
        connection.receive(Bytes::from("hunter2".repeat(20_000)));
        text.push_str(&format!("{:?}{connection:?}", connection.poll_event()));
    }
    assert!(!text.contains("hunter2"), "{text}");
    let as_numbers = format!("{:?}", b"hunter2");
    assert!(!text.contains(as_numbers.trim_matches(['[', ']'])), "{text}");
}
