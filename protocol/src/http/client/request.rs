//! Request heads: the URI, and the header fields with what the client accepts.

use super::session::Session;
use super::settings::Settings;
use crate::http::coding::Coding;
use crate::http::headers::{ACCEPT_ENCODING, ACCEPT_MAX_RESPONSE_BYTES, ARROW_STREAM};
use arrow_schema::ArrowError;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Uri};
use std::fmt::Write;

/// Creates a request with the common headers, and without a body.
pub(super) fn request(
    settings: &Settings,
    method: Method,
    uri: Uri,
    session: Option<&Session>,
) -> Request<Vec<Bytes>> {
    let mut request = Request::new(Vec::new());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    *headers = settings.headers.clone();
    // The protocol's own header has priority over headers that an HTTP library may add.
    headers.insert(ACCEPT_ENCODING, accepted_codings(&settings.codings));
    if let Some(limit) = settings.max_response_bytes {
        headers.insert(ACCEPT_MAX_RESPONSE_BYTES, limit.into());
    }
    if let Some(session) = session {
        session.write(headers);
    }
    request
}

/// Creates a request for an Arrow stream.
pub(super) fn arrow_request(settings: &Settings, uri: Uri, session: Option<&Session>) -> Request<Vec<Bytes>> {
    let mut request = request(settings, Method::POST, uri, session);
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(ARROW_STREAM));
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static(ARROW_STREAM));
    request
}

fn accepted_codings(codings: &[Coding]) -> HeaderValue {
    let tokens: Vec<&str> = codings.iter().map(|coding| coding.as_str()).collect();
    HeaderValue::try_from(tokens.join(", "))
        .ok()
        .filter(|value| !value.is_empty())
        .unwrap_or(HeaderValue::from_static("identity"))
}

/// Returns the URI of a path below the prefix. Segments are percent-encoded as needed.
pub(super) fn uri(settings: &Settings, segments: &[&str]) -> Result<Uri, ArrowError> {
    let mut path = settings.prefix.clone();
    for segment in segments {
        path.push('/');
        for byte in segment.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => path.push(byte.into()),
                // Writing to a string cannot fail.
                _ => drop(write!(path, "%{byte:02X}")),
            }
        }
    }
    path.parse().map_err(|error| ArrowError::InvalidArgumentError(format!("the call has no URI: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_keep_their_segments_apart() {
        let settings = Settings { prefix: "/vgi".into(), ..Settings::default() };
        let path = |segments: &[&str]| uri(&settings, segments).map(|uri| uri.to_string());
        assert_eq!(path(&["a.B", "m", "init"]).unwrap(), "/vgi/a.B/m/init");
        assert_eq!(path(&["a/../B?x", "ü%"]).unwrap(), "/vgi/a%2F..%2FB%3Fx/%C3%BC%25");
        assert!(path(&[&"x".repeat(1 << 17)]).is_err());
    }

    #[test]
    fn without_codings_none_is_asked_for() {
        let all = if cfg!(feature = "zstd") { "zstd, gzip" } else { "gzip" };
        assert_eq!(accepted_codings(Coding::ALL), all);
        assert_eq!(accepted_codings(&[]), "identity");
    }
}
