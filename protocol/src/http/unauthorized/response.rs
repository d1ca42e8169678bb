//! The server's side: responses to requests that were not authenticated.

use super::{ProxyNote, page};
use crate::http::auth::AuthFailure;
use crate::http::headers::{AUTH_PROXY_REQUIRED, AUTH_REASON, vary};
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde::Serialize;

/// Creates the 401 responses of a service; has the parts that all of them share.
#[derive(Clone, Debug, Default)]
pub struct Refuser {
    note: Option<ProxyNote>,
    challenge: Option<HeaderValue>,
}

/// `unauthorized-spec.md` 4.3.
#[derive(Serialize)]
struct Envelope<'a> {
    error: &'static str,
    reason: &'static str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy_hint: Option<&'a str>,
}

impl Refuser {
    /// Creates a refuser whose responses all have a [note](ProxyNote) about these headers and this `WWW-Authenticate`. Both are
    /// optional.
    pub fn new<T: AsRef<str>>(
        proxy_headers: impl IntoIterator<Item = T>,
        challenge: Option<HeaderValue>,
    ) -> Self {
        Self { note: ProxyNote::new(proxy_headers), challenge }
    }

    /// Returns the note on every response.
    pub fn note(&self) -> Option<&ProxyNote> {
        self.note.as_ref()
    }

    /// Returns the 401 for a refused request with these headers: a page if one of its `Accept` headers contains `text/html`,
    /// otherwise the JSON envelope.
    pub fn refuse(&self, failure: &AuthFailure, request: &HeaderMap) -> Response<Bytes> {
        let hint = self.note.as_ref().map(ProxyNote::hint);
        let (content_type, body) = if wants_page(request) {
            ("text/html; charset=utf-8", page::render(failure, hint).into_bytes())
        } else {
            let envelope = Envelope {
                error: "unauthorized",
                reason: failure.reason.as_str(),
                detail: &failure.detail,
                proxy_hint: hint,
            };
            // Serialising an object of strings cannot fail; the reason is always in the header.
            ("application/json", serde_json::to_vec(&envelope).unwrap_or_default())
        };
        let mut response = plain(StatusCode::UNAUTHORIZED, content_type, body);
        let headers = response.headers_mut();
        vary(headers, &[&ACCEPT]);
        headers.insert(AUTH_REASON, HeaderValue::from_static(failure.reason.as_str()));
        if hint.is_some() {
            headers.insert(AUTH_PROXY_REQUIRED, HeaderValue::from_static("true"));
        }
        if let Some(challenge) = &self.challenge {
            headers.insert(WWW_AUTHENTICATE, challenge.clone());
        }
        response
    }
}

/// Returns the 503 for [`AuthError::Unavailable`](crate::http::auth::AuthError::Unavailable): the credential could not be
/// checked. `retry_after` is in seconds.
pub fn unavailable(retry_after: u32) -> Response<Bytes> {
    let body = br#"{"error":"unavailable","detail":"Authentication is unavailable"}"#;
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, "application/json", body.to_vec());
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after));
    response
}

/// Returns a response that must not be cached: the next request may be accepted.
fn plain(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Whether `Accept` contains `text/html`. The specification requires a text search without negotiation: only browsers ask for
/// `text/html`.
pub(crate) fn wants_page(request: &HeaderMap) -> bool {
    const PAGE: &[u8] = b"text/html";
    request
        .get_all(ACCEPT)
        .iter()
        .any(|accept| accept.as_bytes().windows(PAGE.len()).any(|window| window.eq_ignore_ascii_case(PAGE)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::auth::Reason;
    use serde_json::{Value, json};

    fn headers(accept: &[&'static str]) -> HeaderMap {
        accept.iter().map(|value| (ACCEPT, HeaderValue::from_static(value))).collect()
    }

    fn body(response: &Response<Bytes>) -> Value {
        serde_json::from_slice(response.body()).unwrap()
    }

    #[test]
    fn programs_get_the_envelope() {
        let failure =
            AuthFailure::new(Reason::ExpiredCredential, "token \"a\" is too old").with_diagnosis("secret");
        for accept in [headers(&[]), headers(&["*/*"]), headers(&["application/json", "text/plain"])] {
            let response = Refuser::default().refuse(&failure, &accept);
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
            assert_eq!(response.headers()[AUTH_REASON], "expired_credential");
            assert!(!response.headers().contains_key(AUTH_PROXY_REQUIRED));
            assert!(!response.headers().contains_key(WWW_AUTHENTICATE));
            let detail = "token \"a\" is too old";
            let expected = json!({"error": "unauthorized", "reason": "expired_credential", "detail": detail});
            assert_eq!(body(&response), expected);
        }
    }

    #[test]
    fn browsers_get_a_page_with_the_same_headers() {
        let failure = AuthFailure::new(Reason::MissingCredential, "");
        for accept in
            [headers(&["text/html,application/xhtml+xml"]), headers(&["a/b", "x/y, TEXT/HTML;q=0.1"])]
        {
            let answer = Refuser::new(["X-Cert"], None);
            let response = answer.refuse(&failure, &accept);
            assert_eq!(response.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
            assert_eq!(response.headers()[AUTH_REASON], "missing_credential");
            assert_eq!(response.headers()[AUTH_PROXY_REQUIRED], "true");
            let page = std::str::from_utf8(response.body()).unwrap();
            assert!(page.starts_with("<!DOCTYPE html>") && page.contains("X-Cert"), "{page}");
        }
    }

    #[test]
    fn note_and_challenge_are_on_every_answer() {
        let challenge = HeaderValue::from_static("Basic realm=\"x\"");
        let answer = Refuser::new(["X-Cert"], Some(challenge.clone()));
        for reason in Reason::ALL {
            let response = answer.refuse(&AuthFailure::new(reason, ""), &headers(&["*/*"]));
            assert_eq!(response.headers()[AUTH_PROXY_REQUIRED], "true");
            assert_eq!(body(&response)["proxy_hint"], answer.note().unwrap().hint());
            assert_eq!(body(&response)["reason"], reason.as_str());
            assert_eq!(body(&response)["detail"], "");
            assert_eq!(response.headers()[WWW_AUTHENTICATE], challenge);
        }
    }

    #[test]
    fn an_outage_is_no_refusal() {
        let response = unavailable(7);
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[RETRY_AFTER], "7");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert!(!response.headers().contains_key(AUTH_REASON));
    }
}
