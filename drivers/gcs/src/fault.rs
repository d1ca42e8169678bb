//! Parses Cloud Storage's error responses.

use crate::error::GcsErrorKind;
use http::header::DATE;
use std::time::Duration;
use vgi_rpc_external::{HttpResponse, date, retry_after};

/// The maximum length of an error code.
const MAX_CODE_BYTES: usize = 64;
/// The number of bytes of an error that are searched for its code.
const MAX_SEARCHED_BYTES: usize = 4 << 10;
/// Smaller differences of clocks are not reported.
const MAX_SKEW_SECONDS: u64 = 60;

/// An error of the server.
pub(crate) struct Fault {
    pub(crate) kind: GcsErrorKind,
    /// Whether another attempt may succeed.
    pub(crate) is_temporary: bool,
    /// The wait before the next attempt that the server asks for.
    pub(crate) retry_after: Option<Duration>,
}

impl Fault {
    /// Parses a response that was received at this time since the Unix epoch, by this machine's clock.
    pub(crate) fn read(response: &HttpResponse, now: Duration) -> Self {
        let status = response.status.as_u16();
        let code = code(&response.body).unwrap_or("none").to_owned();
        let kind = match status {
            // Times that are out of range result in a 400.
            401 | 403 => GcsErrorKind::Denied { code, skew: skew(response, now) },
            400 if skew(response, now).is_some() => GcsErrorKind::Denied { code, skew: skew(response, now) },
            429 | 503 => GcsErrorKind::Throttled { status, code },
            _ => GcsErrorKind::Service { status, code },
        };
        // These are the same as in Google's own clients.
        let is_temporary = matches!(status, 408 | 429 | 500 | 502 | 503 | 504);
        Self { kind, is_temporary, retry_after: retry_after(&response.headers) }
    }
}

/// Returns the code of an error. The rest of the error may repeat signed text.
fn code(body: &[u8]) -> Option<&str> {
    let body = body.get(..MAX_SEARCHED_BYTES.min(body.len()))?;
    // The text after the code may be cut in the middle of a character.
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(body.get(..error.valid_up_to())?).ok()?,
    };
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let is_code =
        (1..=MAX_CODE_BYTES).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_code.then_some(code)
}

/// Returns the seconds by which the server's clock is ahead, if the difference is large.
fn skew(response: &HttpResponse, now: Duration) -> Option<i64> {
    let (server, now) =
        (i64::try_from(date(&response.headers, DATE)?.as_secs()).ok()?, i64::try_from(now.as_secs()).ok()?);
    let skew = server.saturating_sub(now);
    (skew.unsigned_abs() > MAX_SKEW_SECONDS).then_some(skew)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plausible_code_is_kept_of_an_error() {
        let error = "<?xml version='1.0'?><Error><Code>SignatureDoesNotMatch</Code><Details>s3cr3t é</Details></Error>";
        assert_eq!(code(error.as_bytes()), Some("SignatureDoesNotMatch"));
        assert_eq!(code(&error.as_bytes()[..error.len() - 20]), Some("SignatureDoesNotMatch"));
        let long = format!("<Code>{}</Code>", "A".repeat(65));
        let late = format!("{}<Code>A</Code>", "é".repeat(2048));
        for text in
            ["", "<Code></Code>", "<Code>a b</Code>", "<Code>\u{1b}[2J</Code>", "<Code>A", &long, &late]
        {
            assert_eq!(code(text.as_bytes()), None, "{text}");
        }
        assert_eq!(code(b"\xff<Code>A</Code>"), None);
    }
}
