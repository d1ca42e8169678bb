//! Signed URLs allow exactly what was signed; the server checks this independently.

use crate::keys::{hmac_key, service_account};
use crate::server::Server;
use crate::storage::{BUCKET, builder, request};
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use vgi_rpc_gcs::Credentials;
use vgi_rpc_gcs::v4::{Endpoint, SignError, UrlToSign};
use vgi_rpc_protocol::effect::UploadUrl;

fn both() -> [Credentials; 2] {
    [service_account().into(), hmac_key().into()]
}

fn pair(server: &Server, credentials: Credentials) -> UploadUrl {
    builder(server).credentials(credentials).build().unwrap().upload_url().unwrap()
}

fn status(url: &str, method: Method) -> u16 {
    request(url, method, HeaderMap::new(), "").0
}

/// Returns the URL with the first digit of its signature replaced.
fn with_other_signature(url: &str) -> String {
    let (start, signature) = url.split_once("X-Goog-Signature=").unwrap();
    let digit = if signature.starts_with('0') { '1' } else { '0' };
    format!("{start}X-Goog-Signature={digit}{}", &signature[1..])
}

#[test]
fn tampered_urls_are_refused() {
    let server = Server::start();
    for credentials in both() {
        let UploadUrl { upload_url, download_url, .. } = pair(&server, credentials);
        assert_eq!((status(&upload_url, Method::PUT), status(&download_url, Method::GET)), (200, 200));
        assert_eq!(status(&download_url, Method::PUT), 403, "a URL for GET stores nothing");
        assert_eq!(status(&upload_url, Method::GET), 403);
        assert_eq!(status(&upload_url, Method::DELETE), 403);
        for (from, to) in [
            ("/test-bucket/", "/other-bucket/"),
            (".arrow?", ".arrow2?"),
            ("X-Goog-Expires=3600", "X-Goog-Expires=3601"),
            ("GOOG4-RSA-SHA256", "GOOG4-HMAC-SHA256"),
            ("test-iam-credentials", "other-account"),
            ("GOOG1EXAMPLE", "GOOG1OTHER"),
            ("X-Goog-SignedHeaders=host", "X-Goog-SignedHeaders=host%3Buser-agent"),
            ("&X-Goog-Signature=", "&response-content-type=text&X-Goog-Signature="),
        ] {
            let tampered = download_url.replacen(from, to, 1);
            if tampered != download_url {
                assert_eq!(status(&tampered, Method::GET), 403, "{from} -> {to}");
            }
        }
        assert_eq!(status(&with_other_signature(&download_url), Method::GET), 403);
        let unsigned = download_url.split("&X-Goog-Signature=").next().unwrap();
        assert_eq!(status(unsigned, Method::GET), 400);
    }
}

#[test]
fn urls_hold_for_their_lifetime_and_no_longer() {
    let server = Server::start();
    for credentials in both() {
        let UploadUrl { upload_url, download_url, .. } = pair(&server, credentials);
        assert_eq!(status(&upload_url, Method::PUT), 200);
        for (ahead, expected) in [(3_500, 200), (3_601, 400), (-600, 200), (-3_600, 400)] {
            server.state().ahead = ahead;
            assert_eq!(status(&download_url, Method::GET), expected, "{ahead}");
        }
        server.state().ahead = 0;
    }
}

#[test]
fn a_url_that_is_signed_for_a_header_takes_that_header_alone() {
    let server = Server::start();
    let endpoint = Endpoint::parse(&server.url).unwrap();
    let put = |url: &str, headers: &[(HeaderName, &'static str)]| {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        request(url, Method::PUT, headers.collect(), "x").0
    };
    let precondition = HeaderName::from_static("x-goog-if-generation-match");
    for credentials in both() {
        let mut url = UrlToSign::new("PUT", &endpoint, BUCKET, "typed");
        url.headers = &[("Content-Type", "application/octet-stream")];
        let signed = credentials.sign(&url).unwrap();
        // Like the canonical implementation: its URLs are signed for one type, and its clients send the other.
        assert_eq!(put(signed.as_str(), &[(CONTENT_TYPE, "application/vnd.apache.arrow.stream")]), 403);
        assert_eq!(put(signed.as_str(), &[]), 400);
        assert_eq!(put(signed.as_str(), &[(CONTENT_TYPE, "application/octet-stream")]), 200);
        server.state().objects.clear();

        let plain = credentials.sign(&UrlToSign::new("PUT", &endpoint, BUCKET, "plain")).unwrap();
        assert_eq!(put(plain.as_str(), &[(precondition.clone(), "0")]), 400, "x-goog headers must be signed");
        url.headers = &[("X-Goog-If-Generation-Match", " 0 ")];
        let signed = credentials.sign(&url).unwrap();
        assert_eq!(put(signed.as_str(), &[(precondition.clone(), "0")]), 200);
        server.state().objects.clear();
    }
}

#[test]
fn what_cannot_be_requested_is_not_signed() {
    let endpoint = Endpoint::default();
    let credentials = Credentials::from(hmac_key());
    let with = |change: &dyn Fn(&mut UrlToSign<'_>)| {
        let mut url = UrlToSign::new("GET", &endpoint, BUCKET, "object");
        change(&mut url);
        credentials.sign(&url).map(|_| ())
    };
    assert_eq!(with(&|_| {}), Ok(()));
    let second = Duration::from_secs(1);
    for (lifetime, is_valid) in [
        (Duration::ZERO, false),
        (second - Duration::from_nanos(1), false),
        (second, true),
        (604_800 * second, true),
        (604_800 * second + Duration::from_nanos(1), false),
        (604_801 * second, false),
        (Duration::MAX, false),
    ] {
        let expected = if is_valid { Ok(()) } else { Err(SignError::Lifetime { got: lifetime }) };
        assert_eq!(with(&|url| url.lifetime = lifetime), expected);
    }
    for time in [
        UNIX_EPOCH - second,
        UNIX_EPOCH + Duration::from_secs(253_402_300_800),
        UNIX_EPOCH + Duration::from_secs(1 << 62),
    ] {
        assert_eq!(with(&|url| url.signed_at = time), Err(SignError::Time), "{time:?}");
    }
    for path in ["", "object", "/b/../object", "/b/./o", "/b/..", "/b/%2e%2e/o/..", "/b/a\nb", "/b/\0"] {
        assert_eq!(with(&|url| url.path = path.to_owned()), Err(SignError::Path), "{path}");
    }
    assert_eq!(with(&|url| url.path = "/b/%2e%2e/o".to_owned()), Ok(()), "its percent signs are encoded");
    for method in ["", "get", "GET /", "GET\n"] {
        assert_eq!(with(&|url| url.method = method), Err(SignError::Method), "{method}");
    }
    for header in [
        ("", "x"),
        ("a:b", "x"),
        ("a b", "x"),
        ("a\n", "x"),
        ("é", "x"),
        ("Host", "x"),
        ("a", "x\r\ny"),
        ("a", "\0"),
    ] {
        let mut url = UrlToSign::new("GET", &endpoint, BUCKET, "object");
        let headers = [header];
        url.headers = &headers;
        assert_eq!(credentials.sign(&url).err(), Some(SignError::Header), "{header:?}");
    }
    let long = format!("/{}", "x".repeat(20_000));
    assert!(matches!(with(&|url| url.path = long.clone()), Err(SignError::Location(_))));
    let mut shown = UrlToSign::new("GET", &endpoint, BUCKET, "object");
    shown.headers = &[("x-goog-encryption-key", "s3cr3t")];
    shown.query = &[("x", "s3cr3t")];
    assert!(!format!("{shown:?}").contains("s3cr3t"));
    assert!(shown.signed_at <= SystemTime::now());
}
