//! Parses a head: its first line, and its fields as a `HeaderMap` that shares the head's memory.

use super::{Limits, Malformed};
use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use httparse::{Header, Status};
use std::borrow::Cow;

/// Parses the fields of `head` from `start` to the empty line. Values refer to `head` and are not copied.
pub(super) fn parse_fields(head: &Bytes, start: usize) -> Result<HeaderMap, Malformed> {
    let mut space = [httparse::EMPTY_HEADER; Limits::MAX_FIELDS];
    let fields = split_fields(head.get(start..).unwrap_or_default(), &mut space)?;
    let mut headers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Malformed::FieldName)?;
        let value = head.slice_ref(field.value);
        let mut value = HeaderValue::from_maybe_shared(value).map_err(|_| Malformed::FieldValue)?;
        value.set_sensitive(may_be_secret(&name));
        headers.try_append(name, value).map_err(|_| Malformed::TooManyFields { max: Limits::MAX_FIELDS })?;
    }
    Ok(headers)
}

/// Checks a trailer section, which is then dropped: trailers must not change what the head says.
pub(super) fn check_trailers(section: &[u8]) -> Result<(), Malformed> {
    let mut space = [httparse::EMPTY_HEADER; Limits::MAX_FIELDS];
    split_fields(&unfolded(section), &mut space).map(drop)
}

/// Replaces each obsolete line folding by spaces. RFC 9112, section 5.2. [`HeadKind`](super::head_bytes::HeadKind) has determined
/// whether the message may have any.
pub(super) fn unfolded(lines: &[u8]) -> Cow<'_, [u8]> {
    let is_fold = |bytes: &[u8]| matches!(bytes, [b'\r', b'\n', b' ' | b'\t']);
    if !lines.windows(3).any(is_fold) {
        return Cow::Borrowed(lines);
    }
    let mut unfolded = lines.to_vec();
    for (at, _) in lines.windows(3).enumerate().filter(|(_, bytes)| is_fold(bytes)) {
        if let Some(line_end) = unfolded.get_mut(at..at + 2) {
            line_end.fill(b' ');
        }
    }
    Cow::Owned(unfolded)
}

/// Splits field lines up to an empty one. Line ends and control characters have been checked before.
fn split_fields<'h, 'b>(lines: &'b [u8], space: &'h mut [Header<'b>]) -> Result<&'h [Header<'b>], Malformed> {
    match httparse::parse_headers(lines, space) {
        Ok(Status::Complete((_, fields))) => Ok(fields),
        Err(httparse::Error::HeaderValue) => Err(Malformed::FieldValue),
        Err(httparse::Error::TooManyHeaders) => Err(Malformed::TooManyFields { max: Limits::MAX_FIELDS }),
        Ok(Status::Partial) | Err(_) => Err(Malformed::FieldName),
    }
}

/// Returns the first line of a head, and where the fields begin.
pub(super) fn first_line(head: &Bytes) -> (&[u8], usize) {
    let end = head.iter().position(|byte| *byte == b'\r').unwrap_or(head.len());
    (head.get(..end).unwrap_or_default(), end + "\r\n".len())
}

/// Parses `HTTP/1.0` or `HTTP/1.1`; any later minor version is read as 1.1: RFC 9110, section 2.5. Returns `or_else` if the bytes
/// are not a version: RFC 9112, section 2.3.
pub(super) fn parse_version(bytes: &[u8], or_else: Malformed) -> Result<Version, Malformed> {
    match bytes.strip_prefix(b"HTTP/") {
        Some(b"1.0") => Ok(Version::HTTP_10),
        Some([b'1', b'.', b'1'..=b'9']) => Ok(Version::HTTP_11),
        Some([major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9']) => {
            Err(Malformed::Version { major: major - b'0', minor: minor - b'0' })
        }
        _ => Err(or_else),
    }
}

/// Whether a value must not appear in debug output. Applications put tokens in their own fields too.
fn may_be_secret(name: &HeaderName) -> bool {
    [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, SET_COOKIE].contains(name)
        || name.as_str().starts_with("x-")
        || name.as_str().starts_with("vgi-")
}
