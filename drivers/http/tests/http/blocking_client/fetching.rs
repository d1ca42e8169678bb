//! Single requests to any URL.

use super::serving::*;
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use vgi_rpc_http::client::{FetchError, RequestOptions, UrlError, fetch};

#[test]
fn a_request_is_answered_on_a_connection_of_its_own() {
    let (url, thread) = accept(2, |_, socket| {
        converse(socket, |head, body| {
            assert_eq!(head.headers["connection"], "close");
            let text = format!("{} {} {}", head.method, head.uri, head.headers["x-mark"].to_str().unwrap());
            Some(http::Response::new(vec![text.into(), body]))
        });
    });
    for method in ["GET", "PUT"] {
        let mut request = request(method);
        request.headers_mut().insert("x-mark", HeaderValue::from_static("m"));
        if method == "PUT" {
            *request.body_mut() = vec![Bytes::from_static(b" one"), Bytes::from(vec![b'x'; 300_000])];
        }
        let response = fetch(&format!("{url}/a/b?q=1"), request, &RequestOptions::default()).unwrap();
        let expected = format!("{method} /a/b?q=1 m");
        assert!(response.body().starts_with(expected.as_bytes()), "{:?}", &response.body()[..20]);
        let rest = response.body().len() - expected.len();
        assert_eq!((response.status(), rest), (StatusCode::OK, if method == "PUT" { 300_004 } else { 0 }));
    }
    thread.join().unwrap();
}

#[test]
fn a_body_over_the_limit_is_not_held() {
    let (url, thread) = accept(1, |_, socket| converse(socket, |_, _| Some(status(200, &[0; 1001]))));
    let mut options = RequestOptions::default();
    options.max_body_bytes = 1000;
    let error = fetch(&url, request("GET"), &options).unwrap_err();
    assert!(matches!(error, FetchError::Response(_)) && error.to_string().contains("1000"), "{error}");
    thread.join().unwrap();
}

#[test]
fn urls_that_lead_nowhere_are_refused_and_not_repeated() {
    for url in ["", "x", "/path", "ftp://host/", "http://user:secret@host/"] {
        let error = fetch(url, request("GET"), &RequestOptions::default()).unwrap_err();
        assert!(matches!(error, FetchError::Url(_)) && !error.may_have_reached_server(), "{error}");
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
    assert_eq!(
        vgi_rpc_http::client::HttpOptions::default().build("http://h/?a=b").unwrap_err().to_string(),
        UrlError::Query.to_string()
    );
}
