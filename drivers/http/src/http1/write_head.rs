//! Writes heads, and refuses fields that would break their syntax.

use super::CommandError;
use http::header::{CONNECTION, CONTENT_LENGTH, TE, TRAILER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName};
use std::io::Write;

/// The fields that only the connection writes, because they determine where a message ends or whether the connection closes.
/// `Connection` is not one of them: users may set `close`, which is read and then written again.
const FRAMING_FIELDS: [HeaderName; 4] =
    [TRANSFER_ENCODING, TRAILER, TE, HeaderName::from_static("keep-alive")];

/// Checks fields that a user set: none of the framing fields, and no value with a control character. The types of `http`
/// guarantee the latter, unless a value was created without checks.
pub(super) fn check_fields(headers: &HeaderMap) -> Result<(), CommandError> {
    for name in FRAMING_FIELDS {
        if headers.contains_key(&name) {
            return Err(CommandError::FramingField(name));
        }
    }
    for (name, value) in headers {
        if value.as_bytes().iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Err(CommandError::FieldValue(name.clone()));
        }
    }
    Ok(())
}

/// Appends the fields to a head, then the connection's own, and ends it.
pub(super) fn write_fields(
    head: &mut Vec<u8>,
    headers: &HeaderMap,
    content_length: Option<u64>,
    connection: Option<&str>,
) {
    for (name, value) in headers {
        if *name != CONNECTION && *name != CONTENT_LENGTH {
            write_field(head, name.as_str(), value.as_bytes());
        }
    }
    if let Some(length) = content_length {
        // Writing to memory cannot fail.
        let _ = write!(head, "content-length: {length}\r\n");
    }
    if let Some(option) = connection {
        write_field(head, "connection", option.as_bytes());
    }
    head.extend_from_slice(b"\r\n");
}

pub(super) fn write_field(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}
