//! Parses a request's head strictly: RFC 9112, sections 3 to 6.

use super::response::Exchange;
use crate::http1::framing::{body_kind, is_persistent};
use crate::http1::head_fields::{first_line, parse_fields, parse_version};
use crate::http1::target::{check_host, parse_target};
use crate::http1::{BodyKind, Limits, Malformed};
use bytes::Bytes;
use http::header::EXPECT;
use http::{HeaderMap, Method, Request, Version, request};

/// Parses a request's head. `head` is complete, ends in an empty line, and has no bare line ends or control characters.
pub(super) fn parse(
    head: &Bytes,
    limits: &Limits,
) -> Result<(request::Parts, BodyKind, Exchange), Malformed> {
    let (line, fields_at) = first_line(head);
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Malformed::RequestLine);
    };
    let version = parse_version(version, Malformed::RequestLine)?;
    let method = Method::from_bytes(method).map_err(|_| Malformed::RequestLine)?;
    if target.len() > limits.max_target_bytes {
        return Err(Malformed::TargetTooLong { max: limits.max_target_bytes });
    }
    let uri = parse_target(&method, head.slice_ref(target))?;
    let mut headers = parse_fields(head, fields_at)?;
    let body = body_kind(&headers, version)?;
    check_host(&mut headers, version, &uri)?;
    let expects_continue = expects_continue(&headers, version)?;

    let (mut parts, ()) = Request::new(()).into_parts();
    let exchange = Exchange {
        is_head: method == Method::HEAD,
        is_http10: version == Version::HTTP_10,
        is_persistent: is_persistent(&headers, version),
        expects_continue: expects_continue && !matches!(body, BodyKind::None | BodyKind::Length(0)),
    };
    parts.method = method;
    parts.uri = uri;
    parts.version = version;
    parts.headers = headers;
    Ok((parts, body, exchange))
}

/// Whether the client waits for `100 Continue`. RFC 9110, section 10.1.1.
fn expects_continue(headers: &HeaderMap, version: Version) -> Result<bool, Malformed> {
    let mut expectations = headers.get_all(EXPECT).iter().peekable();
    if version == Version::HTTP_10 || expectations.peek().is_none() {
        return Ok(false);
    }
    if expectations.any(|value| !value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Err(Malformed::Expectation);
    }
    Ok(true)
}
