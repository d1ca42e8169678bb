//! Large objects are read in several ranges at once if their server supports that.

use crate::common::objects::{batch, object, object_of, resolution, resolution_with, zstd};
use crate::common::server::{Connection, Request, Server, Then, head, respond, write};
use crate::common::{LIMIT, failure, loopback, options};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use vgi_rpc_external::{HttpFetcher, TransferErrorKind};
use vgi_rpc_protocol::external::ObjectLimits;

const STEP: usize = 10_000;
const ETAG: &str = "\"v1\"";

fn fetcher() -> HttpFetcher {
    let mut options = options();
    (options.ranges_from, options.range_bytes) = (Some(50_000), STEP as u64);
    HttpFetcher::new(options).unwrap()
}

/// Responds like a store that supports ranges.
fn store(object: &[u8], request: &Request, connection: &mut Connection) -> Then {
    let Some((start, end)) = request.range() else {
        let headers = [("Accept-Ranges", "bytes"), ("ETag", ETAG)];
        return respond(connection, 200, &headers, object);
    };
    assert_eq!(request.header("if-match"), Some(ETAG));
    part(object, start..end, ETAG, connection)
}

fn part(object: &[u8], range: std::ops::Range<usize>, etag: &str, connection: &mut Connection) -> Then {
    let text = format!("bytes {}-{}/{}", range.start, range.end - 1, object.len());
    respond(connection, 206, &[("Content-Range", &text), ("ETag", etag)], &object[range])
}

/// The ranges that were requested, in order; the plain request is `None`.
fn ranges(server: &Server) -> Vec<Option<(usize, usize)>> {
    let mut ranges: Vec<_> = server.requests().iter().map(Request::range).collect();
    ranges.sort_unstable();
    ranges
}

fn expected(len: usize) -> Vec<Option<(usize, usize)>> {
    let starts = (STEP..len).step_by(STEP);
    let parts = starts.map(|start| Some((start, len.min(start + STEP))));
    std::iter::once(None).chain(parts).collect()
}

#[test]
fn ranges_cover_the_object_and_are_put_together_in_order() {
    for rows in [7000, 10_000, 12_345] {
        let bytes = object(rows);
        let len = bytes.len();
        let server = Server::start(move |request, connection| {
            // Within the window, later ranges arrive earlier.
            std::thread::sleep(Duration::from_millis(7 - (request.index as u64) % 7));
            store(&bytes, request, connection)
        });
        let resolved = fetcher().resolve(resolution(&server.url("/")), &loopback(), LIMIT).unwrap();
        assert_eq!(resolved.batch, batch(rows));
        assert_eq!((resolved.logs.len(), ranges(&server)), (1, expected(len)));
    }
}

#[test]
fn ranges_are_those_of_the_coded_object() {
    let coded = zstd(&object(20_000));
    assert!(coded.len() > 50_000);
    let len = coded.len();
    let server = Server::start(move |request, connection| match request.range() {
        None => {
            let headers = [("Accept-Ranges", "bytes"), ("ETag", ETAG), ("Content-Encoding", "zstd")];
            respond(connection, 200, &headers, &coded)
        }
        Some((start, end)) => {
            let text = format!("bytes {start}-{}/{len}", end - 1);
            let headers = [("Content-Range", &*text), ("ETag", ETAG), ("Content-Encoding", "zstd")];
            respond(connection, 206, &headers, &coded[start..end])
        }
    });
    let resolved = fetcher().resolve(resolution(&server.url("/")), &loopback(), LIMIT).unwrap();
    assert_eq!((resolved.batch, ranges(&server)), (batch(20_000), expected(len)));
}

#[test]
fn ranges_may_come_in_any_number_of_chunks() {
    in_one_attempt(20_000, |object, request, connection| {
        let Some((start, end)) = request.range() else { return store(object, request, connection) };
        let text = format!("bytes {start}-{}/{}", end - 1, object.len());
        let headers = [("Content-Range", &*text), ("ETag", ETAG), ("Transfer-Encoding", "chunked")];
        let chunks = object[start..end].chunks(1 + start / STEP % 3);
        let chunks =
            chunks.map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
        let body: Vec<u8> = chunks.flatten().chain(*b"0\r\n\r\n").collect();
        write(connection, &[(head(206, &headers) + "\r\n").as_bytes(), &body].concat())
    });
}

#[test]
fn at_most_four_requests_are_under_way_and_several_are() {
    let bytes = object(20_000);
    let (running, most) = (Arc::new((Mutex::new(0), Condvar::new())), Arc::new(AtomicUsize::new(0)));
    let (counter, maximum) = (running, most.clone());
    let server = Server::start(move |request, connection| {
        if request.range().is_none() {
            return store(&bytes, request, connection);
        }
        let (count, changed) = &*counter;
        let mut now = count.lock().unwrap();
        *now += 1;
        maximum.fetch_max(*now, Ordering::SeqCst);
        changed.notify_all();
        // Waits for the other requests, which only arrive if they are concurrent, and for one too many.
        now = changed.wait_timeout_while(now, Duration::from_millis(300), |now| *now < 4).unwrap().0;
        *now -= 1;
        drop(now);
        store(&bytes, request, connection)
    });
    let resolved = fetcher().resolve(resolution(&server.url("/")), &loopback(), LIMIT).unwrap();
    assert_eq!(resolved.batch, batch(20_000));
    assert_eq!(most.load(Ordering::SeqCst), 3, "in addition to the one being read");
}

/// Fetches from this server in one attempt.
fn in_one_attempt(
    rows: usize,
    answer: impl Fn(&[u8], &Request, &mut Connection) -> Then + Send + Sync + 'static,
) -> Server {
    let bytes = object(rows);
    let server = Server::start(move |request, connection| answer(&bytes, request, connection));
    let resolved = fetcher().resolve(resolution(&server.url("/")), &loopback(), LIMIT).unwrap();
    assert_eq!((resolved.batch, resolved.logs.len()), (batch(rows), 1));
    let plain = server.requests().iter().filter(|request| request.range().is_none()).count();
    assert_eq!(plain, 1, "there was no retry");
    server
}

#[test]
fn objects_that_are_small_or_without_a_version_are_read_at_once() {
    let small = in_one_attempt(1000, store);
    assert_eq!(small.count(), 1);
    for headers in [
        &[("Accept-Ranges", "bytes")][..],
        &[("Accept-Ranges", "bytes"), ("ETag", "W/\"v1\"")],
        &[("Accept-Ranges", "none"), ("ETag", ETAG)],
        &[("ETag", ETAG)],
    ] {
        let server =
            in_one_attempt(20_000, move |object, _, connection| respond(connection, 200, headers, object));
        assert_eq!(server.count(), 1, "{headers:?}");
    }
}

#[test]
fn a_server_that_does_not_give_ranges_after_all_gives_the_object_at_once() {
    // It ignores the header.
    in_one_attempt(20_000, |object, _, connection| {
        respond(connection, 200, &[("Accept-Ranges", "bytes"), ("ETag", ETAG)], object)
    });
    for status in [403, 412, 416, 500, 501] {
        in_one_attempt(20_000, move |object, request, connection| match request.range() {
            None => store(object, request, connection),
            Some(_) => respond(connection, status, &[], b""),
        });
    }
    // It closes the connection.
    in_one_attempt(20_000, |object, request, connection| match request.range() {
        None => store(object, request, connection),
        Some(_) => Then::Close,
    });
    // It returns something else.
    in_one_attempt(20_000, |object, request, connection| match request.range() {
        None => store(object, request, connection),
        Some((start, end)) => part(object, start - 1..end - 1, ETAG, connection),
    });
    in_one_attempt(20_000, |object, request, connection| match request.range() {
        None => store(object, request, connection),
        Some((start, end)) => part(&vec![0; object.len()], start..end, "\"v2\"", connection),
    });
}

#[test]
fn an_object_that_changes_between_ranges_is_read_again_without_them() {
    // One server checks the version, the other does not.
    for checks in [true, false] {
        let (old, new) = (object(20_000), object_of(&batch(20_001).slice(1, 20_000)));
        assert_eq!(old.len(), new.len());
        let server = Server::start(move |request, connection| match request.range() {
            None if request.index == 0 => store(&old, request, connection),
            Some((start, _)) if start < 5 * STEP => store(&old, request, connection),
            Some(_) if checks => respond(connection, 412, &[], b""),
            Some((start, end)) => part(&new, start..end, "\"v2\"", connection),
            None => respond(connection, 200, &[("Accept-Ranges", "bytes"), ("ETag", "\"v2\"")], &new),
        });
        let resolved = fetcher().resolve(resolution(&server.url("/")), &loopback(), LIMIT).unwrap();
        assert_eq!((resolved.batch, resolved.logs.len()), (batch(20_001).slice(1, 20_000), 1));
        let requests = server.requests().into_iter();
        let plain: Vec<_> = requests.filter(|request| request.range().is_none()).collect();
        assert_eq!(plain.len(), 2);
        assert_eq!(plain[1].index + 1, server.count(), "the second attempt requests no ranges");
    }
}

#[test]
fn a_range_that_is_cut_or_too_short_fails_its_attempt() {
    let bytes = object(20_000);
    let server = Server::start(move |request, connection| match request.range() {
        Some((start, end)) if start == 3 * STEP => {
            let text = format!("bytes {start}-{}/{}", end - 1, bytes.len());
            let headers = [("Content-Range", &*text), ("ETag", ETAG)];
            respond(connection, 206, &headers, &bytes[start..end - 1])
        }
        None if request.index > 0 => respond(connection, 404, &[], b""),
        _ => store(&bytes, request, connection),
    });
    let error = failure(fetcher().resolve(resolution(&server.url("/")), &loopback(), LIMIT));
    // The first attempt found the short range; in the second the object did not exist.
    assert_eq!((error.kind, error.attempts), (TransferErrorKind::Status(404), 2));
}

#[test]
fn a_large_object_over_the_cap_is_not_requested_in_ranges() {
    let bytes = object(20_000);
    let server = Server::start(move |request, connection| store(&bytes, request, connection));
    let object_limits = ObjectLimits { max_fetch_bytes: 60_000, max_decompressed_bytes: 1 << 30 };
    let error = failure(fetcher().resolve(
        resolution_with(&server.url("/"), None, object_limits),
        &loopback(),
        LIMIT,
    ));
    assert!(error.to_string().contains("max_fetch_bytes"), "{error}");
    assert_eq!(server.count(), 1);
}
