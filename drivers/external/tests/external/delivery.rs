//! Objects that arrive whole, and ones that do not: the result, and the number of attempts.

use crate::common::objects::{batch, gzip, object, resolution, resolution_with, zstd};
use crate::common::server::{Connection, Server, Then, head, respond, trickle, until_closed, write};
use crate::common::{LIMIT, failure, fetcher, impatient, loopback, options, resolve_kind};
use std::time::{Duration, Instant};
use vgi_rpc_external::{HttpFetcher, TransferErrorKind, Waiting};
use vgi_rpc_protocol::effect::{Failure, FailureReason};
use vgi_rpc_protocol::external::{Digest, ObjectLimits, ResolveErrorKind};
use vgi_rpc_protocol::wire::keys;

fn object_limits(max_fetch_bytes: u64, max_decompressed_bytes: u64) -> ObjectLimits {
    ObjectLimits { max_fetch_bytes, max_decompressed_bytes }
}

#[test]
fn whole_objects_are_resolved_in_every_coding_and_framing() {
    let server = Server::start(|request, connection| {
        let object = object(50_000);
        let chunked = |bytes: &[u8]| {
            let mut body = Vec::new();
            for chunk in bytes.chunks(10_000) {
                body.extend(format!("{:x}\r\n", chunk.len()).bytes());
                body.extend(chunk);
                body.extend(b"\r\n");
            }
            body.extend(b"0\r\n\r\n");
            body
        };
        match &*request.path {
            "/plain" => respond(connection, 200, &[], &object),
            "/zstd" => respond(connection, 200, &[("Content-Encoding", "zstd")], &zstd(&object)),
            "/gzip" => respond(connection, 200, &[("Content-Encoding", "GZIP")], &gzip(&object)),
            "/chunked" => {
                write(connection, head(200, &[("Transfer-Encoding", "chunked\r\n")]).as_bytes());
                write(connection, &chunked(&object))
            }
            "/until-closed" => {
                write(connection, (head(200, &[]) + "\r\n").as_bytes());
                write(connection, &object);
                Then::Close
            }
            other => panic!("{other}"),
        }
    });
    let fetcher = fetcher();
    for path in ["/plain", "/zstd", "/gzip", "/chunked", "/until-closed"] {
        let url = server.url(path);
        let resolved = fetcher.resolve(resolution(&url), &loopback(), LIMIT).expect(path);
        assert_eq!(resolved.batch, batch(50_000), "{path}");
        assert_eq!(resolved.logs.len(), 1);
        assert_eq!(resolved.metadata.get_str(keys::LOCATION_SOURCE), Some(&*url));
        let millis = resolved.metadata.get_str(keys::LOCATION_FETCH_MS).unwrap();
        assert!(millis.parse::<f64>().unwrap() > 0.0, "{millis}");
    }
    for request in server.requests() {
        assert_eq!((&*request.method, request.header("accept-encoding")), ("GET", Some("zstd, gzip")));
        assert_eq!(request.header("authorization"), Some("Basic dXNlcjpzM2NyM3Q="));
    }
    assert_eq!(server.count(), 5);
}

#[test]
fn a_connection_is_used_again_and_its_end_costs_no_attempt() {
    let server = Server::start(|request, connection| {
        if request.index == 2 {
            // Like a server whose timeout has expired.
            return Then::Close;
        }
        respond(connection, 200, &[], &object(10))
    });
    let mut once = options();
    once.retries = 0;
    let fetcher = HttpFetcher::new(once).unwrap();
    for connections in [1, 1, 2] {
        let resolved = fetcher.resolve(resolution(&server.url("/")), &loopback(), LIMIT).unwrap();
        assert_eq!((resolved.batch, server.connections()), (batch(10), connections));
    }
    let mut none = options();
    none.idle_connections = 0;
    let fetcher = HttpFetcher::new(none).unwrap();
    for connections in [3, 4] {
        fetcher.resolve(resolution(&server.url("/")), &loopback(), LIMIT).unwrap();
        assert_eq!(server.connections(), connections);
    }
}

#[test]
fn what_was_cut_is_tried_again_and_no_log_is_repeated() {
    let server = Server::start(|request, connection| {
        let object = object(10_000);
        if request.index == 2 {
            return respond(connection, 200, &[], &object);
        }
        let head = head(200, &[("Content-Length", &object.len().to_string())]) + "\r\n";
        write(connection, head.as_bytes());
        write(connection, &object[..60_000]);
        Then::Close
    });
    let resolved = fetcher().resolve(resolution(&server.url("/")), &loopback(), LIMIT).unwrap();
    assert_eq!((resolved.batch, resolved.logs.len(), server.count()), (batch(10_000), 1, 3));
}

/// Fetches from a server that always responds like this. Returns the error and the number of requests.
fn fault(answer: impl Fn(&mut Connection) -> Then + Send + Sync + 'static) -> (TransferErrorKind, usize) {
    fault_of(&fetcher(), answer)
}

fn fault_of(
    fetcher: &HttpFetcher,
    answer: impl Fn(&mut Connection) -> Then + Send + Sync + 'static,
) -> (TransferErrorKind, usize) {
    let server = Server::start(move |_, connection| answer(connection));
    let error = failure(fetcher.resolve(resolution(&server.url("/object")), &loopback(), LIMIT));
    assert_eq!(error.location, format!("http://127.0.0.1:{}/object", server.port));
    assert_eq!(error.attempts as usize, server.count(), "each attempt is one request");
    assert_eq!(error.to_string().contains("after 3 attempts"), error.attempts == 3, "{error}");
    (error.kind, server.count())
}

#[test]
fn damaged_bodies_are_tried_three_times() {
    let cut = |connection: &mut _| {
        write(connection, (head(200, &[("Content-Length", "100000")]) + "\r\n").as_bytes());
        write(connection, &object(1000)[..5000]);
        Then::Close
    };
    assert!(matches!(fault(cut), (TransferErrorKind::Broken(_), 3)));
    let cut_chunk = |connection: &mut _| {
        write(connection, (head(200, &[("Transfer-Encoding", "chunked")]) + "\r\nffff\r\n").as_bytes());
        write(connection, &object(1000)[..5000]);
        Then::Close
    };
    assert!(matches!(fault(cut_chunk), (TransferErrorKind::Broken(_), 3)));
    // A server that states too short a length, or sends too short an object.
    let short = |connection: &mut _| respond(connection, 200, &[], &object(1000)[..5000]);
    let (kind, requests) = fault(short);
    assert!(
        matches!(&kind, TransferErrorKind::Resolve(kind) if matches!(**kind, ResolveErrorKind::Stream(_)))
    );
    assert_eq!(requests, 3);
    let long = |connection: &mut _| respond(connection, 200, &[], &[&object(1000)[..], b"more"].concat());
    let (kind, requests) = fault(long);
    assert_eq!((kind, requests), (TransferErrorKind::Resolve(Box::new(ResolveErrorKind::Trailing)), 3));
    let corrupt = |connection: &mut _| {
        let mut coded = zstd(&object(1000)).to_vec();
        coded.truncate(100);
        respond(connection, 200, &[("Content-Encoding", "zstd")], &coded)
    };
    let (kind, requests) = fault(corrupt);
    assert!(
        matches!(&kind, TransferErrorKind::Resolve(kind) if matches!(**kind, ResolveErrorKind::Coding(_)))
    );
    assert_eq!(requests, 3);
}

#[test]
fn bytes_behind_the_length_of_a_response_are_not_read() {
    let server = Server::start(|_, connection| {
        respond(connection, 200, &[], &object(10));
        write(connection, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad")
    });
    let fetcher = fetcher();
    for _ in 0..3 {
        let resolved = fetcher.resolve(resolution(&server.url("/")), &loopback(), LIMIT).unwrap();
        assert_eq!(resolved.batch, batch(10));
    }
}

#[test]
fn a_wrong_digest_is_not_tried_again() {
    let server = Server::start(|_, connection| respond(connection, 200, &[], &object(10)));
    let resolution = resolution_with(&server.url("/"), Some(Digest([7; 32])), ObjectLimits::default());
    let error = failure(fetcher().resolve(resolution, &loopback(), LIMIT));
    assert!(matches!(resolve_kind(&error), ResolveErrorKind::Checksum { .. }));
    assert!(error.to_string().contains("checksum"), "{error}");
    assert_eq!(server.count(), 1);
}

#[test]
fn an_object_over_the_cap_is_refused_whatever_its_length_says() {
    let server = Server::start(|request, connection| match &*request.path {
        // None of the body is sent, so only the head can be the reason.
        "/announced" => {
            write(connection, (head(200, &[("Content-Length", "1001")]) + "\r\n").as_bytes());
            until_closed(connection)
        }
        "/endless" => {
            write(connection, (head(200, &[]) + "\r\n").as_bytes());
            write(connection, &object(10)[..200]);
            while write(connection, &[0; 1000]) == Then::Keep {}
            Then::Close
        }
        other => panic!("{other}"),
    });
    for path in ["/announced", "/endless"] {
        let before = server.count();
        let resolution = resolution_with(&server.url(path), None, object_limits(1000, 1 << 30));
        let error = failure(fetcher().resolve(resolution, &loopback(), LIMIT));
        assert_eq!(resolve_kind(&error), &ResolveErrorKind::TooLarge { max: 1000 }, "{path}");
        assert!(error.to_string().contains("max_fetch_bytes"), "{error}");
        assert_eq!(server.count() - before, 1, "{path}");
    }
}

#[test]
fn bombs_are_refused_in_both_codings() {
    let zeros = vec![0; 4 << 20];
    let (zstd, gzip) = (zstd(&zeros), gzip(&zeros));
    assert!(zstd.len().max(gzip.len()) < 1 << 20);
    let server = Server::start(move |request, connection| {
        let (name, body) = if request.path == "/zstd" { ("zstd", &zstd) } else { ("gzip", &gzip) };
        respond(connection, 200, &[("Content-Encoding", name)], body)
    });
    for path in ["/zstd", "/gzip"] {
        let before = server.count();
        let resolution =
            resolution_with(&server.url(path), Some(Digest([7; 32])), object_limits(1 << 20, 1 << 20));
        let error = failure(fetcher().resolve(resolution, &loopback(), LIMIT));
        assert_eq!(resolve_kind(&error), &ResolveErrorKind::DecodedTooLarge { max: 1 << 20 }, "{path}");
        assert_eq!(server.count() - before, 1, "{path}");
    }
}

#[test]
fn codings_that_are_not_known_are_refused() {
    for coding in ["br", "gzip, zstd", "gzip\r\nContent-Encoding: zstd", "\u{fe}"] {
        let (kind, requests) =
            fault(move |connection| respond(connection, 200, &[("Content-Encoding", coding)], b"x"));
        assert_eq!(requests, 1, "{coding}");
        assert!(
            matches!(&kind, TransferErrorKind::Resolve(kind) if matches!(**kind, ResolveErrorKind::UnknownCoding { .. })),
            "{coding}: {kind:?}"
        );
    }
}

#[test]
fn a_server_that_stalls_is_left_and_tried_again() {
    let started = Instant::now();
    let silent = |connection: &mut _| until_closed(connection);
    assert_eq!(fault_of(&impatient(), silent), (TransferErrorKind::TimedOut(Waiting::Server), 3));
    let stalled = |connection: &mut _| {
        write(connection, (head(200, &[("Content-Length", "100000")]) + "\r\n").as_bytes());
        write(connection, &object(1000)[..100]);
        until_closed(connection)
    };
    assert_eq!(fault_of(&impatient(), stalled), (TransferErrorKind::TimedOut(Waiting::Server), 3));
    assert!(started.elapsed() < LIMIT / 2, "{:?}", started.elapsed());
}

#[test]
fn a_server_that_is_slow_is_stopped_by_the_time_limit() {
    let server = Server::start(|_, connection| {
        write(connection, (head(200, &[("Content-Length", "100000")]) + "\r\n").as_bytes());
        trickle(connection, &object(1000), Duration::from_millis(20))
    });
    let (started, limit) = (Instant::now(), Duration::from_millis(700));
    let error = failure(fetcher().resolve(resolution(&server.url("/")), &loopback(), limit));
    assert_eq!(error.kind, TransferErrorKind::TimedOut(Waiting::Overall));
    assert_eq!((error.attempts, server.count()), (1, 1));
    assert_eq!(Failure::from(error).reason, FailureReason::TimedOut);
    assert!(started.elapsed() >= limit && started.elapsed() < LIMIT / 4, "{:?}", started.elapsed());
}

#[test]
fn statuses_are_tried_again_if_that_may_help() {
    for (status, requests, reason) in [
        (400, 1, FailureReason::Failed),
        (403, 1, FailureReason::Failed),
        (404, 1, FailureReason::Failed),
        (429, 3, FailureReason::Unavailable),
        (500, 3, FailureReason::Unavailable),
        (503, 3, FailureReason::Unavailable),
        (204, 1, FailureReason::Failed),
        (206, 1, FailureReason::Failed),
        (300, 1, FailureReason::Failed),
        (304, 1, FailureReason::Failed),
    ] {
        let (kind, found) = fault(move |connection| {
            write(connection, (head(status, &[("Content-Length", "0")]) + "\r\n").as_bytes())
        });
        assert_eq!((&kind, found), (&TransferErrorKind::Status(status), requests));
        let failure =
            Failure::from(vgi_rpc_external::TransferError { kind, location: String::new(), attempts: 1 });
        assert_eq!(failure.reason, reason, "{status}");
    }
}

#[test]
fn the_number_of_attempts_is_a_setting() {
    for retries in [0, 1] {
        let server = Server::start(|_, connection| respond(connection, 500, &[], b"s3cr3t"));
        let mut options = options();
        options.retries = retries;
        let fetcher = HttpFetcher::new(options).unwrap();
        let error = failure(fetcher.resolve(resolution(&server.url("/")), &loopback(), LIMIT));
        assert_eq!((error.attempts, server.count()), (retries + 1, retries as usize + 1));
    }
}

#[test]
fn heads_that_are_too_large_or_not_http_are_refused() {
    let huge = |connection: &mut _| {
        let value = "x".repeat(100);
        write(connection, head(200, &[]).as_bytes());
        while write(connection, format!("X-Huge: {value}\r\n").as_bytes()) == Then::Keep {}
        Then::Close
    };
    assert!(matches!(fault(huge), (TransferErrorKind::Malformed(_), 1)));
    let long_line = |connection: &mut _| {
        write(connection, b"HTTP/1.1 200 OK\r\nX-Huge: ");
        while write(connection, &[b'x'; 1000]) == Then::Keep {}
        Then::Close
    };
    assert!(matches!(fault(long_line), (TransferErrorKind::Malformed(_), 1)));
    let other = |connection: &mut _| {
        write(connection, b"SSH-2.0-OpenSSH_9.6\r\n");
        until_closed(connection)
    };
    assert!(matches!(fault(other), (TransferErrorKind::Malformed(_), 1)));
    let lengths = |connection: &mut _| {
        write(connection, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd");
        until_closed(connection)
    };
    assert!(matches!(fault(lengths), (TransferErrorKind::Malformed(_), 1)));
}

#[test]
fn a_server_that_does_not_accept_is_tried_again() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = crate::common::url(listener.local_addr().unwrap().port(), "/");
    drop(listener);
    let error = failure(fetcher().resolve(resolution(&url), &loopback(), LIMIT));
    assert!(matches!(error.kind, TransferErrorKind::Connect(_)), "{error:?}");
    assert_eq!(error.attempts, 3);
}
