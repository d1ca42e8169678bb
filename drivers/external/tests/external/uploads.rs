//! Objects uploaded with `PUT`, and stores that refuse them.

use crate::common::server::{Connection, Request, Server, Then, head, respond, until_closed, write};
use crate::common::{LIMIT, SECRET, failure, fetcher, impatient, loopback, options};
use bytes::Bytes;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use vgi_rpc_external::{HttpFetcher, Put, TransferError, TransferErrorKind, Waiting};
use vgi_rpc_protocol::content_coding::Coding;
use vgi_rpc_protocol::external::{Location, UrlPolicy};

fn upload(segments: &[usize]) -> Put {
    let segments = segments.iter().enumerate();
    Put {
        segments: segments.map(|(n, len)| Bytes::from(vec![b'a' + n as u8; *len])).collect(),
        content_type: Some("application/vnd.apache.arrow.stream".parse().unwrap()),
        coding: Some(Coding::Gzip),
    }
}

fn put(fetcher: &HttpFetcher, server: &Server, upload: &Put) -> Result<(), TransferError> {
    let location = Location::parse(&server.url("/key")).unwrap();
    fetcher.put(&location, upload, &loopback(), LIMIT)
}

#[test]
fn the_segments_are_sent_one_after_another_with_their_length() {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let received = bodies.clone();
    let server = Server::start(move |request, connection| {
        received.lock().unwrap().push(request.body(connection));
        respond(connection, [200, 201, 204][request.index % 3], &[], b"")
    });
    let fetcher = fetcher();
    let uploads = [upload(&[3, 0, 1_000_000, 5]), upload(&[]), upload(&[10])];
    for upload in &uploads {
        put(&fetcher, &server, upload).unwrap();
    }
    for ((upload, body), request) in uploads.iter().zip(&*bodies.lock().unwrap()).zip(server.requests()) {
        assert!(*body == upload.segments.concat());
        assert_eq!((&*request.method, &*request.path), ("PUT", "/key"));
        assert_eq!(request.header("content-type"), Some("application/vnd.apache.arrow.stream"));
        assert_eq!(request.header("content-encoding"), Some("gzip"));
        assert_eq!(request.header("content-length"), Some(&*body.len().to_string()));
        assert_eq!(request.header("transfer-encoding"), None);
        assert_eq!(request.header("authorization"), Some("Basic dXNlcjpzM2NyM3Q="));
    }
    assert_eq!((server.count(), server.connections()), (3, 1));
    let shown = format!("{:?} {fetcher:?}", uploads[0]);
    assert!(!shown.contains("aaa") && !shown.contains(SECRET), "{shown}");
}

#[test]
fn a_plain_upload_names_no_type_and_no_coding() {
    let server = Server::start(|request, connection| {
        request.body(connection);
        respond(connection, 204, &[], b"")
    });
    let upload = Put { segments: vec![Bytes::from_static(b"x")], ..Put::default() };
    put(&fetcher(), &server, &upload).unwrap();
    let request = &server.requests()[0];
    assert_eq!((request.header("content-type"), request.header("content-encoding")), (None, None));
}

/// Uploads to a server that always responds like this. Returns the error and the number of requests.
fn fault(
    fetcher: &HttpFetcher,
    answer: impl Fn(&Request, &mut Connection) -> Then + Send + Sync + 'static,
) -> (TransferErrorKind, usize) {
    let server = Server::start(answer);
    let error = failure(put(fetcher, &server, &upload(&[5_000_000])));
    assert_eq!(error.location, format!("http://127.0.0.1:{}/key", server.port));
    assert_eq!(error.attempts as usize, server.count());
    (error.kind, server.count())
}

#[test]
fn statuses_are_tried_again_if_that_may_help() {
    for (status, requests) in
        [(301, 1), (307, 1), (400, 1), (403, 1), (404, 1), (412, 1), (429, 3), (500, 3), (503, 3)]
    {
        let answer = move |request: &Request, connection: &mut Connection| {
            request.body(connection);
            respond(connection, status, &[("Location", "/elsewhere")], SECRET.as_bytes())
        };
        let found = fault(&fetcher(), answer);
        assert_eq!(found, (TransferErrorKind::Status(status), requests));
    }
}

#[test]
fn a_refusal_is_read_although_the_body_was_not() {
    let answer = |_: &Request, connection: &mut Connection| {
        write(connection, (head(403, &[("Content-Length", "0")]) + "\r\n").as_bytes());
        until_closed(connection)
    };
    assert_eq!(fault(&fetcher(), answer), (TransferErrorKind::Status(403), 1));
}

#[test]
fn a_store_that_is_torn_away_is_tried_again() {
    let in_the_body = |_: &Request, connection: &mut Connection| {
        connection.read_exact(&mut [0; 1000]).unwrap();
        Then::Close
    };
    assert!(matches!(fault(&fetcher(), in_the_body), (TransferErrorKind::Broken(_), 3)));
    let before_the_answer = |request: &Request, connection: &mut Connection| {
        request.body(connection);
        write(connection, b"HTTP/1.1 20");
        Then::Close
    };
    assert!(matches!(fault(&fetcher(), before_the_answer), (TransferErrorKind::Broken(_), 3)));
}

#[test]
fn the_body_is_sent_whole_again() {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let received = bodies.clone();
    let server = Server::start(move |request, connection| {
        if request.index == 0 {
            connection.read_exact(&mut [0; 1000]).unwrap();
            return Then::Close;
        }
        received.lock().unwrap().push(request.body(connection));
        respond(connection, 204, &[], b"")
    });
    let upload = upload(&[600_000, 600_000]);
    put(&fetcher(), &server, &upload).unwrap();
    assert_eq!(server.count(), 2);
    assert!(*bodies.lock().unwrap() == [upload.segments.concat()]);
}

#[test]
fn a_store_that_stalls_is_left() {
    let started = Instant::now();
    let silent = |request: &Request, connection: &mut Connection| {
        request.body(connection);
        until_closed(connection)
    };
    assert_eq!(fault(&impatient(), silent), (TransferErrorKind::TimedOut(Waiting::Server), 3));
    // It does not read the body, which is larger than the socket buffers.
    let server = Server::start(|_, connection| {
        std::thread::sleep(Duration::from_secs(3));
        until_closed(connection)
    });
    let error = failure(put(&impatient(), &server, &upload(&[64 << 20])));
    assert_eq!((error.kind, error.attempts), (TransferErrorKind::TimedOut(Waiting::Server), 3));
    assert!(started.elapsed() < LIMIT / 2, "{:?}", started.elapsed());
}

#[test]
fn a_store_that_takes_the_body_slowly_is_given_time() {
    let server = Server::start(|request, connection| {
        let mut left: usize = request.header("content-length").unwrap().parse().unwrap();
        let mut scratch = vec![0; 1 << 20];
        while left > 0 {
            left -= connection.read(&mut scratch[..left.min(1 << 20)]).unwrap();
            std::thread::sleep(Duration::from_millis(25));
        }
        respond(connection, 204, &[], b"")
    });
    let mut options = options();
    options.read_timeout = Duration::from_millis(500);
    let (fetcher, started) = (HttpFetcher::new(options).unwrap(), Instant::now());
    put(&fetcher, &server, &upload(&[32 << 20])).unwrap();
    assert!(started.elapsed() > Duration::from_millis(500), "longer than it may stall");
}

#[test]
fn the_time_limit_holds_for_all_attempts() {
    let server = Server::start(|request, connection| {
        request.body(connection);
        until_closed(connection)
    });
    let location = Location::parse(&server.url("/key")).unwrap();
    let limit = Duration::from_millis(200);
    let error = failure(fetcher().put(&location, &upload(&[10]), &loopback(), limit));
    assert_eq!((error.kind, error.attempts), (TransferErrorKind::TimedOut(Waiting::Overall), 1));
}

#[test]
fn the_policy_holds_for_uploads() {
    let server = Server::start(|_, connection| respond(connection, 204, &[], b""));
    let location = Location::parse(&server.url("/key")).unwrap();
    let error = failure(fetcher().put(&location, &upload(&[10]), &UrlPolicy::default(), LIMIT));
    assert!(matches!(error.kind, TransferErrorKind::UrlRejected(_)), "{error:?}");
    assert_eq!((error.attempts, server.connections()), (1, 0));
}
