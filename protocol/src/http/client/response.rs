//! From a response to the Arrow streams in it, or to why there are none. WIRE_PROTOCOL 13, "HTTP status code
//! mapping": the body says what became of a call, whatever the status, with 401 for an exception.

use super::error::{ForeignAnswer, ResponseError};
use super::retry_after::retry_after;
use super::settings::Settings;
use crate::http::coding::{Codecs, DecodeError, of_response};
use crate::http::headers::{ARROW_STREAM, is_media_type};
use crate::http::unauthorized::Unauthorized;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::response::Parts;
use http::{StatusCode, Version};

/// As much of a body that is no Arrow stream as is decoded, in bytes.
const MAX_FOREIGN_BYTES: u64 = 64 << 10;
/// As much of it as is kept, in characters.
const MAX_FOREIGN_TEXT: usize = 500;
/// As much of a content type as is kept, in characters.
const MAX_CONTENT_TYPE: usize = 100;

/// The most bytes that a decoded response may have.
pub(super) fn limit(settings: &Settings) -> u64 {
    settings.max_response_bytes.unwrap_or(settings.limits.max_body_bytes)
}

/// The Arrow streams of a response, content coding undone.
pub(super) fn streams(
    settings: &Settings,
    codecs: &Codecs,
    parts: &Parts,
    body: Bytes,
) -> Result<Bytes, ResponseError> {
    if !is_media_type(&parts.headers, ARROW_STREAM) || parts.status == StatusCode::UNAUTHORIZED {
        return Err(foreign(codecs, parts, &body));
    }
    let limit = limit(settings);
    let body = match of_response(&parts.headers)? {
        Some(coding) => codecs.decode(coding, &body, limit).map_err(|error| match error {
            DecodeError::TooLarge { .. } => ResponseError::TooLarge { limit },
            error => error.into(),
        })?,
        None => body,
    };
    if body.len() as u64 > limit {
        return Err(ResponseError::TooLarge { limit });
    }
    Ok(body)
}

/// What is said of a response without Arrow streams.
pub(super) fn foreign(codecs: &Codecs, parts: &Parts, body: &Bytes) -> ResponseError {
    let decoded = of_response(&parts.headers).ok().flatten();
    // A text that is coded and too long or broken tells people nothing; the status does.
    let body = match decoded {
        Some(coding) => codecs.decode(coding, body, MAX_FOREIGN_BYTES).unwrap_or_default(),
        None => body.clone(),
    };
    if let Some(unauthorized) = Unauthorized::from_response(parts.status, &parts.headers, &body) {
        return ResponseError::Unauthorized(unauthorized.into());
    }
    let content_type =
        parts.headers.get(CONTENT_TYPE).map(|value| presentable(value.as_bytes(), MAX_CONTENT_TYPE));
    let answer = ForeignAnswer {
        status: parts.status,
        content_type,
        retry_after: retry_after(&parts.headers),
        body: presentable(&body, MAX_FOREIGN_TEXT),
    };
    ResponseError::Foreign(answer.into())
}

/// Whether the message's framing proves that the body has come whole: a length, a transfer coding that has an end,
/// or a version of HTTP whose streams have one. A body that ends where the connection does may have been cut.
pub(super) fn is_proven_whole(parts: &Parts, body: &Bytes) -> bool {
    let length = || parts.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse::<usize>().ok();
    parts.version > Version::HTTP_11
        || parts.headers.contains_key(TRANSFER_ENCODING)
        || length() == Some(body.len())
}

/// At most `limit` characters of what may be text, without those that steer a terminal.
fn presentable(bytes: &[u8], limit: usize) -> String {
    // Four bytes to a character at most.
    let start = bytes.get(..4 * limit).unwrap_or(bytes);
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    String::from_utf8_lossy(start).chars().take(limit).map(plain).collect::<String>().trim().to_owned()
}
