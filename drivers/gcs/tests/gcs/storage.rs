//! Objects that are stored, fetched and uploaded, with both kinds of keys.

use crate::keys::{hides_keys, hmac_key, service_account};
use crate::objects::{batch, bytes, store};
use crate::server::Server;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};
use vgi_rpc_effects::Perform;
use vgi_rpc_external::{
    Backoff, FetcherOptions, HttpFetcher, HttpRequest, ObjectNames, ObjectStorage, StorageEffects,
};
use vgi_rpc_gcs::{Credentials, GcsBuilder, GcsErrorKind, GcsStorage};
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::content_coding::Coding;
use vgi_rpc_protocol::effect::{Completion, Request, UploadUrl};
use vgi_rpc_protocol::external::{Fetch, FetchOptions, Location, Object, Store};
use vgi_rpc_protocol::memory::Budget;

pub const BUCKET: &str = "test-bucket";

/// Returns the client for all requests of the tests.
pub fn fetcher() -> HttpFetcher {
    static FETCHER: LazyLock<HttpFetcher> =
        LazyLock::new(|| HttpFetcher::new(FetcherOptions::default()).unwrap());
    FETCHER.clone()
}

/// Returns a builder with short delays between attempts.
pub fn builder(server: &Server) -> GcsBuilder {
    let backoff = Backoff { retries: 3, first: Duration::from_millis(4), longest: Duration::from_millis(20) };
    GcsStorage::builder(BUCKET)
        .endpoint(&server.url)
        .credentials(hmac_key())
        .backoff(backoff)
        .fetcher(fetcher())
}

/// Sends a request to a URL. Returns the status and the body.
pub fn request(url: &str, method: Method, headers: HeaderMap, body: &str) -> (u16, Bytes) {
    let mut request = HttpRequest::new(method);
    (request.headers, request.body) = (headers, vec![Bytes::copy_from_slice(body.as_bytes())]);
    let policy = vgi_rpc_protocol::external::UrlPolicy::https_or_http_loopback();
    let location = Location::parse(url).unwrap();
    let response = fetcher().exchange(&location, &request, &policy, Duration::from_secs(60)).unwrap();
    (response.status.as_u16(), response.body)
}

pub fn stored_location(storage: &GcsStorage, store: &Store) -> Location {
    storage.put(store.object()).unwrap()
}

/// Fetches what was stored, as a server would.
fn fetch(effects: &StorageEffects<GcsStorage>, store: &Store, location: &Location) -> Completion {
    let options = FetchOptions { policy: effects.storage.fetch_policy(), ..FetchOptions::default() };
    let account = Budget::new(1 << 30).account();
    let pointer = store.pointer(location.clone());
    let fetch = Fetch::new(pointer, batch(0).schema(), &Limits::default(), &account, &options).unwrap();
    effects.perform(&Request::Fetch(fetch), &mut |_| {})
}

#[test]
fn objects_are_stored_and_fetched_by_both_keys_in_each_coding() {
    let server = Server::start();
    for credentials in [Credentials::from(hmac_key()), Credentials::from(service_account())] {
        for (coding, extension) in
            [(None, ".arrow"), (Some(Coding::Zstd), ".arrow.zst"), (Some(Coding::Gzip), ".arrow.gz")]
        {
            let storage = builder(&server).credentials(credentials.clone()).build().unwrap();
            let effects = StorageEffects { storage, fetcher: fetcher() };
            let store = store(10_000, coding);
            let completion = effects.perform(&Request::Store(store.clone()), &mut |_| {});
            hides_keys(&completion, "");
            let Completion::Stored(location) = &completion else { panic!("{completion:?}") };
            assert!(!format!("{completion:?} {effects:?}").contains("X-Goog"));
            match fetch(&effects, &store, location) {
                Completion::Resolved(Ok(resolved)) => assert_eq!(resolved.batch, batch(10_000)),
                other => panic!("{other:?}"),
            }
            let path = location.url().path().to_owned();
            let name = path.strip_prefix("/test-bucket/vgi-rpc/").unwrap().strip_suffix(extension).unwrap();
            assert!(name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{path}");
            let stored = server.state().objects[&path].clone();
            assert!(stored.body == bytes(&store));
            assert_eq!(stored.content_type.as_deref(), Some("application/octet-stream"));
            assert_eq!(stored.coding.as_deref(), coding.map(Coding::as_str));
        }
    }
    assert_eq!(server.statuses(), [200; 12]);
}

#[test]
fn a_pair_of_urls_takes_any_content_type_and_gives_the_object_back() {
    let server = Server::start();
    server.state().may_replace = true;
    let storage = builder(&server)
        .credentials(service_account())
        .expiry(Duration::from_millis(90_900))
        .build()
        .unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let Completion::UploadUrls(urls) = storage.upload_urls(3) else { panic!("no URLs") };
    assert_eq!(urls.len(), 3);
    hides_keys(&urls, "");
    for UploadUrl { upload_url, download_url, expires_at } in &urls {
        let late = expires_at.checked_sub(now).unwrap();
        assert!(late > Duration::from_secs(88) && late < Duration::from_secs(100), "{late:?}");
        assert!(upload_url.contains("X-Goog-Expires=90&X-Goog-SignedHeaders=host&"), "{upload_url}");
        // The canonical implementation's clients send the first; its own URLs are signed for the second.
        let types = [Some("application/vnd.apache.arrow.stream"), Some("application/octet-stream"), None];
        for content_type in types {
            let headers =
                content_type.map(|value| (CONTENT_TYPE, value.parse().unwrap())).into_iter().collect();
            assert_eq!(request(upload_url, Method::PUT, headers, "a request").0, 200, "{content_type:?}");
        }
        let got = request(download_url, Method::GET, HeaderMap::new(), "");
        assert_eq!(got, (200, Bytes::from_static(b"a request")));
    }
    assert_eq!(server.state().objects.len(), 3, "each pair has an object of its own");
}

#[test]
fn odd_prefixes_are_requested_as_they_are_signed() {
    let server = Server::start();
    for prefix in [
        "",
        "a b/",
        "ü/日本/",
        "a&b=c+d;e,f@g:h!$'()*/",
        "100%/%41%2f/",
        "q?x#y/",
        "~_.-/",
        "a\"<>`{|}^[]/",
        "..a/.b./",
    ] {
        let names = ObjectNames::random(prefix).unwrap();
        let storage = builder(&server).credentials(service_account()).names(names).build().unwrap();
        let store = store(10, None);
        let location = stored_location(&storage, &store);
        let got = request(location.as_str(), Method::GET, HeaderMap::new(), "");
        assert!(got.0 == 200 && got.1 == bytes(&store), "{prefix}");
        let path = location.url().path();
        let decoded = percent_encoding::percent_decode_str(path).decode_utf8().unwrap();
        assert!(decoded.starts_with(&format!("/test-bucket/{prefix}")), "{decoded}");
    }
}

#[test]
fn equal_objects_are_stored_once_until_they_are_old() {
    let server = Server::start();
    let storage = |age: u64| {
        let names = ObjectNames::by_content("equal/").unwrap();
        builder(&server).names(names).store_again_after(Duration::from_secs(age)).build().unwrap()
    };
    let (one, equal, other) = (store(10, None), store(10, None), store(11, None));
    let put =
        |store: &Store, age: u64| storage(age).put(store.object()).map(|url| url.url().path().to_owned());
    let path = put(&one, 3600).unwrap();
    assert_eq!(path, format!("/test-bucket/equal/sha256-{}-{}.arrow", one.object().sha256, one.object().len));
    assert_eq!(put(&equal, 3600).unwrap(), path);
    assert_ne!(put(&other, 3600).unwrap(), path);
    assert_eq!(server.statuses(), [404, 200, 200, 404, 200]);
    // Old enough to be stored again, which requires the permission to replace it.
    server.state().log.clear();
    let error = put(&one, 0).unwrap_err();
    assert_eq!(error.kind, GcsErrorKind::Denied { code: "AccessDenied".to_owned(), skew: None });
    server.state().may_replace = true;
    assert_eq!(put(&one, 0).unwrap(), path);
    // An object with the same name but another length is different.
    server.state().objects.get_mut(&path).unwrap().body.push(0);
    assert_eq!(put(&one, 3600).unwrap(), path);
    assert_eq!(server.statuses(), [200, 403, 200, 200, 200, 200]);
    assert!(server.state().objects[&path].body == bytes(&one));
}

#[test]
fn a_key_is_replaced_in_all_clones() {
    let server = Server::start();
    let wrong = vgi_rpc_gcs::HmacKey::new(crate::keys::ACCESS_ID, "s3cr3t-but-wrong").unwrap();
    let storage = builder(&server).credentials(wrong).build().unwrap();
    let (clone, store) = (storage.clone(), store(10, None));
    let put = |object: &Object| clone.put(object);
    let error = put(store.object()).unwrap_err();
    hides_keys(&error, &error.to_string());
    assert_eq!(
        error.to_string(),
        "PUT object failed: not allowed (SignatureDoesNotMatch) (bucket test-bucket)"
    );
    storage.replace_credentials(service_account());
    assert!(put(store.object()).is_ok());
    hides_keys(&clone, &clone.to_string());
    assert_eq!(clone.to_string(), "gs://test-bucket/vgi-rpc/");
}

#[test]
fn only_the_server_of_the_bucket_may_be_fetched_from() {
    let server = Server::start();
    let policy = builder(&server).build().unwrap().fetch_policy();
    let check = |url: &str| policy.check(&Location::parse(url).unwrap()).is_ok();
    assert!(check(&format!("{}/test-bucket/object?x", server.url)));
    for other in ["http://127.0.0.1/", "http://127.0.0.1:1/", "http://169.254.169.254/", "https://h.example/"]
    {
        assert!(!check(other), "{other}");
    }
    for path in
        ["/", "/test-bucket2/object", "/test-bucket/../other/object", "/test-bucket/%2e%2e/other/object"]
    {
        assert!(!check(&format!("{}{path}", server.url)), "{path}");
    }
    let with_user = server.url.replace("http://", "http://user@") + "/test-bucket/object";
    assert!(!check(&with_user));
    let google =
        GcsStorage::builder(BUCKET).endpoint("https://storage.googleapis.com").credentials(hmac_key());
    let policy = google.build().unwrap().fetch_policy();
    let check = |url: &str| policy.check(&Location::parse(url).unwrap()).is_ok();
    assert!(check("https://storage.googleapis.com/test-bucket/object?x"));
    assert!(!check("https://127.0.0.1/") && !check("http://storage.googleapis.com/"));
}
