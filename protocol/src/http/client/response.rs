//! Returns the Arrow streams of a response, or why it has none. WIRE_PROTOCOL 13, "HTTP status code mapping": the body has the
//! result of a call, whatever the status, except for 401.

use super::error::{ForeignResponse, ResponseError};
use super::retry_after::retry_after;
use super::settings::Settings;
use crate::http::coding::{Codecs, DecodeError, of_response};
use crate::http::headers::{ARROW_STREAM, is_media_type};
use crate::http::unauthorized::Unauthorized;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::response::Parts;
use http::{StatusCode, Version};

/// The maximum size to which a body that is not an Arrow stream is decoded, in bytes.
const MAX_FOREIGN_BYTES: u64 = 64 << 10;
/// The maximum length of its text that is kept, in characters.
const MAX_FOREIGN_TEXT: usize = 500;
/// The maximum length of a content type that is kept, in characters.
const MAX_CONTENT_TYPE: usize = 100;

/// Returns the maximum size of a decoded response, in bytes.
pub(super) fn limit(settings: &Settings) -> u64 {
    settings.max_response_bytes.unwrap_or(settings.limits.max_body_bytes)
}

/// Returns the decoded Arrow streams of a response.
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

/// Returns the error for a response without Arrow streams.
pub(super) fn foreign(codecs: &Codecs, parts: &Parts, body: &Bytes) -> ResponseError {
    let decoded = of_response(&parts.headers).ok().flatten();
    // An encoded text that is too long or invalid is not useful; the status is.
    let body = match decoded {
        Some(coding) => codecs.decode(coding, body, MAX_FOREIGN_BYTES).unwrap_or_default(),
        None => body.clone(),
    };
    if let Some(unauthorized) = Unauthorized::from_response(parts.status, &parts.headers, &body) {
        return ResponseError::Unauthorized(unauthorized.into());
    }
    let content_type =
        parts.headers.get(CONTENT_TYPE).map(|value| presentable(value.as_bytes(), MAX_CONTENT_TYPE));
    let answer = ForeignResponse {
        status: parts.status,
        content_type,
        retry_after: retry_after(&parts.headers),
        body: presentable(&body, MAX_FOREIGN_TEXT),
    };
    ResponseError::Foreign(answer.into())
}

/// Whether the message's framing proves that the body is complete: a length, a transfer coding with an end, or an HTTP version
/// whose streams have an end. A body that ends with the connection may be truncated.
pub(super) fn is_proven_whole(parts: &Parts, body: &Bytes) -> bool {
    let length = || parts.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse::<usize>().ok();
    parts.version > Version::HTTP_11
        || parts.headers.contains_key(TRANSFER_ENCODING)
        || length() == Some(body.len())
}

/// Returns at most `limit` characters of what may be text, without terminal control characters.
fn presentable(bytes: &[u8], limit: usize) -> String {
    // At most four bytes per character.
    let start = bytes.get(..4 * limit).unwrap_or(bytes);
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    String::from_utf8_lossy(start).chars().take(limit).map(plain).collect::<String>().trim().to_owned()
}
