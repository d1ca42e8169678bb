//! Servers that are not running, disappear, or are slow: what is retried, and what the error says.

use super::serving::*;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;
use vgi_rpc_http::client::{CallError, Client, HttpOptions, RequestOptions, fetch};
use vgi_rpc_protocol::http::client::ResponseError;
use vgi_rpc_protocol::ipc::{Metadata, encode_batch};

/// Options without the request for capabilities, so that the first request is the call.
fn options() -> HttpOptions {
    HttpOptions::default().max_response_bytes(None)
}

fn echo(client: &mut Client) -> Result<arrow_array::RecordBatch, CallError> {
    client.unary(&remote().method("echo"), &text("x"))
}

/// Whether the request may have reached the server, and what failed.
fn transport(error: CallError) -> (bool, ErrorKind) {
    match error {
        CallError::Transport(error) => (error.may_have_reached_server(), error.io_kind().unwrap()),
        error => panic!("{error}"),
    }
}

/// Returns an address where nothing listens. Its port is bound at another address, so that no other test gets it.
fn vacant(host: &str) -> (SocketAddr, TcpListener) {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    (SocketAddr::new(host.parse().unwrap(), port), held)
}

#[test]
fn nobody_listens() {
    let (address, _held) = vacant("127.0.0.77");
    let http = options().connect_retries(1).build(&format!("http://{address}")).unwrap();
    let error = echo(&mut http.client()).unwrap_err();
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    assert_eq!(transport(error), (false, ErrorKind::ConnectionRefused));
    // The same if the client must first ask the server something.
    let http = HttpOptions::default().connect_retries(0).build(&format!("http://{address}")).unwrap();
    assert_eq!(transport(echo(&mut http.client()).unwrap_err()), (false, ErrorKind::ConnectionRefused));
}

#[test]
fn an_error_and_its_sources_say_each_thing_once() {
    let (address, _held) = vacant("127.0.0.79");
    let (url, thread) =
        accept(1, |_, mut socket| socket.write_all(b"HTTP/1.1 200 OK\r\n\x1b[2J: \r\n\r\n").unwrap());
    for url in ["http://\u{1b}[2J", "ftp://h", &format!("http://{address}"), &url] {
        let error = fetch(url, http::Request::new(Vec::new()), &RequestOptions::default()).unwrap_err();
        let text = error.to_string();
        assert!(!text.contains(char::is_control), "{text:?}");
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            assert!(!text.contains(&error.to_string()), "{text} says {error} already");
            source = error.source();
        }
    }
    thread.join().unwrap();
}

#[test]
fn the_longest_timeouts_are_timeouts_like_any_other() {
    let server = serve(|builder| builder);
    let forever = Duration::MAX;
    let options = HttpOptions::default().connect_timeout(forever).read_timeout(forever).call_timeout(forever);
    let http = options.build(&server.url).unwrap();
    echo(&mut http.client()).unwrap();
    http.session().close().unwrap();
    let mut options = RequestOptions::default();
    options.connect_timeout = Some(forever);
    options.read_timeout = Some(forever);
    options.timeout = Some(forever);
    let health = format!("{}/health", server.url);
    assert_eq!(fetch(&health, http::Request::new(Vec::new()), &options).unwrap().status(), 200);
    // Without a total timeout, the step's own limit is as long.
    options.timeout = None;
    assert_eq!(fetch(&health, http::Request::new(Vec::new()), &options).unwrap().status(), 200);
}

#[test]
fn a_server_that_comes_later_is_found() {
    let (address, _held) = vacant("127.0.0.78");
    let endpoint = endpoint(|builder| builder);
    let http = options().connect_retries(8).build(&format!("http://{address}")).unwrap();
    let (began, begin) = mpsc::channel();
    let server = thread::spawn(move || {
        begin.recv().unwrap();
        let (socket, _) = TcpListener::bind(address).unwrap().accept().unwrap();
        converse(socket, |head, body| Some(answer(&endpoint, head, body)));
    });
    began.send(()).unwrap();
    echo(&mut http.client()).unwrap();
    drop(http);
    server.join().unwrap();
}

#[test]
fn a_call_that_an_idle_connection_lost_is_not_sent_again() {
    let endpoint = endpoint(|builder| builder);
    let (closed, wait) = mpsc::channel();
    let (url, thread) = accept(2, move |_, socket| {
        let mut answers = 0;
        converse(socket, |head, body| {
            answers += 1;
            (answers == 1).then(|| answer(&endpoint, head, body))
        });
        closed.send(()).unwrap();
    });
    let http = options().build(&url).unwrap();
    let mut client = http.client();
    echo(&mut client).unwrap();
    // The server reads the second request, and closes without a response.
    assert!(wait.try_recv().is_err());
    assert!(transport(echo(&mut client).unwrap_err()).0);
    wait.recv_timeout(PATIENCE).unwrap();
    echo(&mut client).unwrap();
    drop((client, http));
    thread.join().unwrap();
}

#[test]
fn a_connection_that_the_server_closed_while_idle_costs_nothing() {
    let endpoint = endpoint(|builder| builder);
    let (closed, wait) = mpsc::channel();
    let (url, thread) = accept(2, move |index, socket| {
        let mut writer = socket.try_clone().unwrap();
        converse(socket, |head, body| {
            let response = answer(&endpoint, head, body);
            if index > 0 {
                return Some(response);
            }
            // Does not announce it, but closes.
            let (parts, body) = response.into_parts();
            let body = body.concat();
            let mut bytes = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n", body.len()).into_bytes();
            for (name, value) in &parts.headers {
                bytes.extend_from_slice(name.as_str().as_bytes());
                bytes.extend_from_slice(b": ");
                bytes.extend_from_slice(value.as_bytes());
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(&body);
            writer.write_all(&bytes).unwrap();
            writer.shutdown(std::net::Shutdown::Both).unwrap();
            closed.send(()).unwrap();
            None
        });
    });
    let http = options().build(&url).unwrap();
    let mut client = http.client();
    echo(&mut client).unwrap();
    wait.recv_timeout(PATIENCE).unwrap();
    echo(&mut client).unwrap();
    drop((client, http));
    thread.join().unwrap();
}

#[test]
fn what_may_be_repeated_is_repeated_once() {
    let endpoint = endpoint(|builder| builder);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let (url, thread) = accept(2, move |index, socket| {
        let mut answers = 0;
        converse(socket, |head, body| {
            count.fetch_add(1, Ordering::Relaxed);
            answers += 1;
            (index == 1 || answers == 1).then(|| answer(&endpoint, head, body))
        });
    });
    let http = options().build(&url).unwrap();
    http.capabilities().unwrap();
    // HEAD: sent on the idle connection, which the server drops, and resent on a new one.
    http.capabilities().unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    drop(http);
    thread.join().unwrap();
}

#[test]
fn a_server_that_goes_away_may_have_had_the_request() {
    let (url, thread) = accept(2, |index, mut socket| {
        if index == 0 {
            converse(socket, |_, _| None);
        } else {
            let mut first = [0];
            assert_eq!(socket.read(&mut first).unwrap(), 1);
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-le").unwrap();
        }
    });
    let http = options().build(&url).unwrap();
    for _ in 0..2 {
        let (sent, kind) = transport(echo(&mut http.client()).unwrap_err());
        assert!(sent && [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset].contains(&kind), "{kind:?}");
    }
    thread.join().unwrap();
}

#[test]
fn a_server_that_is_silent_is_given_up() {
    let (release, held) = mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let (url, thread) = accept(1, move |_, _socket| {
        // Until the client has timed out.
        let _ = held.lock().unwrap().recv_timeout(PATIENCE);
    });
    let http = options().read_timeout(Duration::from_millis(50)).build(&url).unwrap();
    assert_eq!(transport(echo(&mut http.client()).unwrap_err()), (true, ErrorKind::TimedOut));
    release.send(()).unwrap();
    thread.join().unwrap();
}

#[test]
fn a_server_that_goes_on_for_ever_is_given_up() {
    let (url, thread) = accept(1, |_, mut socket| {
        let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n".to_vec();
        while socket.write_all(&bytes).is_ok() {
            bytes = b"x".to_vec();
            thread::sleep(Duration::from_millis(5));
        }
    });
    let timeouts = options().read_timeout(PATIENCE).call_timeout(Duration::from_millis(200));
    let http = timeouts.build(&url).unwrap();
    assert_eq!(transport(echo(&mut http.client()).unwrap_err()), (true, ErrorKind::TimedOut));
    thread.join().unwrap();
}

#[test]
fn a_server_that_is_not_ready_is_asked_again_with_head_only() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let not_ready = move || {
        count.fetch_add(1, Ordering::Relaxed);
        let mut response = status(503, b"");
        response.headers_mut().insert("retry-after", http::HeaderValue::from_static("0"));
        Some(response)
    };
    let (url, thread) = accept(2, move |_, socket| converse(socket, |_, _| not_ready()));
    let response = fetch(&url, request("GET"), &RequestOptions::default()).unwrap();
    assert_eq!((response.status().as_u16(), asked.swap(0, Ordering::Relaxed)), (503, 1));
    let http = options().build(&url).unwrap();
    let error = http.capabilities().unwrap_err();
    let Some(ResponseError::Foreign(answer)) = error.transport_cause() else { panic!("{error}") };
    assert_eq!((answer.status.as_u16(), asked.swap(0, Ordering::Relaxed)), (503, 3));
    let error = echo(&mut http.client()).unwrap_err();
    assert!(matches!(error.transport_cause(), Some(ResponseError::Foreign(_))), "{error}");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    drop(http);
    thread.join().unwrap();
}

#[test]
fn a_refusal_in_the_middle_of_a_request_is_heard() {
    // More than socket buffers hold, refused after its head: the server does not read the rest.
    let server = serve(|builder| builder.max_request_bytes(Some(100_000)));
    let options = options().compress_requests(false).read_timeout(PATIENCE);
    let mut client = options.build(&server.url).unwrap().client();
    let large = text(&"x".repeat(20_000_000));
    let error = client.unary(&remote().method("echo"), &large).unwrap_err();
    assert!(matches!(&error, CallError::Rpc(_)), "{error}");
    echo(&mut client).unwrap();
}

#[test]
fn an_answer_without_its_end_marker_counts_if_its_framing_proves_it_whole() {
    let result = encode_batch(&text("whole"), &Metadata::new()).unwrap();
    let marker = &result[result.len() - 8..];
    assert_eq!(marker, [255, 255, 255, 255, 0, 0, 0, 0]);
    let body = &result[..result.len() - 8];
    let chunked = [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n0\r\n\r\n"].concat();
    let cases = [
        (format!("content-length: {}\r\n", body.len()), body.to_vec(), true),
        ("transfer-encoding: chunked\r\n".into(), chunked, true),
        ("connection: close\r\n".into(), body.to_vec(), false),
        ("connection: close\r\n".into(), result.to_vec(), true),
        (format!("content-length: {}\r\n", body.len() - 8), body[..body.len() - 8].to_vec(), false),
    ];
    for (framing, sent, is_accepted) in cases {
        let type_ = "content-type: application/vnd.apache.arrow.stream";
        let head = format!("HTTP/1.1 200 OK\r\n{type_}\r\n{framing}\r\n");
        let response = [head.as_bytes(), &sent].concat();
        let (url, thread) = accept(1, move |_, mut socket| {
            let mut request = Vec::new();
            while !request.ends_with(&[255, 255, 255, 255, 0, 0, 0, 0]) {
                let mut buffer = [0; 4096];
                let count = socket.read(&mut buffer).unwrap();
                assert!(count > 0, "the request ends with its marker");
                request.extend_from_slice(&buffer[..count]);
            }
            socket.write_all(&response).unwrap();
        });
        let answered = echo(&mut options().build(&url).unwrap().client());
        assert_eq!(answered.is_ok(), is_accepted, "{framing:?}: {answered:?}");
        thread.join().unwrap();
    }
}

#[test]
fn a_response_over_the_limit_is_not_read_to_its_end() {
    let endpoint = endpoint(|builder| builder);
    let (url, thread) = accept(1, move |_, mut socket| {
        let copy = socket.try_clone().unwrap();
        let mut asked = 0;
        converse(copy, |head, body| {
            asked += 1;
            (asked == 1).then(|| answer(&endpoint, head, body))
        });
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/vnd.apache.arrow.stream\r\n";
        socket.write_all(format!("{head}content-length: 4000000000\r\n\r\n").as_bytes()).unwrap();
        // The client closes.
        while socket.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {}
    });
    let http = HttpOptions::default().max_response_bytes(65_536).build(&url).unwrap();
    let error = echo(&mut http.client()).unwrap_err();
    assert!(matches!(error.transport_cause(), Some(ResponseError::TooLarge { limit: 65_536 })), "{error}");
    thread.join().unwrap();
}
