//! Objects that are stored and fetched, and URLs that are refused.

use crate::server::Asked;
use crate::support::{ID, SECRET, batch, builder, credentials, fetch, fetcher, server, store, stored};
use bytes::Bytes;
use std::thread;
use std::time::Duration;
use vgi_rpc_external::{ObjectNames, ObjectStorage, unix_time};
use vgi_rpc_protocol::content_coding::Coding;
use vgi_rpc_protocol::effect::{Completion, FailureReason};
use vgi_rpc_protocol::external::{FetchOptions, Location, Upload, UrlPolicy};

fn operations(log: &[Asked]) -> Vec<&'static str> {
    log.iter().map(Asked::operation).collect()
}

#[test]
fn a_batch_is_stored_and_fetched() {
    let server = server();
    let storage = builder(&server).build().unwrap();
    let batch = batch(1000, 0);
    for (coding, extension) in
        [(None, ".arrow"), (Some(Coding::Gzip), ".arrow.gz"), (Some(Coding::Zstd), ".arrow.zst")]
    {
        let store = store(&batch, coding);
        let location = stored(&storage, &store);
        assert_eq!(store.object().coding, coding);
        let path = location.url().path();
        assert!(path.starts_with("/test-bucket/vgi-rpc/") && path.ends_with(extension), "{path}");
        assert_eq!(fetch(&location, &batch, Some(&store), storage.fetch_policy()).unwrap(), batch);
        let log = server.take_log();
        assert_eq!(operations(&log), ["PutObject", "GetObject"]);
        let header = |name: &str| log[0].headers.get(name).map(String::as_str);
        assert_eq!(header("content-encoding"), coding.map(Coding::as_str));
        assert_eq!(header("content-type"), Some("application/octet-stream"));
    }
}

#[test]
fn a_large_object_is_stored_in_parts() {
    let server = server();
    let storage = builder(&server).multipart_from(5 << 20).part_bytes(5 << 20).build().unwrap();
    let batch = batch(1_500_000, 0);
    let store = store(&batch, None);
    assert!(store.object().len > 11 << 20);
    let location = stored(&storage, &store);
    let mut done = operations(&server.take_log());
    done.sort_unstable();
    assert_eq!(
        done,
        ["CompleteMultipartUpload", "CreateMultipartUpload", "UploadPart", "UploadPart", "UploadPart"]
    );
    assert_eq!(fetch(&location, &batch, Some(&store), storage.fetch_policy()).unwrap(), batch);
}

#[test]
fn expired_and_tampered_urls_are_refused() {
    let server = server();
    let storage = builder(&server).expiry(Duration::from_secs(1)).build().unwrap();
    let (batch, other) = (batch(10, 0), batch(10, 1));
    let (location, other) = (stored(&storage, &store(&batch, None)), stored(&storage, &store(&other, None)));
    let refused = |location: &Location| {
        let failure = fetch(location, &batch, None, storage.fetch_policy()).unwrap_err();
        assert_eq!(failure.reason, FailureReason::Failed);
        assert!(failure.message.contains("status 403"), "{failure}");
        assert!(!failure.message.contains("X-Amz"), "{failure}");
    };
    // Another object, a longer time, another signature, a PUT.
    refused(&Location::parse(&location.as_str().replace(location.url().path(), other.url().path())).unwrap());
    refused(&Location::parse(&location.as_str().replace("X-Amz-Expires=1", "X-Amz-Expires=3600")).unwrap());
    let (start, last) = location.as_str().split_at(location.as_str().len() - 1);
    refused(&Location::parse(&format!("{start}{}", if last == "0" { "1" } else { "0" })).unwrap());
    let put = vgi_rpc_external::Put::default();
    assert!(fetcher().put(&location, &put, &storage.fetch_policy(), Duration::from_secs(5)).is_err());
    thread::sleep(Duration::from_millis(2100));
    refused(&location);
}

#[test]
fn clients_upload_to_urls_of_their_own() {
    let server = server();
    let storage = builder(&server).build().unwrap();
    let Completion::UploadUrls(urls) = storage.upload_urls(3) else { panic!("no URLs") };
    assert_eq!(urls.len(), 3);
    let options = FetchOptions { policy: storage.fetch_policy(), ..FetchOptions::default() };
    let policy = storage.fetch_policy();
    let now = unix_time();
    for (n, url) in urls.iter().enumerate() {
        assert!(
            url.expires_at > now + Duration::from_secs(3590)
                && url.expires_at < now + Duration::from_secs(3610)
        );
        let (put, get) =
            (Location::parse(&url.upload_url).unwrap(), Location::parse(&url.download_url).unwrap());
        assert_eq!(put.url().path(), get.url().path());
        let body = format!("request {n}");
        let upload = Upload::new(put, vec![Bytes::from(body.clone())], options.clone());
        assert!(matches!(fetcher().upload(&upload), Completion::Done));
        let request = vgi_rpc_external::HttpRequest::default();
        let response = fetcher().exchange(&get, &request, &policy, Duration::from_secs(5)).unwrap();
        assert_eq!((response.status.as_u16(), &*response.body), (200, body.as_bytes()));
    }
    let log = server.take_log();
    assert_eq!(log[0].headers.get("content-type").unwrap(), "application/vnd.apache.arrow.stream");
    let shown = format!("{urls:?}");
    assert!(!shown.contains("X-Amz") && !shown.contains(SECRET), "{shown}");
}

#[test]
fn equal_batches_are_stored_once() {
    let server = server();
    let names = ObjectNames::by_content("by-content/").unwrap();
    let storage = builder(&server).names(names.clone()).build().unwrap();
    let batch = batch(1000, 0);
    let (one, other) = (stored(&storage, &store(&batch, None)), stored(&storage, &store(&batch, None)));
    assert_eq!(one.url().path(), other.url().path());
    assert_eq!(operations(&server.take_log()), ["HeadObject", "PutObject", "HeadObject"]);
    assert_eq!(fetch(&other, &batch, None, storage.fetch_policy()).unwrap(), batch);
    // Another coding makes a different object, and an old one is stored again.
    let coded = stored(&storage, &store(&batch, Some(Coding::Gzip)));
    assert_ne!(coded.url().path(), one.url().path());
    server.take_log();
    let again = builder(&server).names(names).store_again_after(Duration::ZERO).build().unwrap();
    stored(&again, &store(&batch, None));
    assert_eq!(operations(&server.take_log()), ["HeadObject", "PutObject"]);
}

#[test]
fn without_the_permission_to_list_an_object_is_stored_again() {
    let server = server();
    server.set_front(|asked| (asked.method == "HEAD").then(|| (403, Vec::new(), String::new())));
    let storage = builder(&server).names(ObjectNames::by_content("").unwrap()).build().unwrap();
    stored(&storage, &store(&batch(10, 0), None));
    assert_eq!(operations(&server.take_log()), ["HeadObject", "PutObject"]);
}

#[test]
fn no_url_outlives_the_credentials() {
    let server = server();
    server.add_key("TEMPORARY", SECRET, Some("token"));
    let mut temporary = credentials("TEMPORARY", Some("token"));
    let end = unix_time() + Duration::from_secs(1800);
    temporary.expires_at = Some(end);
    let storage = builder(&server).credentials(temporary).build().unwrap();
    let batch = batch(10, 0);
    let location = stored(&storage, &store(&batch, None));
    let expires = location.url().query_pairs().find(|(name, _)| name == "X-Amz-Expires").unwrap().1;
    let expires: u64 = expires.parse().unwrap();
    assert!((1700..=1800).contains(&expires), "{expires}");
    let Completion::UploadUrls(urls) = storage.upload_urls(1) else { panic!("no URLs") };
    assert!(urls[0].expires_at <= end && urls[0].expires_at > end - Duration::from_secs(60));
    assert_eq!(fetch(&location, &batch, None, storage.fetch_policy()).unwrap(), batch);
    server.remove_key(ID);
}

#[test]
fn only_the_endpoint_is_fetched_from() {
    let server = server();
    let storage = builder(&server).build().unwrap();
    let policy: UrlPolicy = storage.fetch_policy();
    assert!(policy.check(&Location::parse(&format!("{}/test-bucket/x", server.endpoint())).unwrap()).is_ok());
    assert!(policy.check(&Location::parse("http://127.0.0.1:1/x").unwrap()).is_err());
}
