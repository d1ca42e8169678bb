//! Exchanges with a daemon that is a thread of the test, over both kinds of sockets.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use vgi_rpc_http::http1::client::{Error as ExchangeError, Received};
use vgi_rpc_tailscale::{LocalApi, LocalApiError, LocalResponse};

const TARGET: &str = "/localapi/v0/whois?addr=100.64.0.10%3A4242&proto=tcp";
const MAX_BODY: usize = 65_536;
const JSON: &str = r#"{"Node":{"StableID":"n123"}}"#;

/// Reads a request's head, answers, and gives the head.
fn serve(mut socket: impl Read + Write, answer: &[u8]) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    // The client may have had enough.
    let _ = socket.write_all(answer);
    String::from_utf8(head).unwrap()
}

/// A daemon on a port, for one request.
struct Daemon {
    endpoint: String,
    thread: JoinHandle<String>,
}

impl Daemon {
    fn new(answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let answer = answer.into();
        let thread = thread::spawn(move || serve(listener.accept().unwrap().0, &answer));
        Self { endpoint, thread }
    }

    fn ask(self, password: Option<&str>) -> (Result<LocalResponse, LocalApiError>, String) {
        let response = LocalApi::http(&self.endpoint, password).unwrap().get(TARGET, MAX_BODY);
        (response, self.thread.join().unwrap())
    }
}

fn answer(status: &str, fields: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn a_request_names_the_daemon_and_has_the_password_where_there_is_one() {
    let ok = || answer("200 OK", "Content-Type: application/json\r\n", JSON);
    let (response, head) = Daemon::new(ok()).ask(Some("pass"));
    let response = response.unwrap();
    assert_eq!((response.status, response.content_type.as_deref()), (200, Some("application/json")));
    assert_eq!(response.body, JSON);
    assert!(!format!("{response:?}").contains("n123"));
    assert!(head.starts_with(&format!("GET {TARGET} HTTP/1.1\r\n")), "{head}");
    let field = |head: &str, name: &str| {
        let values: Vec<_> = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
            .collect();
        assert!(values.len() < 2, "{head}");
        values.first().cloned()
    };
    assert_eq!(field(&head, "host").as_deref(), Some("local-tailscaled.sock"));
    assert_eq!(field(&head, "connection").as_deref(), Some("close"));
    assert_eq!(field(&head, "authorization").as_deref(), Some("Basic OnBhc3M="));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tailscaled.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let daemon = thread::spawn(move || serve(listener.accept().unwrap().0, ok().as_bytes()));
    assert_eq!(LocalApi::unix(&path).get(TARGET, MAX_BODY).unwrap().body, JSON);
    let head = daemon.join().unwrap();
    assert_eq!(field(&head, "host").as_deref(), Some("local-tailscaled.sock"));
    assert_eq!(field(&head, "authorization"), None);
}

#[test]
fn every_status_is_a_response_and_no_redirect_is_followed() {
    for status in ["403 Forbidden", "404 Not Found", "503 Service Unavailable", "302 Found", "204 No Content"]
    {
        let text = match status {
            "204 No Content" => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
            _ => answer(status, "Location: http://127.0.0.1:1/\r\n", "x"),
        };
        let (response, _) = Daemon::new(text).ask(None);
        assert!(status.starts_with(&response.unwrap().status.to_string()), "{status}");
    }
}

#[test]
fn a_content_type_counts_only_if_it_is_the_only_one() {
    for fields in
        ["", "Content-Type: application/json\r\nContent-Type: text/html\r\n", "Content-Type: \u{e9}\r\n"]
    {
        let (response, _) = Daemon::new(answer("200 OK", fields, JSON)).ask(None);
        assert_eq!(response.unwrap().content_type, None, "{fields:?}");
    }
}

#[test]
fn bodies_come_in_every_framing() {
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"Nod\r\n3\r\ne\":\r\n0\r\n\r\n";
    assert_eq!(Daemon::new(chunked).ask(None).0.unwrap().body, "{\"Node\":");
    let to_the_end = format!("HTTP/1.0 200 OK\r\n\r\n{JSON}");
    assert_eq!(Daemon::new(to_the_end).ask(None).0.unwrap().body, JSON);
}

#[test]
fn a_longer_body_than_the_limit_is_no_response() {
    let exact = "x".repeat(MAX_BODY);
    assert_eq!(Daemon::new(answer("200 OK", "", &exact)).ask(None).0.unwrap().body.len(), MAX_BODY);
    let longer = "x".repeat(MAX_BODY + 1);
    let chunked =
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10001\r\n{longer}\r\n0\r\n\r\n");
    for text in [answer("200 OK", "", &longer), chunked, format!("HTTP/1.0 200 OK\r\n\r\n{longer}")] {
        let (response, _) = Daemon::new(text).ask(None);
        let error = response.unwrap_err();
        assert!(matches!(error, LocalApiError::Response(ExchangeError::BodyTooLarge(_))), "{error}");
        assert!(!error.is_transient());
    }
    let head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n", "x".repeat(33 << 10));
    let error = Daemon::new(head).ask(None).0.unwrap_err();
    assert!(matches!(error, LocalApiError::Response(ExchangeError::Malformed(_))), "{error}");
}

#[test]
fn what_is_not_http_is_no_response() {
    let error = Daemon::new("SSH-2.0-x\r\n\r\n").ask(None).0.unwrap_err();
    assert!(matches!(error, LocalApiError::Response(ExchangeError::Malformed(_))), "{error}");
    let cut = answer("200 OK", "", JSON).replace("n123", "n1");
    let error = Daemon::new(cut).ask(None).0.unwrap_err();
    assert!(matches!(error, LocalApiError::Response(ExchangeError::Truncated(Received::Head))), "{error}");
    assert!(!error.is_transient());
}

#[test]
fn a_daemon_that_is_not_there_may_be_there_later() {
    let folder = tempfile::tempdir().unwrap();
    let error = LocalApi::unix(folder.path().join("none")).get(TARGET, MAX_BODY).unwrap_err();
    assert!(matches!(error, LocalApiError::Connect(_)) && error.is_transient(), "{error}");
    let error = Daemon::new("").ask(None).0.unwrap_err();
    assert!(matches!(error, LocalApiError::NoResponse) && error.is_transient(), "{error}");
}

#[test]
fn one_time_limit_holds_for_all_of_it() {
    let limit = Duration::from_millis(200);
    // One that says nothing, and one that always says a little more.
    let slow: [fn(TcpStream); 2] = [
        |mut socket| drop(socket.read(&mut [0; 4096]).and_then(|_| socket.read(&mut [0]))),
        |mut socket| {
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            while socket.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        },
    ];
    for daemon in slow {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let thread = thread::spawn(move || daemon(listener.accept().unwrap().0));
        let begun = Instant::now();
        let error =
            LocalApi::http(&endpoint, None).unwrap().time_limit(limit).get(TARGET, MAX_BODY).unwrap_err();
        assert!(matches!(error, LocalApiError::TimedOut) && error.is_transient(), "{error}");
        let took = begun.elapsed();
        assert!(took >= limit && took < limit * 10, "{took:?}");
        thread.join().unwrap();
    }
    // A unix socket whose backlog is full.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full");
    let listener = UnixListener::bind(&path).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let _first = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let error = LocalApi::unix(&path).time_limit(limit).get(TARGET, MAX_BODY).unwrap_err();
    assert!(matches!(error, LocalApiError::TimedOut), "{error}");
}
