//! Parses a response's head strictly: RFC 9112, sections 4 to 6.

use crate::http1::framing::body_kind;
use crate::http1::head_fields::{first_line, parse_fields, parse_version, unfolded};
use crate::http1::{BodyKind, Malformed};
use bytes::Bytes;
use http::{Response, StatusCode, response};
use std::borrow::Cow;

/// Parses a response's head. `head` is complete, ends in an empty line, and has no bare line ends or control characters; fields
/// may be folded. `to_head`: the request's method was HEAD.
pub(super) fn parse(head: &Bytes, to_head: bool) -> Result<(response::Parts, BodyKind), Malformed> {
    let unfolded = match unfolded(head) {
        Cow::Borrowed(_) => head.clone(),
        Cow::Owned(bytes) => bytes.into(),
    };
    let head = &unfolded;
    let (line, fields_at) = first_line(head);
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let version = parse_version(words.next().unwrap_or_default(), Malformed::StatusLine)?;
    // The reason is for humans; many servers omit it together with the space before it.
    let status = words.next().and_then(|status| StatusCode::from_bytes(status).ok());
    let status = status.filter(|status| status.as_u16() < 600).ok_or(Malformed::StatusLine)?;
    let headers = parse_fields(head, fields_at)?;

    // Checked even if there is no body: a message that two readers could frame differently is refused.
    let stated = body_kind(&headers, version)?;
    let has_no_body = status.is_informational()
        || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status)
        || to_head;
    let body = match stated {
        _ if has_no_body => BodyKind::None,
        BodyKind::None => BodyKind::UntilEof,
        stated => stated,
    };
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = status;
    parts.version = version;
    parts.headers = headers;
    Ok((parts, body))
}
