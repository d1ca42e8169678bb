//! Responses to requests on a socket: order, persistence, interim responses, refusals, bytes that are not requests.

use super::client::{Client, echo, greet, head, length, post, post_chunked, post_with, zeros};
use super::{Calls, PROTOCOL, Running};
use std::io::Write;
use std::thread;
use vgi_rpc_http::{AllowedHosts, HttpServer, HttpServerError};
use vgi_rpc_protocol::http::auth::{AuthError, AuthFailure, AuthRequest, Reason};
use vgi_rpc_protocol::service::AuthContext;

/// The largest request that [`small`] accepts, in bytes.
const MAX_BODY: usize = 1000;

/// Returns a server that accepts only small bodies.
fn small(calls: &Calls) -> HttpServer {
    HttpServer::new(calls.endpoint().max_request_bytes(Some(MAX_BODY as u64)).build().unwrap())
}

/// Returns a server that refuses every caller.
fn closed(calls: &Calls) -> HttpServer {
    let refuse = |_: &AuthRequest<'_>| -> Result<AuthContext, AuthError> {
        Err(AuthError::Refused(AuthFailure::new(Reason::Unauthorized, "nobody is let in")))
    };
    HttpServer::new(calls.endpoint().authenticate(refuse).build().unwrap())
}

#[test]
fn a_connection_is_kept_unless_somebody_says_otherwise() {
    let running = Running::new(&Calls::default().server());
    let mut client = running.connect();
    for name in ["one", "two", "three"] {
        let answer = client.call(post(&greet(name)));
        assert_eq!(answer.field("connection"), None);
        assert_eq!(answer.string(), format!("Hello, {name}!"));
    }
    let answer = client.call(post_with(&greet("last"), "1.1", &["Connection: close"]));
    assert!(answer.closes());
    assert_eq!(answer.string(), "Hello, last!");
    client.expect_end();
}

#[test]
fn an_old_client_is_answered_and_kept_only_if_it_asks() {
    let running = Running::new(&Calls::default().server());
    let mut client = running.connect();
    for name in ["one", "two"] {
        let answer = client.call(post_with(&greet(name), "1.0", &["Connection: keep-alive"]));
        assert_eq!(answer.field("connection"), Some("keep-alive"));
        assert_eq!(answer.string(), format!("Hello, {name}!"));
    }
    let answer = client.call(post_with(&greet("last"), "1.0", &[]));
    assert!(answer.closes());
    assert_eq!(answer.string(), "Hello, last!");
    client.expect_end();
}

#[test]
fn head_states_the_length_that_get_sends() {
    let running = Running::new(&Calls::default().server());
    let mut client = running.connect();
    let get = client.call("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(get.status, 200);
    assert!(!get.body.is_empty());
    client.send("HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let head = client.head();
    assert_eq!((head.status, head.field("content-length")), (200, get.field("content-length")));
    // A body would appear in place of the next response.
    client.greet("after HEAD");
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    const REQUESTS: usize = 60;
    let calls = Calls::default();
    let running = Running::new(&calls.server());
    let mut client = running.connect();
    let mut requests = Vec::new();
    for number in 0..REQUESTS {
        // Responses of every size, with and without a handler.
        match number % 4 {
            0 => requests.extend(post(&greet(&number.to_string()))),
            1 => requests.extend(post(&zeros(number as i64 * 1000))),
            2 => requests.extend(post_chunked(&echo(&[number as u8; 5000]), 1234)),
            _ => requests.extend(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        }
    }
    let mut writer = client.writer();
    let writing = thread::spawn(move || writer.write_all(&requests).unwrap());
    for number in 0..REQUESTS {
        let answer = client.answer();
        match number % 4 {
            0 => assert_eq!(answer.string(), format!("Hello, {number}!")),
            1 => assert_eq!(answer.binary(), vec![0; number * 1000]),
            2 => assert_eq!(answer.binary(), [number as u8; 5000]),
            _ => assert_eq!(answer.field("content-type"), Some("application/json")),
        }
    }
    writing.join().unwrap();
    client.greet("after them all");
    assert_eq!(calls.made(), REQUESTS * 3 / 4 + 1);
}

#[test]
fn a_client_that_stops_sending_has_its_answers_before_the_end() {
    let running = Running::new(&Calls::default().server());
    let mut client = running.connect();
    let requests: Vec<u8> = ["one", "two", "three"].iter().flat_map(|name| post(&greet(name))).collect();
    client.send(requests);
    client.half_close();
    for name in ["one", "two", "three"] {
        assert_eq!(client.answer().string(), format!("Hello, {name}!"));
    }
    client.expect_end();

    let mut client = running.connect();
    client.greet("before");
    client.half_close();
    client.expect_end();
    running.until_empty();
}

#[test]
fn a_client_that_waits_is_told_to_continue_when_its_body_is_of_use() {
    let running = Running::new(&Calls::default().server());
    let mut client = running.connect();
    for call in [greet("patient"), echo(&[7; 300_000])] {
        client.send(head(&call, "1.1", &[&length(&call), "Expect: 100-continue"]));
        let interim = client.head();
        assert_eq!((interim.status, &interim.fields[..]), (100, &[][..]));
        let answer = client.call(&call.body);
        assert_eq!(answer.status, 200);
        assert!(!answer.closes());
    }
    client.greet("after all that");
}

#[test]
fn a_client_that_waits_is_refused_before_it_sends_a_body() {
    let calls = Calls::default();
    let call = echo(&[7; 2 * MAX_BODY]);
    for (server, status) in [(small(&calls), 413), (closed(&calls), 401)] {
        let running = Running::new(&server);
        let mut client = running.connect();
        client.send(head(&call, "1.1", &[&length(&call), "Expect: 100-continue"]));
        // The first response is final. The client decides whether a body follows, so the connection cannot be kept.
        let answer = client.answer();
        assert_eq!(answer.status, status);
        assert!(answer.closes());
        client.expect_end();
    }
    assert_eq!(calls.made(), 0);
}

#[test]
fn a_body_that_is_too_large_is_refused_and_a_short_rest_keeps_the_connection() {
    let calls = Calls::default();
    let running = Running::new(&small(&calls));
    let mut client = running.connect();
    client.greet("before");
    let answer = client.call(post(&echo(&[7; 30_000])));
    assert_eq!(answer.status, 413);
    assert!(!answer.closes());
    client.greet("after");

    // The server does not read that much more to keep a connection. The client can still send all of it and read the
    // response.
    let large = post(&echo(&vec![7; 1 << 20]));
    let mut writer = client.writer();
    let writing = thread::spawn(move || writer.write_all(&large));
    let answer = client.answer();
    assert_eq!(answer.status, 413);
    assert!(answer.closes());
    client.expect_end();
    writing.join().unwrap().unwrap();
    assert_eq!(calls.made(), 2);
}

#[test]
fn a_chunked_body_is_refused_once_it_is_too_large() {
    let calls = Calls::default();
    let running = Running::new(&small(&calls));
    let mut client = running.connect();
    assert_eq!(client.call(post_chunked(&greet("chunked"), 10)).string(), "Hello, chunked!");
    let answer = client.call(post_chunked(&echo(&[7; 5000]), 100));
    assert_eq!(answer.status, 413);
    // It is unknown how much more would follow.
    assert!(answer.closes());
    client.expect_end();

    // One chunk that announces too much is refused before it arrives.
    let mut client = running.connect();
    client.send(head(&greet("nobody"), "1.1", &["Transfer-Encoding: chunked"]));
    let answer = client.call("7fffffffffffffff\r\n");
    assert_eq!(answer.status, 413);
    client.expect_end();
    assert_eq!(calls.made(), 1);
}

#[test]
fn a_body_shorter_than_declared_reaches_no_handler() {
    let calls = Calls::default();
    let running = Running::new(&calls.server());
    for call in [greet("somebody"), echo(&[7; 300_000])] {
        for sent in [0, 1, call.body.len() / 2, call.body.len() - 1] {
            let mut client = running.connect();
            client.send(head(&call, "1.1", &[&length(&call)]));
            client.send(&call.body[..sent]);
            expect_incomplete(&mut client);
        }
    }
    assert_eq!(calls.made(), 0);
    running.connect().greet("others");
}

#[test]
fn a_head_that_ends_early_is_refused() {
    let running = Running::new(&Calls::default().server());
    let mut client = running.connect();
    client.greet("before");
    client.send("POST /anything HTTP/1.1\r\nHost: local");
    expect_incomplete(&mut client);
}

/// Ends the sending side within a request, which is still answered.
#[track_caller]
fn expect_incomplete(client: &mut Client) {
    client.half_close();
    let answer = client.answer();
    assert_eq!(answer.status, 400);
    assert!(answer.closes());
    client.expect_end();
}

#[test]
fn bytes_beyond_the_declared_length_are_no_part_of_the_request() {
    let running = Running::new(&Calls::default().server());
    let mut client = running.connect();
    let mut request = post(&greet("exact"));
    request.extend_from_slice(b"and more\r\n\r\n");
    client.send(request);
    assert_eq!(client.answer().string(), "Hello, exact!");
    let refusal = client.answer();
    assert_eq!(refusal.status, 400);
    assert!(refusal.closes());
    client.expect_end();
}

#[test]
fn a_body_cut_anywhere_by_its_length_is_answered_as_a_failure_and_not_run() {
    let calls = Calls::default();
    let running = Running::new(&calls.server());
    let call = greet("somebody");
    let mut client = running.connect();
    for length in [0, 1, 8, call.body.len() / 2] {
        client.send(head(&call, "1.1", &[&format!("Content-Length: {length}")]));
        let answer = client.call(&call.body[..length]);
        assert_eq!(answer.status, 400, "with {length} bytes");
        assert!(!answer.closes(), "with {length} bytes");
    }
    assert_eq!(calls.made(), 0);
    client.greet("after them");
}

#[test]
fn bytes_that_two_readers_could_read_differently_are_refused() {
    let calls = Calls::default();
    let running = Running::new(&calls.server());
    let call = greet("smuggled");
    let (target, length) = (format!("/{PROTOCOL}/greet"), call.body.len());
    let body = "0\r\n\r\n";
    let fields = [
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {length}"),
        format!("Content-Length: {length}\r\nContent-Length: {length}"),
        format!("Content-Length: 5\r\nContent-Length: {length}"),
        format!("Content-Length: {length}, {length}"),
        format!("Content-Length: +{length}"),
        format!("Content-Length: 0x{length:x}"),
        "Content-Length: -1".to_owned(),
        "Content-Length: 99999999999999999999".to_owned(),
        format!("Content-Length : {length}"),
        format!(" Content-Length: {length}"),
        format!("X: y\r\n Content-Length: {length}"),
        format!("X: y\nContent-Length: {length}"),
        format!("X: y\rContent-Length: {length}"),
        format!("X: y\0\r\nContent-Length: {length}"),
        format!("Host: other\r\nContent-Length: {length}"),
        "Transfer-Encoding: chunked, chunked".to_owned(),
        "Transfer-Encoding: chunked, identity".to_owned(),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked".to_owned(),
        "Transfer-Encoding: \u{b}chunked".to_owned(),
    ];
    for fields in fields {
        let mut client = running.connect();
        client.greet("before");
        let mut request =
            format!("POST {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n{body}").into_bytes();
        // What is hidden after it is never parsed. It is sent in the same write, since the server soon stops reading from
        // a failed connection.
        request.extend(post(&call));
        client.send(request);
        let answer = client.answer();
        assert_eq!(answer.status, 400, "{fields:?}");
        assert!(answer.closes(), "{fields:?}");
        client.expect_end();
    }
    let chunks =
        ["5\r\nhello0\r\n\r\n", "5;\n", "-1\r\n", "0x5\r\n", "10000000000000000\r\n", "\r\n", "5\nhello"];
    for chunk in chunks {
        let mut client = running.connect();
        let mut request = head(&call, "1.1", &["Transfer-Encoding: chunked"]);
        request.extend_from_slice(chunk.as_bytes());
        request.extend(post(&call));
        client.send(request);
        let answer = client.answer();
        assert_eq!(answer.status, 400, "{chunk:?}");
        assert!(answer.closes(), "{chunk:?}");
        client.expect_end();
    }
    let heads =
        ["GET  / HTTP/1.1", "GET / HTTP/1.1 ", "GET /\t HTTP/1.1", "/ HTTP/1.1", "GET / HTTP/1.1\nHost: x"];
    for head in heads {
        let mut client = running.connect();
        let answer = client.call(format!("{head}\r\nHost: localhost\r\n\r\n"));
        assert_eq!(answer.status, 400, "{head:?}");
        client.expect_end();
    }
    assert_eq!(calls.made(), 20, "one before each, and none that was hidden");
}

/// Returns the status of a request for `path` with this host.
fn status_for(server: &HttpServer, path: &str, host: &str) -> u16 {
    let running = Running::new(server);
    running.connect().call(format!("GET {path} HTTP/1.1\r\n{host}\r\n")).status
}

#[test]
fn a_host_that_is_not_the_servers_is_misdirected_before_anything_runs() {
    let calls = Calls::default();
    let running = Running::new(&calls.server().route(|_| panic!("a route was called")));
    for path in [&format!("/{PROTOCOL}/greet"), "/", "/health", "/nothing", "*", "http://evil.example/health"]
    {
        let call = greet("rebound");
        let method = if path == "*" { "OPTIONS" } else { "POST" };
        // A target in absolute form replaces the host.
        let host = if path.starts_with("http") { "localhost" } else { "evil.example:80" };
        let length = call.body.len();
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n")
                .into_bytes();
        request.extend_from_slice(&call.body);
        let answer = running.connect().call(request);
        assert_eq!(answer.status, 421, "{path}");
        let body = String::from_utf8_lossy(&answer.body);
        assert!(body.contains("got \"evil.example\": ") && body.contains("--allowed-hosts"), "{body}");
    }
    for (host, named) in
        [("[2001:db8:0::1]:80", "got \"[2001:db8::1]\": "), (&"a".repeat(300), "got another: ")]
    {
        let answer = running.connect().call(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        let body = String::from_utf8_lossy(&answer.body);
        assert!(answer.status == 421 && body.contains(named), "{host}: {body}");
    }
    assert_eq!(calls.made(), 0);
}

#[test]
fn the_hosts_that_are_served_can_be_set() {
    let calls = Calls::default();
    let evil = "Host: evil.example\r\n";
    let health = |server: &HttpServer, host: &str| status_for(server, "/health", host);
    let server = calls.server();
    for host in ["Host: localhost\r\n", "Host: 127.0.0.1:1\r\n", "Host: [::1]\r\n", "Host:\r\n"] {
        assert_eq!(health(&server, host), 200, "{host}");
    }
    assert_eq!(health(&server, evil), 421);
    assert_eq!(status_for(&server, "http://localhost/health", evil), 200, "the target replaces the host");
    let old = Running::new(&server).connect().call("GET /health HTTP/1.0\r\n\r\n").status;
    assert_eq!(old, 200, "HTTP/1.0 needs no host");
    assert_eq!(health(&closed(&calls), evil), 200, "the page's request has no credential");
    assert_eq!(health(&server.clone().allowed_hosts(AllowedHosts::Any), evil), 200);
    let listed = server.allowed_hosts(AllowedHosts::Listed(vec!["Public.example".into()]));
    assert_eq!(health(&listed, "Host: public.example:443\r\n"), 200);
    assert_eq!(health(&listed, "Host: 127.0.0.1\r\n"), 200, "the bound address");
    assert_eq!(health(&listed, "Host: localhost\r\n"), 421);
    let wrong = listed.allowed_hosts(AllowedHosts::Listed(vec!["public.example:443".into()]));
    assert!(matches!(wrong.bind_tcp("127.0.0.1:0"), Err(HttpServerError::AllowedHost(_))));
}

#[test]
fn a_media_type_with_a_parameter_and_capitals_is_served() {
    let running = Running::new(&Calls::default().server());
    let call = greet("typed");
    let mut request = format!(
        "POST /{PROTOCOL}/greet HTTP/1.2\r\nHost: localhost\r\n\
         Content-Type: Application/VND.apache.arrow.stream; charset=utf-8\r\nContent-Length: {}\r\n\r\n",
        call.body.len()
    )
    .into_bytes();
    request.extend_from_slice(&call.body);
    assert_eq!(running.connect().call(request).string(), "Hello, typed!");
}

#[test]
fn a_head_beyond_the_limits_is_refused() {
    let running = Running::new(&Calls::default().server());
    let long = "a".repeat(100_000);
    for (request, status) in [
        (format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"), 414),
        (format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", &long[..9000]), 414),
        (format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {long}\r\n\r\n"), 431),
        (format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(200)), 431),
    ] {
        let mut client = running.connect();
        let answer = client.call(request);
        assert_eq!(answer.status, status);
        assert!(answer.closes());
        client.expect_end();
    }
}
