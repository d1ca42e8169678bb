//! Where a message's body ends, and whether the connection persists after it: RFC 9112, sections 6 and 9.3.

use super::Malformed;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Version};

/// How the body of a message is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// There is no body.
    None,
    /// The length from `Content-Length`; may be 0.
    Length(u64),
    /// In chunks, with an unknown total length.
    Chunked,
    /// Up to the end of the connection: responses only.
    UntilEof,
}

/// Determines the body's framing from the fields. [`BodyKind::None`] if no field specifies it.
pub(super) fn body_kind(headers: &HeaderMap, version: Version) -> Result<BodyKind, Malformed> {
    let length = content_length(headers)?;
    if !headers.contains_key(TRANSFER_ENCODING) {
        return Ok(length.map_or(BodyKind::None, BodyKind::Length));
    }
    if version == Version::HTTP_10 {
        return Err(Malformed::CodingInHttp10);
    }
    if length.is_some() {
        return Err(Malformed::LengthAndCoding);
    }
    check_chunked(headers)?;
    Ok(BodyKind::Chunked)
}

/// Returns the value of `Content-Length`, if present.
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Malformed> {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() || value.as_bytes().contains(&b',') {
        return Err(Malformed::RepeatedContentLength);
    }
    parse_length(value).map(Some).ok_or(Malformed::InvalidContentLength)
}

/// Parses decimal digits and nothing else.
pub(super) fn parse_length(value: &HeaderValue) -> Option<u64> {
    let digits = value.as_bytes();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Checks for `chunked`, the only supported coding.
fn check_chunked(headers: &HeaderMap) -> Result<(), Malformed> {
    let mut after_chunked = false;
    let mut is_known = true;
    for coding in headers.get_all(TRANSFER_ENCODING).iter().flat_map(list_elements) {
        if after_chunked || !is_token(coding) {
            return Err(Malformed::InvalidTransferEncoding);
        }
        after_chunked = coding.eq_ignore_ascii_case(b"chunked");
        is_known &= after_chunked;
    }
    if is_known { Ok(()) } else { Err(Malformed::UnknownTransferCoding) }
}

/// Whether a list field has this element, in any case.
pub(super) fn has_element(headers: &HeaderMap, name: HeaderName, element: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .flat_map(list_elements)
        .any(|found| found.eq_ignore_ascii_case(element.as_bytes()))
}

/// Whether the connection persists after a message with these fields. RFC 9112, section 9.3.
pub(super) fn is_persistent(headers: &HeaderMap, version: Version) -> bool {
    let closes = has_element(headers, CONNECTION, "close");
    !closes && (version != Version::HTTP_10 || has_element(headers, CONNECTION, "keep-alive"))
}

/// Returns the elements of a comma-separated list, without the surrounding white space.
fn list_elements(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// RFC 9110, section 5.6.2.
fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}
