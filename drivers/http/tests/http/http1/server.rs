//! A server's connection from request to request: order, bodies, half-close, limits, closing.

use super::support::{
    MAX_BODY, Way, asked, describe, event, new_connection, ok, output, receive, serve, statuses,
};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Response};
use vgi_rpc_http::http1::server::{Event, Phase, ServerCodec};
use vgi_rpc_http::http1::{BodyKind, Limits, Malformed, Next};

#[test]
fn pipelined_requests_are_answered_one_after_the_other() {
    let mut connection = new_connection();
    receive(&mut connection, b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3");
    for path in ["/1", "/2"] {
        let Event::Head(head, BodyKind::None) = event(&mut connection) else { panic!("no head") };
        assert_eq!(head.uri, path);
        assert!(matches!(connection.poll_event(), Next::NeedCommand), "the next head waits for the response");
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
    let mut connection = ServerCodec::new(limits);
    receive(&mut connection, b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    event(&mut connection);
    connection.respond(Response::new(vec![Bytes::from(vec![b'x'; 100])])).unwrap();
    assert!(matches!(connection.poll_event(), Next::NeedDrain));
    output(&mut connection);
    assert!(matches!(event(&mut connection), Event::Head(..)));
}

#[test]
fn a_client_that_ended_its_side_is_still_answered() {
    let mut connection = new_connection();
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
fn a_request_that_ends_early_is_malformed() {
    for (bytes, is_begun) in [
        (&b"GET / HT"[..], true),
        (b"\r\nG", true),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na", true),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", true),
        (b"\r\n", false),
        (b"", false),
    ] {
        let mut connection = new_connection();
        receive(&mut connection, bytes);
        connection.receive_eof();
        loop {
            match connection.poll_event() {
                Next::Event(Event::Head(..)) => connection.read_body(10).unwrap(),
                Next::Event(Event::Malformed(Malformed::Incomplete)) => {
                    connection.reject(Malformed::Incomplete.status()).unwrap();
                    break;
                }
                Next::Closed => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(connection.buffered_output() > 0, is_begun);
        let answer = output(&mut connection);
        assert!(!is_begun || answer.starts_with("HTTP/1.1 400 ") && answer.contains("connection: close"));
        assert!(matches!(connection.poll_event(), Next::Closed));
        assert!(!connection.should_linger(), "the client sends nothing more");
    }
}

#[test]
fn a_short_unread_body_is_dropped_and_a_long_one_closes() {
    let short =
        &b"PUT /early HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n"[..];
    let transcript = serve(Limits::default(), [short], Way::Receive, false);
    assert_eq!((statuses(&transcript.output), transcript.closed), (vec![200, 200], false));
    assert_eq!(transcript.events[1], "GET / HTTP/1.1 None; host=a", "the body was not part of it");

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
        let mut connection = new_connection();
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
        (format!("{chunked}1\r\nx\r\n{:x}\r\n", MAX_BODY), 413),
        (format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", MAX_BODY + 1), 413),
    ] {
        let transcript = serve(limits.clone(), [request.as_bytes()], Way::Receive, false);
        assert_eq!(statuses(&transcript.output), [expected], "{request}");
        assert_eq!(transcript.closed, expected != 200, "{request}");
    }
}

#[test]
fn closing_waits_for_the_answer_that_is_due_and_no_other() {
    let mut idle = new_connection();
    idle.close_after_response();
    assert!(matches!(idle.poll_event(), Next::Closed));

    let mut unread = new_connection();
    receive(&mut unread, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    unread.close_after_response();
    assert!(matches!(event(&mut unread), Event::Head(..)), "it would arrive without that check");
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

    let mut reading = new_connection();
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
        let mut connection = new_connection();
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
            // Bytes after the last memory stretch are the end of the chunk.
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
fn an_absolute_target_decides_the_host() {
    let mut connection = new_connection();
    receive(&mut connection, b"GET http://real/x HTTP/1.1\r\nHost: claimed\r\n\r\n");
    let Event::Head(head, _) = event(&mut connection) else { panic!("no head") };
    assert_eq!((head.uri.path(), &head.headers["host"]), ("/x", &HeaderValue::from_static("real")));
}

#[test]
fn debug_output_and_errors_have_no_secrets() {
    let mut connection = new_connection();
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
        let mut connection = new_connection();
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

#[test]
fn what_follows_a_split_trailer_section_is_the_next_request() {
    let mut connection = asked("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT");
    connection.read_body(10).unwrap();
    assert!(matches!(connection.poll_event(), Next::NeedInput));
    receive(&mut connection, b": u\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(describe(&event(&mut connection)), "body ");
    connection.respond(ok("")).unwrap();
    assert_eq!(describe(&event(&mut connection)), "GET /2 HTTP/1.1 None; host=a");
}

#[test]
fn memory_is_not_lent_past_a_chunk_that_waits() {
    let mut connection = asked("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\na");
    connection.read_body(100_000).unwrap();
    assert!(matches!(connection.poll_event(), Next::NeedInput));
    receive(&mut connection, b"b");
    assert!(connection.read_buf().is_empty(), "bytes read now would overtake the chunk");
    assert!(matches!(connection.poll_event(), Next::NeedInput));
    assert!(connection.read_buf().len() > 10_000);
}

#[test]
fn a_head_inside_one_chunk_is_shared() {
    let chunk = Bytes::from("\r\nGET / HTTP/1.1\r\nHost: a\r\nUser-Agent: long enough\r\n\r\nG".to_owned());
    let within = chunk.as_ptr().addr()..chunk.as_ptr().addr() + chunk.len();
    let mut connection = new_connection();
    connection.receive(chunk);
    let Event::Head(head, _) = event(&mut connection) else { panic!("no head") };
    assert!(within.contains(&head.headers["user-agent"].as_bytes().as_ptr().addr()));
}
