//! Requests that S3 refuses: retried once, or not at all.

use crate::server::{Asked, error};
use crate::support::{batch, builder, failure, fetch, server, store, stored};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use vgi_rpc_external::{ObjectStorage, TransferErrorKind, unix_time};
use vgi_rpc_protocol::effect::{Completion, FailureReason};
use vgi_rpc_s3::{S3ErrorKind, S3Storage};

fn region(asked: &Asked) -> String {
    asked.parameter("X-Amz-Credential").unwrap().split("%2F").nth(2).unwrap().to_owned()
}

#[test]
fn the_region_that_s3_names_is_used() {
    let answers = [
        error(400, "AuthorizationQueryParametersError", "<Region>eu-west-1</Region>"),
        (301, vec![("x-amz-bucket-region", "eu-west-1".to_owned())], String::new()),
        error(403, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
    ];
    for answer in answers {
        let server = server();
        server.set_front(move |asked| (region(asked) != "eu-west-1").then(|| answer.clone()));
        let storage = builder(&server).region("us-east-2").build().unwrap();
        let batch = batch(10, 0);
        let location = stored(&storage, &store(&batch, None));
        assert_eq!(fetch(&location, &batch, None, storage.fetch_policy()).unwrap(), batch);
        stored(&storage, &store(&batch, None));
        let regions: Vec<_> = server.take_log().iter().map(region).collect();
        assert_eq!(regions, ["us-east-2", "eu-west-1", "eu-west-1", "eu-west-1"]);
        assert_eq!(storage.region(), "eu-west-1");
    }
}

#[test]
fn a_region_that_is_wrong_again_is_an_error() {
    let server = server();
    // It always names a different one.
    server.set_front(|asked| {
        let other = if region(asked) == "eu-west-1" { "eu-west-2" } else { "eu-west-1" };
        Some(error(400, "AuthorizationHeaderMalformed", &format!("<Region>{other}</Region>")))
    });
    let storage = builder(&server).region("us-east-2").build().unwrap();
    let found = failure(&storage);
    let (used, named) = ("eu-west-1".to_owned(), Some("eu-west-2".to_owned()));
    assert_eq!((found.kind, found.attempts), (S3ErrorKind::WrongRegion { used, named }, 2));
    for named in ["", "<Region>evil.example/</Region>"] {
        server.set_front(move |_| Some(error(400, "AuthorizationHeaderMalformed", named)));
        let storage = builder(&server).region("us-east-2").build().unwrap();
        let found = failure(&storage);
        let used = "us-east-2".to_owned();
        assert_eq!((found.kind, found.attempts), (S3ErrorKind::WrongRegion { used, named: None }, 1));
    }
}

#[test]
fn a_clock_that_is_wrong_is_set_by_the_servers() {
    let hour = Duration::from_secs(3600);
    let ahead: fn(Duration) -> Duration = |now| now + Duration::from_secs(3600);
    let behind: fn(Duration) -> Duration = |now| now.checked_sub(Duration::from_secs(3600)).unwrap();
    for clock in [ahead, behind] {
        let server = server();
        let storage = builder(&server).clock(move || clock(unix_time())).build().unwrap();
        let batch = batch(10, 0);
        let location = stored(&storage, &store(&batch, None));
        assert_eq!(server.take_log().len(), 2, "refused, and then stored");
        assert_eq!(fetch(&location, &batch, None, storage.fetch_policy()).unwrap(), batch);
        stored(&storage, &store(&batch, None));
        assert_eq!(server.take_log().len(), 2, "the correction holds: a GET, and one PUT");
        let Completion::UploadUrls(urls) = storage.upload_urls(1) else { panic!("no URLs") };
        assert!(urls[0].expires_at < unix_time() + hour + Duration::from_secs(60));
    }
}

#[test]
fn a_clock_that_stays_wrong_is_an_error() {
    let server = server();
    // The server's time always differs from the client's.
    let ticks = AtomicUsize::new(1);
    let clock = move || unix_time() + Duration::from_secs(3600) * ticks.fetch_add(1, Ordering::SeqCst) as u32;
    server.set_front(|_| Some(error(403, "RequestTimeTooSkewed", "")));
    let storage = builder(&server).clock(clock).build().unwrap();
    let found = failure(&storage);
    assert_eq!(found.attempts, 2);
    assert!(matches!(found.kind, S3ErrorKind::ClockSkew { seconds: ..-3000 }), "{found:?}");
}

#[test]
fn a_request_that_takes_long_is_no_sign_of_a_wrong_clock() {
    let server = server();
    // Ten minutes pass between the signature and the response, whose date is right.
    let ticks = AtomicUsize::new(0);
    let clock = move || {
        let late = if ticks.fetch_add(1, Ordering::SeqCst) == 0 { 600 } else { 0 };
        unix_time().checked_sub(Duration::from_secs(late)).unwrap()
    };
    server.set_front(|_| Some(error(403, "AccessDenied", "")));
    let found = failure(&builder(&server).clock(clock).build().unwrap());
    let kind = S3ErrorKind::Denied { code: "AccessDenied".to_owned() };
    assert_eq!((found.kind, found.attempts), (kind, 1));
}

#[test]
fn a_busy_server_is_asked_again_after_a_while() {
    let server = server();
    server.set_front(|asked| match asked.index {
        0 => Some(error(503, "SlowDown", "")),
        1 => Some(error(500, "InternalError", "")),
        2 => {
            let (status, mut headers, text) = error(503, "SlowDown", "");
            headers.push(("retry-after", "1".to_owned()));
            Some((status, headers, text))
        }
        _ => None,
    });
    let storage = builder(&server).build().unwrap();
    let (batch, started) = (batch(10, 0), Instant::now());
    let location = stored(&storage, &store(&batch, None));
    assert!(started.elapsed() >= Duration::from_secs(1), "as the server asked");
    let log = server.take_log();
    assert_eq!(log.len(), 4);
    let signature = |asked: &Asked| asked.parameter("X-Amz-Signature").unwrap().to_owned();
    assert_ne!(signature(&log[0]), signature(&log[3]), "each attempt is signed again");
    assert_eq!(fetch(&location, &batch, None, storage.fetch_policy()).unwrap(), batch);
}

#[test]
fn a_server_that_stays_busy_is_left() {
    let server = server();
    server.set_front(|_| Some(error(503, "SlowDown", "")));
    let storage = builder(&server).build().unwrap();
    let found = failure(&storage);
    let kind = S3ErrorKind::Throttled { status: 503, code: "SlowDown".to_owned() };
    assert_eq!((&found.kind, found.attempts, server.take_log().len()), (&kind, 4, 4));
    assert_eq!(found.operation, "PutObject");
    match storage.store(&store(&batch(10, 0), None)) {
        Completion::Failed(failure) => {
            assert_eq!(failure.reason, FailureReason::Unavailable);
            assert!(failure.message.contains("SlowDown"), "{failure}");
        }
        other => panic!("{other:?}"),
    }
    // A requested wait beyond the time limit ends the retries.
    server.take_log();
    server.set_front(|_| Some((503, vec![("retry-after", "3600".to_owned())], String::new())));
    let started = Instant::now();
    assert_eq!(failure(&storage).attempts, 1);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn what_does_not_help_is_not_tried_again() {
    let server = server();
    let storage = |server| builder(server).build().unwrap();
    for (answer, kind) in [
        (error(403, "AccessDenied", ""), S3ErrorKind::Denied { code: "AccessDenied".to_owned() }),
        (error(404, "NoSuchBucket", ""), S3ErrorKind::NoSuchBucket),
        (
            error(400, "EntityTooLarge", ""),
            S3ErrorKind::Service { status: 400, code: "EntityTooLarge".to_owned() },
        ),
        (
            (409, Vec::new(), "s3cr3t".to_owned()),
            S3ErrorKind::Service { status: 409, code: "none".to_owned() },
        ),
    ] {
        server.set_front(move |_| Some(answer.clone()));
        let found = failure(&storage(&server));
        assert_eq!((found.kind, found.attempts), (kind, 1));
    }
    // No text of S3 except the code is repeated.
    server.set_front(|_| {
        Some(error(403, "SignatureDoesNotMatch", "<StringToSign>s3cr3t X-Amz</StringToSign>"))
    });
    assert!(matches!(failure(&storage(&server)).kind, S3ErrorKind::Denied { .. }));
}

#[test]
fn a_server_that_is_not_there_is_an_error_of_the_transfer() {
    let server = server();
    let storage = S3Storage::builder("bucket").endpoint("http://127.0.0.1:1");
    let storage = storage.credentials(crate::support::credentials("ID", None));
    let storage = storage.backoff(vgi_rpc_external::Backoff { retries: 0, ..Default::default() });
    let found = failure(&storage.build().unwrap());
    assert!(matches!(found.kind, S3ErrorKind::Transfer(TransferErrorKind::Connect(_))), "{found:?}");
    drop(server);
}

#[test]
fn an_upload_that_fails_leaves_no_parts() {
    let server = server();
    let failed = Arc::new(AtomicUsize::new(0));
    let count = failed.clone();
    server.set_front(move |asked| {
        (asked.parameter("partNumber") == Some("2")).then(|| {
            count.fetch_add(1, Ordering::SeqCst);
            error(403, "AccessDenied", "")
        })
    });
    let storage = builder(&server).multipart_from(0).part_bytes(5 << 20).parallel_parts(2).build().unwrap();
    let found = storage.put(store(&batch(2_000_000, 0), None).object()).unwrap_err();
    assert_eq!((found.operation, failed.load(Ordering::SeqCst)), ("UploadPart", 1));
    let log = server.take_log();
    assert_eq!(log.last().unwrap().operation(), "AbortMultipartUpload");
    assert!(!log.iter().any(|asked| asked.operation() == "CompleteMultipartUpload"));
    let left: Vec<_> = files(&server.folder()).into_iter().filter(|name| name.contains("upload")).collect();
    assert_eq!(left, Vec::<String>::new());
}

/// Returns the names of the files below a folder.
fn files(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.parent().unwrap()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn an_upload_whose_end_was_not_heard_of_is_complete() {
    let server = server();
    let completed = Arc::new(AtomicUsize::new(0));
    let count = completed.clone();
    // The first response is an error with status 200, as S3 sends it after a delay. Then the upload is unknown, although
    // the object exists.
    server.set_front(move |asked| match asked.operation() {
        "CompleteMultipartUpload" => match count.fetch_add(1, Ordering::SeqCst) {
            0 => Some(error(200, "InternalError", "")),
            _ => Some(error(404, "NoSuchUpload", "")),
        },
        "HeadObject" => Some((200, vec![("content-length", "6291456".to_owned())], String::new())),
        _ => None,
    });
    let storage = builder(&server).multipart_from(0).build().unwrap();
    let store = store(&batch(10, 0), None);
    let found = storage.put(store.object()).unwrap_err();
    assert_eq!((found.operation, completed.load(Ordering::SeqCst)), ("CompleteMultipartUpload", 2));
    // Also the first time, since a request may be resent on another connection.
    for errors in [1, 0] {
        let len = store.object().len.to_string();
        completed.store(0, Ordering::SeqCst);
        let count = completed.clone();
        server.set_front(move |asked| match asked.operation() {
            "CompleteMultipartUpload" if count.fetch_add(1, Ordering::SeqCst) < errors => {
                Some(error(200, "InternalError", ""))
            }
            "CompleteMultipartUpload" => Some(error(404, "NoSuchUpload", "")),
            "HeadObject" => Some((200, vec![("content-length", len.clone())], String::new())),
            _ => None,
        });
        storage.put(store.object()).unwrap();
    }
}
