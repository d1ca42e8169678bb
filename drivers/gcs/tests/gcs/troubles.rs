//! Servers that are busy, break off, stall, redirect or refuse, and clocks that are wrong.

use crate::keys::hides_keys;
use crate::objects::{bytes, store};
use crate::server::{Server, Trouble};
use crate::storage::builder;
use std::time::{Duration, Instant, SystemTime};
use vgi_rpc_external::{Backoff, FetcherOptions, HttpFetcher, ObjectStorage, TransferErrorKind, Waiting};
use vgi_rpc_gcs::{GcsBuilder, GcsErrorKind};
use vgi_rpc_protocol::effect::{Completion, FailureReason};

pub fn answer(status: u16, code: &str) -> Trouble {
    // Errors of Cloud Storage repeat what was signed.
    let body =
        format!("<?xml version='1.0'?><Error><Code>{code}</Code><StringToSign>s3cr3t</StringToSign></Error>");
    Trouble::Answer(status, "Retry-After: 0\r\n".to_owned(), body.into_bytes())
}

/// Stores an object at a misbehaving server.
fn put(server: &Server, builder: GcsBuilder) -> Result<String, (GcsErrorKind, u32)> {
    let store = store(1000, None);
    let storage = builder.build().unwrap();
    match storage.put(store.object()) {
        Ok(location) => {
            let path = location.url().path().to_owned();
            assert!(server.state().objects[&path].body == bytes(&store), "it is stored whole");
            Ok(path)
        }
        Err(error) => {
            hides_keys(&error, &error.to_string());
            assert!(error.to_string().ends_with("(bucket test-bucket)"), "{error}");
            Err((error.kind, error.attempts))
        }
    }
}

fn with(troubles: impl IntoIterator<Item = Trouble>) -> Server {
    let server = Server::start();
    server.state().troubles.extend(troubles);
    server
}

#[test]
fn a_busy_server_is_asked_again_so_many_times() {
    let server =
        with([answer(429, "SlowDown"), answer(503, "ServiceUnavailable"), answer(500, "InternalError")]);
    assert!(put(&server, builder(&server)).is_ok());
    assert_eq!(server.statuses(), [429, 503, 500, 200]);

    let server = with((0..10).map(|_| answer(429, "SlowDown")));
    let throttled = GcsErrorKind::Throttled { status: 429, code: "SlowDown".to_owned() };
    assert_eq!(throttled.reason(), FailureReason::Unavailable);
    assert_eq!(put(&server, builder(&server)), Err((throttled, 4)));
    assert_eq!(server.statuses(), [429; 4]);
}

#[test]
fn no_attempt_begins_after_the_time_limit() {
    let wait = Trouble::Answer(503, "Retry-After: 30\r\n".to_owned(), Vec::new());
    let server = with([wait]);
    let started = Instant::now();
    let limited = builder(&server).time_limit(Duration::from_secs(5));
    assert_eq!(
        put(&server, limited),
        Err((GcsErrorKind::Throttled { status: 503, code: "none".to_owned() }, 1))
    );
    assert!(started.elapsed() < Duration::from_secs(4), "the server asks for more time than is left");
    let late = builder(&server).time_limit(Duration::ZERO);
    assert_eq!(
        put(&server, late),
        Err((GcsErrorKind::Transfer(TransferErrorKind::TimedOut(Waiting::Overall)), 1))
    );
}

#[test]
fn refusals_are_errors_at_once_and_repeat_nothing() {
    for (status, code, expected) in [
        (403, "AccessDenied", GcsErrorKind::Denied { code: "AccessDenied".to_owned(), skew: None }),
        (401, "a b", GcsErrorKind::Denied { code: "none".to_owned(), skew: None }),
        (404, "NoSuchBucket", GcsErrorKind::Service { status: 404, code: "NoSuchBucket".to_owned() }),
        (
            412,
            "PreconditionFailed",
            GcsErrorKind::Service { status: 412, code: "PreconditionFailed".to_owned() },
        ),
        (501, "NotImplemented", GcsErrorKind::Service { status: 501, code: "NotImplemented".to_owned() }),
    ] {
        let server = with([answer(status, code)]);
        assert_eq!(put(&server, builder(&server)), Err((expected, 1)));
    }
}

#[test]
fn redirects_are_not_followed() {
    let other = Server::start();
    for status in [301, 302, 303, 307, 308] {
        let head = format!("Location: {}/test-bucket/object\r\n", other.url);
        let server = with([Trouble::Answer(status, head, Vec::new())]);
        let expected = GcsErrorKind::Service { status, code: "none".to_owned() };
        assert_eq!(put(&server, builder(&server)), Err((expected, 1)));
    }
    assert!(other.statuses().is_empty());
}

#[test]
fn an_object_whose_answer_was_lost_is_stored_under_another_name() {
    // Replacing the first object would require a permission that the key does not otherwise need.
    let server = with([Trouble::LoseAnswer]);
    assert!(put(&server, builder(&server)).is_ok());
    assert_eq!(server.statuses(), [200, 200]);
    assert_eq!(server.state().objects.len(), 2);
}

#[test]
fn a_server_that_stalls_is_left() {
    let mut options = FetcherOptions::default();
    options.read_timeout = Duration::from_millis(300);
    let impatient = HttpFetcher::new(options).unwrap();
    let server = with((0..2).map(|_| Trouble::Stall));
    let once = Backoff { retries: 1, first: Duration::from_millis(1), longest: Duration::from_millis(1) };
    let stalled = GcsErrorKind::Transfer(TransferErrorKind::TimedOut(Waiting::Server));
    let storage = || builder(&server).fetcher(impatient.clone());
    assert_eq!(put(&server, storage().backoff(once)), Err((stalled, 2)));
    server.state().troubles.push_back(Trouble::Stall);
    // A slow machine may seem to stall too.
    let often = Backoff { retries: 20, ..once };
    assert!(put(&server, storage().backoff(often)).is_ok());
}

#[test]
fn endless_errors_are_not_read() {
    let server = with([Trouble::Answer(403, String::new(), vec![b'x'; 8 << 20])]);
    let (kind, attempts) = put(&server, builder(&server)).unwrap_err();
    assert!(!matches!(kind, GcsErrorKind::Transfer(_)), "expected an error with the status: {kind:?}");
    assert_eq!(attempts, 1);
}

#[test]
fn a_wrong_clock_is_named() {
    let server = Server::start();
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    for (by, code) in [(7200, "InvalidArgument"), (-7200, "ExpiredToken")] {
        let clock = move || Duration::from_secs(now().as_secs().checked_add_signed(by).unwrap());
        let storage = builder(&server).clock(clock).build().unwrap();
        let Completion::Failed(failure) = storage.store(&store(10, None)) else { panic!("it was stored") };
        assert_eq!(failure.reason, FailureReason::Failed);
        let start =
            format!("PUT object failed: not allowed ({code}); this clock differs from the server's by ");
        let seconds = failure.message.strip_prefix(&start).and_then(|rest| rest.split(' ').next()).unwrap();
        assert!((seconds.parse::<i64>().unwrap() + by).abs() < 10, "{failure}");
    }
    let nonsense = builder(&server).clock(|| Duration::MAX).build().unwrap();
    assert!(matches!(nonsense.store(&store(10, None)), Completion::Failed(_)));
    assert!(matches!(nonsense.upload_urls(1), Completion::Failed(_)));
}

#[test]
fn a_server_that_is_gone_is_an_error() {
    let server = Server::start();
    let nowhere = builder(&server).endpoint("http://127.0.0.1:1").time_limit(Duration::from_secs(5));
    let (kind, attempts) = put(&server, nowhere).unwrap_err();
    assert!(matches!(kind, GcsErrorKind::Transfer(TransferErrorKind::Connect(_))), "{kind:?}");
    assert_eq!((attempts, kind.reason()), (4, FailureReason::Unavailable));
}
