//! Names of the protocol's HTTP headers; comparing media types and writing `Vary`. WIRE_PROTOCOL 10 and 17.

use http::header::{CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: HeaderName = HeaderName::from_static($text);)*
    };
}

names! {
    /// Correlates a request with its response, its logs and its errors.
    REQUEST_ID = "x-request-id";
    /// `true` on a 200 whose body contains the error of the call.
    RPC_ERROR = "x-vgi-rpc-error";
    /// Content codings that the client accepts; outranks `Accept-Encoding`.
    ACCEPT_ENCODING = "x-vgi-accept-encoding";
    /// The body's content coding, when it was negotiated by [`ACCEPT_ENCODING`].
    CONTENT_ENCODING = "x-vgi-content-encoding";
    /// The maximum response size that the client accepts, in bytes.
    ACCEPT_MAX_RESPONSE_BYTES = "vgi-accept-max-response-bytes";
    /// A sticky session's token.
    SESSION = "vgi-session";
    /// `true` when the client keeps track of a session that a call opens.
    SESSION_ACCEPT = "vgi-session-accept";
    /// `true` when the call closed its session.
    SESSION_CLOSE = "vgi-session-close";
    /// Proof that a trusted proxy forwarded the request.
    PROXY_PROOF = "vgi-proxy-proof";
    /// Why a request was refused with 401.
    AUTH_REASON = "vgi-auth-reason";
    /// Names the caller's span and its trace. W3C Trace Context.
    TRACEPARENT = "traceparent";
    /// Vendor-specific data of the trace. W3C Trace Context.
    TRACESTATE = "tracestate";
    /// Names the caller's span and its trace, as Sentry does.
    SENTRY_TRACE = "sentry-trace";
    /// `true` on every 401 of a service whose authentication depends on a proxy.
    AUTH_PROXY_REQUIRED = "vgi-auth-proxy-required";
}

/// The prefix of response headers that a client must send back in every later request of a session.
pub const ECHO_PREFIX: &str = "vgi-echo-";

/// The content type of every request and response of a call.
pub const ARROW_STREAM: &str = "application/vnd.apache.arrow.stream";

/// Whether the one `Content-Type` has this type and subtype. Case and parameters do not matter: RFC 9110, section 8.3.1.
pub(crate) fn is_media_type(headers: &HeaderMap, expected: &str) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(expected.as_bytes())
}

/// Adds to `Vary` the names of request headers that the response depends on. RFC 9110, section 12.5.5.
pub(crate) fn vary(response: &mut HeaderMap, names: &[&HeaderName]) {
    if *names == [&http::header::ACCEPT_ENCODING, &ACCEPT_ENCODING] && !response.contains_key(VARY) {
        // As in every response with a body.
        response.insert(VARY, HeaderValue::from_static("accept-encoding, x-vgi-accept-encoding"));
        return;
    }
    let listed = response.get(VARY).and_then(|value| value.to_str().ok()).into_iter();
    let all: Vec<&str> = listed.chain(names.iter().map(|name| name.as_str())).collect();
    if let Ok(value) = HeaderValue::try_from(all.join(", ")) {
        response.insert(VARY, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_have_no_case_and_parameters_do_not_matter() {
        let is_arrow = |values: &[&'static str]| {
            let lines = values.iter().map(|value| (CONTENT_TYPE, HeaderValue::from_static(value)));
            is_media_type(&lines.collect(), ARROW_STREAM)
        };
        let same = [
            "application/vnd.apache.arrow.stream",
            "Application/VND.Apache.Arrow.Stream",
            "application/vnd.apache.arrow.stream;charset=utf-8",
            "application/vnd.apache.arrow.stream \t; a=\"b;c\"",
            "application/vnd.apache.arrow.stream ;",
        ];
        assert!(same.iter().all(|value| is_arrow(&[value])));
        let others = [
            "",
            ";",
            "application/vnd.apache.arrow.file",
            "application/vnd.apache.arrow.streams",
            "application/vnd.apache.arrow.stream, text/html",
            "text/html; application/vnd.apache.arrow.stream",
        ];
        assert!(!others.iter().any(|value| is_arrow(&[value])));
        assert!(!is_arrow(&[]) && !is_arrow(&[ARROW_STREAM, ARROW_STREAM]));
    }

    #[test]
    fn names_are_added_to_one_line() {
        let mut headers = HeaderMap::new();
        vary(&mut headers, &[&http::header::ORIGIN]);
        vary(&mut headers, &[&http::header::ACCEPT, &ACCEPT_ENCODING]);
        assert_eq!(headers[VARY], "origin, accept, x-vgi-accept-encoding");
        assert_eq!(headers.len(), 1);
    }
}
