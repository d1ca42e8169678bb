//! A client's connection: written requests, responses of every framing, reuse, and failures.

use bytes::{Buf, Bytes};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Method, Request, Response, Version};
use vgi_rpc_http::http1::client::{ClientCodec, Error, Event, Received};
use vgi_rpc_http::http1::{BodyKind, BodyTooLarge, CommandError, Limits, Malformed, Next, server};

const MAX_BODY: u64 = 1000;

fn request(method: Method, uri: &str, body: &'static str) -> Request<Vec<Bytes>> {
    let segments = if body.is_empty() { Vec::new() } else { vec![Bytes::from_static(body.as_bytes())] };
    Request::builder().method(method).uri(uri).body(segments).unwrap()
}

fn output(connection: &mut ClientCodec) -> String {
    let mut bytes = Vec::new();
    while let Some(outbox) = connection.poll_transmit() {
        bytes.extend(outbox.pop_segment().unwrap());
    }
    String::from_utf8(bytes).unwrap()
}

/// Returns a connection that has sent a request.
fn sent(method: Method) -> ClientCodec {
    let mut connection = ClientCodec::new(Limits::default());
    connection.send(request(method, "http://a/", ""), MAX_BODY).unwrap();
    output(&mut connection);
    connection
}

/// The result of an exchange: the response in one line, and whether the connection can be reused.
type Outcome = Result<(String, bool), Error>;

/// Feeds a response in portions of `portion` bytes, optionally followed by the end.
fn outcome(method: Method, response: &[u8], portion: usize, eof: bool) -> Option<Outcome> {
    let mut connection = sent(method);
    let mut text = String::new();
    let mut portions = response.chunks(portion);
    let mut eof = eof;
    loop {
        match connection.poll_event() {
            Err(error) => {
                assert_eq!(connection.poll_event().unwrap_err(), error, "the error stays");
                assert!(!connection.can_reuse());
                return Some(Err(error));
            }
            Ok(Next::Event(Event::Head(head, body))) => text = format!("{} {body:?}", head.status.as_u16()),
            Ok(Next::Event(Event::Body(body))) => {
                assert!(body.is_empty() || body.as_ptr().align_offset(64) == 0);
                let text = format!("{text} {}", String::from_utf8_lossy(&body));
                return Some(Ok((text.trim_end().to_owned(), connection.can_reuse())));
            }
            Ok(Next::NeedInput) => match portions.next() {
                Some(portion) => connection.receive(Bytes::copy_from_slice(portion)),
                None if std::mem::take(&mut eof) => connection.receive_eof(),
                None => return None,
            },
            Ok(other) => panic!("{other:?}"),
        }
    }
}

#[track_caller]
fn check(method: Method, response: &[u8], eof: bool, expected: Option<Outcome>) {
    for portion in [response.len().max(1), 1, 3, 7] {
        assert_eq!(outcome(method.clone(), response, portion, eof), expected, "in portions of {portion}");
    }
}

fn good(text: &str, reusable: bool) -> Option<Outcome> {
    Some(Ok((text.to_owned(), reusable)))
}

#[test]
fn requests_are_written_as_their_parts_say() {
    let mut connection = ClientCodec::new(Limits::default());
    connection.send(request(Method::POST, "http://a:80/x?y=z", "hello"), MAX_BODY).unwrap();
    assert_eq!(
        output(&mut connection),
        "POST /x?y=z HTTP/1.1\r\nhost: a:80\r\ncontent-length: 5\r\n\r\nhello"
    );
    let other = request(Method::GET, "http://a/", "");
    assert_eq!(connection.send(other, MAX_BODY), Err(CommandError::NotReady));

    for (method, uri, expected) in [
        (Method::GET, "http://a", "GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
        (Method::GET, "http://a?q", "GET /?q HTTP/1.1\r\nhost: a\r\n\r\n"),
        (Method::POST, "https://a/", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"),
        (Method::DELETE, "http://[::1]:8/s", "DELETE /s HTTP/1.1\r\nhost: [::1]:8\r\n\r\n"),
    ] {
        let mut connection = ClientCodec::new(Limits::default());
        connection.send(request(method, uri, ""), MAX_BODY).unwrap();
        assert_eq!(output(&mut connection), expected);
    }

    let mut connection = ClientCodec::new(Limits::default());
    let mut asterisk = request(Method::OPTIONS, "*", "");
    asterisk.headers_mut().insert(HOST, HeaderValue::from_static("a"));
    asterisk.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    connection.send(asterisk, MAX_BODY).unwrap();
    assert_eq!(output(&mut connection), "OPTIONS * HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
}

#[test]
fn requests_that_cannot_be_sent_leave_no_trace() {
    let mut connection = ClientCodec::new(Limits::default());
    let with = |name: HeaderName, value: &'static str| {
        let mut request = request(Method::POST, "http://a/", "x");
        request.headers_mut().insert(name, HeaderValue::from_static(value));
        request
    };
    for (request, expected) in [
        (request(Method::CONNECT, "a:80", ""), CommandError::Method(Method::CONNECT)),
        (request(Method::GET, "/x", ""), CommandError::Host),
        (request(Method::GET, "http://u@a/x", ""), CommandError::Host),
        (with(HOST, "a/b"), CommandError::Host),
        (with(CONTENT_LENGTH, "1"), CommandError::FramingField(CONTENT_LENGTH)),
        (with(TRANSFER_ENCODING, "chunked"), CommandError::FramingField(TRANSFER_ENCODING)),
        (with(EXPECT, "100-continue"), CommandError::FramingField(EXPECT)),
    ] {
        assert_eq!(connection.send(request, MAX_BODY), Err(expected));
        assert!(connection.can_reuse());
    }
}

#[test]
fn bodies_end_where_their_framing_says() {
    for (response, expected) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"[..], good("200 Length(3) abc", true)),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", good("200 Length(0)", true)),
        (b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", good("200 Length(0)", true)),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n1\r\nc\r\n0\r\nT: u\r\n\r\n",
            good("200 Chunked abc", true),
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", good("204 None", true)),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", good("304 None", true)),
        (
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc",
            good("200 Length(3) abc", false),
        ),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", good("200 Length(3) abc", false)),
        (
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc",
            good("200 Length(3) abc", true),
        ),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
            good("200 Length(1) a", true),
        ),
        (b"HTTP/1.1 200 OK\r\n\r\nabc", None),
    ] {
        check(Method::GET, response, false, expected);
    }
    check(Method::GET, b"HTTP/1.1 200 OK\r\n\r\nabc", true, good("200 UntilEof abc", false));
    check(Method::HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", false, good("200 None", true));
    check(Method::HEAD, b"HTTP/1.1 200 OK\r\n\r\n", false, good("200 None", true));
}

#[test]
fn truncation_says_how_much_had_come() {
    for (response, received) in [
        (&b""[..], Received::Nothing),
        (b"H", Received::SomeOfHead),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", Received::SomeOfHead),
        (b"HTTP/1.1 100 Continue\r\n\r\n", Received::SomeOfHead),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", Received::Head),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n", Received::Head),
    ] {
        check(Method::GET, response, true, Some(Err(Error::Truncated(received))));
    }
}

#[test]
fn what_two_readers_could_take_differently_is_an_error() {
    for (response, expected) in [
        (
            &b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"[..],
            Malformed::LengthAndCoding,
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
            Malformed::RepeatedContentLength,
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\n", Malformed::InvalidContentLength),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Malformed::UnknownTransferCoding),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, x\r\n\r\n", Malformed::InvalidTransferEncoding),
        (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Malformed::CodingInHttp10),
        (b"HTTP/1.1 200 OK\nContent-Length: 3\r\n\r\n", Malformed::BareLineFeed),
        (b"HTTP/1.1 200 OK\r\n X: y\r\n\r\n", Malformed::FoldedField),
        (b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n", Malformed::FieldName),
        (b"HTTP/1.1 20 OK\r\n\r\n", Malformed::StatusLine),
        (b"HTTP/1.1 600 OK\r\n\r\n", Malformed::StatusLine),
        (b"HTTP/1.1  200 OK\r\n\r\n", Malformed::StatusLine),
        (b"\r\nHTTP/1.1 200 OK\r\n\r\n", Malformed::StatusLine),
        (b"ICY 200 OK\r\n\r\n", Malformed::StatusLine),
        (b"HTTP/2.0 200 OK\r\n\r\n", Malformed::Version { major: 2, minor: 0 }),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx", Malformed::ChunkSize),
    ] {
        check(Method::GET, response, false, Some(Err(Error::Malformed(expected))));
    }
    check(
        Method::HEAD,
        b"HTTP/1.1 200 OK\r\nContent-Length: 3, 4\r\n\r\n",
        false,
        Some(Err(Error::Malformed(Malformed::RepeatedContentLength))),
    );
    check(
        Method::GET,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        false,
        Some(Err(Error::SwitchedProtocols)),
    );
}

#[test]
fn limits_hold() {
    let too_large = Some(Err(Error::BodyTooLarge(BodyTooLarge { max: MAX_BODY })));
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n3e8\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1001)),
    ] {
        check(Method::GET, response.as_bytes(), false, too_large.clone());
    }
    let exact = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1000));
    check(Method::GET, exact.as_bytes(), true, good(&format!("200 UntilEof {}", "x".repeat(1000)), false));
    let interim = "HTTP/1.1 102 Processing\r\n\r\n".repeat(17);
    check(Method::GET, interim.as_bytes(), true, Some(Err(Error::TooManyInterimResponses { max: 16 })));
    let head = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(64 << 10));
    check(
        Method::GET,
        head.as_bytes(),
        false,
        Some(Err(Error::Malformed(Malformed::HeadTooLarge { max: 64 << 10 }))),
    );
}

#[test]
fn the_head_comes_before_the_error_that_its_body_is_too_large() {
    let mut connection = sent(Method::GET);
    connection.receive(Bytes::from_static(b"HTTP/1.1 503 Busy\r\nContent-Length: 5000\r\n\r\n"));
    let Ok(Next::Event(Event::Head(head, BodyKind::Length(5000)))) = connection.poll_event() else {
        panic!("no head")
    };
    assert_eq!(head.status.as_u16(), 503);
    assert_eq!(connection.poll_event().unwrap_err(), Error::BodyTooLarge(BodyTooLarge { max: MAX_BODY }));
    assert_eq!(connection.received(), Received::Head);
}

#[test]
fn a_folded_field_of_a_response_is_read_with_spaces() {
    let response = b"HTTP/1.2 200 OK\r\nX: a\r\n  b\r\n\t\r\nContent-Length:\r\n 3\r\nY: c\r\n\r\nabc";
    for bytes in [vec![&response[..]], response.chunks(1).collect()] {
        let mut connection = sent(Method::GET);
        let mut head = None;
        let mut body = None;
        for chunk in bytes {
            connection.receive(Bytes::copy_from_slice(chunk));
            while let Next::Event(event) = connection.poll_event().unwrap() {
                match event {
                    Event::Head(parts, kind) => head = Some((parts, kind)),
                    Event::Body(whole) => body = Some(whole),
                }
            }
        }
        let (parts, kind) = head.unwrap();
        assert_eq!((parts.version, kind), (Version::HTTP_11, BodyKind::Length(3)));
        let words: Vec<&str> = parts.headers["x"].to_str().unwrap().split_ascii_whitespace().collect();
        assert_eq!((words, &parts.headers["y"]), (vec!["a", "b"], &HeaderValue::from_static("c")));
        assert_eq!(body.unwrap(), "abc");
    }
    // A length that turns out to be two numbers once unfolded, and a fold in the trailers.
    let mut connection = sent(Method::GET);
    connection.receive(Bytes::from_static(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 0\r\n\r\n"));
    assert!(matches!(connection.poll_event(), Err(Error::Malformed(_))));
    let mut connection = sent(Method::GET);
    let chunked =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked\r\n\r\n1\r\na\r\n0\r\nT: u\r\n v\r\n\r\n";
    connection.receive(Bytes::from_static(chunked));
    assert!(matches!(connection.poll_event(), Ok(Next::Event(Event::Head(_, BodyKind::Chunked)))));
    assert!(matches!(connection.poll_event(), Ok(Next::Event(Event::Body(body))) if body == "a"));
}

#[test]
fn a_connection_is_reused_only_if_it_is_clean() {
    let mut connection = sent(Method::GET);
    assert!(!connection.can_reuse());
    connection.receive(Bytes::from_static(b"HTTP/1.1 204 No Content\r\n\r\n"));
    while let Ok(Next::Event(_)) = connection.poll_event() {}
    assert!(connection.can_reuse());
    assert!(matches!(connection.poll_event(), Ok(Next::NeedCommand)));
    connection.send(request(Method::GET, "http://a/2", ""), MAX_BODY).unwrap();
    assert_eq!(connection.received(), Received::Nothing);
    output(&mut connection);
    connection.receive(Bytes::from_static(b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n"));
    while let Ok(Next::Event(_)) = connection.poll_event() {}
    assert!(!connection.can_reuse(), "an unrequested response would answer the next request");
    assert_eq!(connection.send(request(Method::GET, "http://a/", ""), MAX_BODY), Err(CommandError::NotReady));
    assert_eq!(connection.poll_event().unwrap_err(), Error::Unsolicited);

    let mut connection = ClientCodec::new(Limits::default());
    connection.receive_eof();
    assert!(!connection.can_reuse());
    assert!(matches!(connection.poll_event(), Ok(Next::Closed)));
}

#[test]
fn an_answer_to_half_a_request_ends_the_connection() {
    let mut connection = ClientCodec::new(Limits::default());
    connection.send(request(Method::POST, "http://a/", "body"), MAX_BODY).unwrap();
    connection.poll_transmit().unwrap().advance(10);
    connection.receive(Bytes::from_static(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"));
    while let Ok(Next::Event(_)) = connection.poll_event() {}
    assert!(matches!(connection.poll_event(), Ok(Next::Closed)));
    assert!(connection.poll_transmit().is_none(), "the rest is not sent");
    assert!(!connection.can_reuse());
}

/// Both machines, back to back: requests and responses of many sizes over one connection.
#[test]
fn the_two_roles_understand_each_other() {
    let mut client = ClientCodec::new(Limits::default());
    let mut server = server::ServerCodec::new(Limits::default());
    for size in [0, 1, 100, 5_000, 70_000, 2_000_000] {
        let payload = Bytes::from((0..size).map(|index| (index % 251) as u8).collect::<Vec<u8>>());
        let segments = vec![payload.slice(..size / 3), payload.slice(size / 3..)];
        client.send(Request::post("http://a/echo").body(segments).unwrap(), u64::MAX).unwrap();
        let mut echoed = None;
        while echoed.is_none() {
            while let Some(outbox) = client.poll_transmit() {
                let space = server.read_buf();
                let count = space.len().min(outbox.chunk().len());
                assert!(count > 0);
                outbox.copy_to_slice(&mut space[..count]);
                server.advance(count);
                match server.poll_event() {
                    Next::Event(server::Event::Head(..)) => server.read_body(u64::MAX).unwrap(),
                    Next::Event(server::Event::Body(body)) => {
                        server.respond(Response::new(vec![body])).unwrap()
                    }
                    _ => {}
                }
            }
            match server.poll_event() {
                Next::Event(server::Event::Body(body)) => server.respond(Response::new(vec![body])).unwrap(),
                other => assert!(!matches!(other, Next::Event(_)), "{other:?}"),
            }
            while let Some(outbox) = server.poll_transmit() {
                let space = client.read_buf();
                let count = space.len().min(outbox.chunk().len());
                assert!(count > 0);
                outbox.copy_to_slice(&mut space[..count]);
                client.advance(count);
                while let Next::Event(event) = client.poll_event().unwrap() {
                    if let Event::Body(body) = event {
                        echoed = Some(body);
                    }
                }
            }
        }
        assert_eq!(echoed, Some(payload));
        assert!(client.can_reuse());
    }
}
