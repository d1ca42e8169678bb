//! Names of the protocol's HTTP headers, and how media types and `Vary` are read and written. WIRE_PROTOCOL 10 and 17.

use http::header::{CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: HeaderName = HeaderName::from_static($text);)*
    };
}

names! {
    /// Correlates a request with its answer, its logs and its errors.
    REQUEST_ID = "x-request-id";
    /// `true` on a 200 whose body says that the call failed.
    RPC_ERROR = "x-vgi-rpc-error";
    /// Content codings that the client accepts; outranks `Accept-Encoding`.
    ACCEPT_ENCODING = "x-vgi-accept-encoding";
    /// The body's content coding, when it was negotiated by [`ACCEPT_ENCODING`].
    CONTENT_ENCODING = "x-vgi-content-encoding";
    /// The most bytes that the client accepts in a response.
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
    /// What systems for tracing say of the trace beside that. W3C Trace Context.
    TRACESTATE = "tracestate";
    /// Names the caller's span and its trace, as Sentry does.
    SENTRY_TRACE = "sentry-trace";
    /// `true` on every 401 of a service whose authentication depends on a proxy.
    AUTH_PROXY_REQUIRED = "vgi-auth-proxy-required";
}

/// Before the name of each header that the client is to send from the opening of a session on.
pub const ECHO_PREFIX: &str = "vgi-echo-";

/// The content type of every request and of every answer to a call.
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
        // As every answer with a body has it.
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
