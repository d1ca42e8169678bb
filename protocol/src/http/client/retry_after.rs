//! Parses `Retry-After`. RFC 9110, section 10.2.3.

use chrono::NaiveDateTime;
use http::header::{DATE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use std::time::Duration;

/// The formats of a date: the current one and the two obsolete ones. RFC 9110, section 5.6.7.
const DATE_FORMATS: [&str; 3] =
    ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];

/// Returns the delay of `Retry-After`: seconds, or a date relative to the response's own `Date`. `None` if it has neither.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = text(headers, RETRY_AFTER)?;
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // An overflowing number of seconds saturates.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let until = date(text)?.signed_duration_since(date(self::text(headers, DATE)?)?);
    // A date in the past means no delay.
    Some(until.to_std().unwrap_or_default())
}

/// Like [`retry_after`], only for a response that refuses a call temporarily.
pub(super) fn refusal(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    let refuses = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status);
    if refuses { retry_after(headers) } else { None }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

fn date(text: &str) -> Option<NaiveDateTime> {
    DATE_FORMATS.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers<const N: usize>(values: [(HeaderName, &str); N]) -> HeaderMap {
        values.into_iter().map(|(name, value)| (name, value.parse().unwrap())).collect()
    }

    #[test]
    fn seconds_and_dates_are_waits() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (text, seconds) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("Sun, 06 Nov 1994 08:50:00 GMT", Some(23)),
            ("Sunday, 06-Nov-94 08:50:00 GMT", Some(23)),
            ("Sun Nov  6 08:50:00 1994", Some(23)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("99999999999999999999", Some(u64::MAX)),
            ("Mon, 06 Nov 1994 08:50:00 GMT", None),
            ("", None),
        ] {
            let found = retry_after(&headers([(RETRY_AFTER, text), (DATE, date)]));
            assert_eq!(found, seconds.map(Duration::from_secs), "{text:?}");
        }
        assert_eq!(retry_after(&headers([(RETRY_AFTER, date)])), None, "the server's clock is unknown");
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[test]
    fn only_a_refusal_asks_for_a_wait() {
        let headers = headers([(RETRY_AFTER, "1")]);
        for (status, seconds) in [(429, Some(1)), (503, Some(1)), (200, None), (301, None), (500, None)] {
            let found = refusal(StatusCode::from_u16(status).unwrap(), &headers);
            assert_eq!(found, seconds.map(Duration::from_secs), "{status}");
        }
    }
}
