//! Heads of HTTP messages in an input's notation: one line for each header, an empty line, and the body.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Returns the first line and the rest.
pub fn line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
    let (line, rest) = text.split_at(end);
    (line, rest.strip_prefix(b"\n").unwrap_or(rest))
}

/// Returns the valid headers, and the body after the empty line.
pub fn headers_and_body(mut text: &[u8]) -> (HeaderMap, Bytes) {
    let mut headers = HeaderMap::new();
    while !text.is_empty() {
        let (line, rest) = line(text);
        text = rest;
        if line.is_empty() {
            break;
        }
        let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(at);
        let value = value.strip_prefix(b":").unwrap_or_default().trim_ascii();
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    (headers, Bytes::copy_from_slice(text))
}
