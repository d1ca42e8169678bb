//! Exchanges with a daemon on a thread of the test, over both kinds of sockets.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use arrow_array::cast::AsArray;
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Schema};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use vgi_rpc_effects::{Perform, Performer};
use vgi_rpc_http::http1::client::{Error as ExchangeError, Received};
use vgi_rpc_protocol::effect::{Completion, FailureReason, Question, Request};
use vgi_rpc_protocol::peer_identity::{PeerAuthentication, Policy, WhoIs, WhoIsResponse, providers};
use vgi_rpc_protocol::service::{Method, Protocol, Service};
use vgi_rpc_tailscale::{LocalApi, LocalApiError, LocalResponse};
use vgi_rpc_unix::{ProxyProtocol, Remote, SocketServer, connect_tcp};

const TARGET: &str = "/localapi/v0/whois?addr=100.64.0.10%3A4242&proto=tcp";
const MAX_BODY: usize = 65_536;
const JSON: &str = r#"{"Node":{"StableID":"n123"},"UserProfile":{"ID":77,"LoginName":"ann@example.com"}}"#;

/// Reads a request's head, responds, and returns the head.
fn serve(mut socket: impl Read + Write, answer: &[u8]) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    // The client may have disconnected.
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

/// Queries a daemon as a server does.
fn ask(daemon: &LocalApi, target: &str) -> Completion {
    let question = WhoIs::new(target);
    daemon.perform(&Request::Question(Question::new(question)), &mut |_| panic!("there is no data"))
}

#[test]
fn a_question_is_completed_whatever_the_status() {
    for status in ["200 OK", "403 Forbidden", "404 Not Found", "502 Bad Gateway"] {
        let daemon = Daemon::new(answer(status, "Content-Type: application/json\r\n", JSON));
        let Completion::Value(value) = ask(&LocalApi::http(&daemon.endpoint, None).unwrap(), TARGET) else {
            panic!("no value")
        };
        let response: &WhoIsResponse = value.downcast_ref().unwrap();
        assert!(status.starts_with(&response.status.to_string()));
        assert_eq!(
            (response.content_type.as_deref(), &*response.body),
            (Some("application/json"), JSON.as_bytes())
        );
    }
}

#[test]
fn failures_say_whether_another_try_is_worth_it() {
    let reason = |completion| match completion {
        Completion::Failed(failure) => failure.reason,
        other => panic!("{other:?}"),
    };
    let at = |daemon: &Daemon| LocalApi::http(&daemon.endpoint, None).unwrap();
    let closes = Daemon::new("");
    assert_eq!(reason(ask(&at(&closes), TARGET)), FailureReason::Unavailable);
    let folder = tempfile::tempdir().unwrap();
    let none = LocalApi::unix(folder.path().join("none"));
    assert_eq!(reason(ask(&none, TARGET)), FailureReason::Unavailable);
    let other = Daemon::new("SSH-2.0-x\r\n\r\n");
    assert_eq!(reason(ask(&at(&other), TARGET)), FailureReason::Refused);
    let long = Daemon::new(answer("200 OK", "", &"x".repeat(MAX_BODY + 1)));
    assert_eq!(reason(ask(&at(&long), TARGET)), FailureReason::Refused);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let daemon = LocalApi::http(&endpoint, None).unwrap().time_limit(Duration::from_millis(50));
    assert_eq!(reason(ask(&daemon, TARGET)), FailureReason::TimedOut);
    assert_eq!(reason(none.perform(&Request::UploadUrls(1), &mut |_| ())), FailureReason::Unsupported);
}

/// A Tailscale Service: the daemon forwards a connection with a header, and is queried for its client.
#[test]
fn a_server_behind_a_header_knows_who_its_client_is() {
    let caller = Method::new("caller")
        .returns(DataType::Utf8)
        .unary(|_, context| Ok(context.auth().principal.clone()));
    let peers = PeerAuthentication::new(
        Policy::primary("tailscale"),
        [providers::tailscale_local_api("tailnet:example.com").unwrap()],
    );
    let protocol = Protocol::new("test.Tailscale.v1").method(caller);
    let service = Service::builder("0123456789ab").protocol(protocol).peer_authentication(peers.unwrap());
    let daemon = Daemon::new(answer("200 OK", "Content-Type: application/json\r\n", JSON));
    let api = LocalApi::http(&daemon.endpoint, None).unwrap();
    let proxy = ProxyProtocol::required(["127.0.0.1".parse().unwrap()]).unwrap();
    let server = SocketServer::new(Arc::new(service.build().unwrap()))
        .effects(Performer::new(api))
        .proxy_protocol(proxy)
        .bind_tcp("127.0.0.1:0")
        .unwrap();
    let handle = server.handle();
    let vgi_rpc_unix::Address::Tcp(address) = *server.address() else { panic!("{server:?}") };
    let server = thread::spawn(|| server.run().unwrap());
    let forwarder = TcpListener::bind("127.0.0.1:0").unwrap();
    let forwarded = forwarder.local_addr().unwrap();
    let forwarder = thread::spawn(move || {
        let mut client = forwarder.accept().unwrap().0;
        let mut server = TcpStream::connect(address).unwrap();
        // 192.0.2.10:4242 to 198.51.100.20:9400.
        let header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x0a\xc6\x33\x64\x14\x10\x92\x24\xb8";
        server.write_all(header).unwrap();
        let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut from, &mut to));
        let _ = std::io::copy(&mut client, &mut server);
    });
    let mut client = connect_tcp(&forwarded.to_string()).unwrap();
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let params = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap();
    // The daemon answers only one query: the connection is not queried again.
    for _ in 0..3 {
        let answer = client.unary(&Remote::new("test.Tailscale.v1").method("caller"), &params).unwrap();
        let principal = answer.column(0).as_string::<i32>().value(0);
        assert_eq!(principal, "peer/tailscale/tailnet%3Aexample.com/user%3A77");
    }
    let asked = daemon.thread.join().unwrap();
    let target = "/localapi/v0/whois?addr=192.0.2.10%3A4242&proto=tcp&dst_ip=198.51.100.20";
    assert!(asked.starts_with(&format!("GET {target} HTTP/1.1\r\n")), "{asked}");
    drop(client);
    forwarder.join().unwrap();
    handle.stop();
    server.join().unwrap();
}

#[test]
fn one_time_limit_holds_for_all_of_it() {
    let limit = Duration::from_millis(200);
    // One sends nothing, one sends a little more each time.
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
