//! The limits of a response's size, and the error if it is exceeded. WIRE_PROTOCOL 10, "Capability discovery", and the
//! specification's page on HTTP response budgets.

use super::headers::ACCEPT_MAX_RESPONSE_BYTES;
use crate::service::ResponseBudget;
use crate::wire::code::Code;
use crate::wire::error::RpcError;
use crate::wire::text::Limit;
use http::HeaderMap;
use std::ops::RangeInclusive;

/// The limits that a client may set: from 64 KiB to the largest integer that every peer can represent.
pub const ACCEPTED_LIMITS: RangeInclusive<u64> = 65_536..=9_007_199_254_740_991;

/// Type of the error that replaces a response that is too large.
const TOO_LARGE_TYPE: &str = "ResponseTooLargeError";
/// How much of a refused value an error shows.
const SHOWN: Limit = Limit::bytes(64);

/// A `VGI-Accept-Max-Response-Bytes` that breaks the grammar: status 400, before any method runs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected VGI-Accept-Max-Response-Bytes to be one canonical decimal integer from {} to {}, got {found:?}",
    ACCEPTED_LIMITS.start(),
    ACCEPTED_LIMITS.end()
)]
pub struct InvalidLimit {
    /// The value of the header, truncated.
    pub found: String,
}

/// Returns the limit that a request sets, or `None` if it sets none. Only one value of ASCII digits without a sign or leading
/// zeros is valid.
///
/// # Errors
/// If the header is present but has another form.
pub fn accepted(headers: &HeaderMap) -> Result<Option<u64>, InvalidLimit> {
    let mut values = headers.get_all(&ACCEPT_MAX_RESPONSE_BYTES).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.as_bytes().trim_ascii(),
        (Some(_), Some(_)) => {
            return Err(InvalidLimit { found: format!("{} values", values.count().saturating_add(2)) });
        }
    };
    canonical(value).map(Some).ok_or_else(|| InvalidLimit { found: SHOWN.lossy(value) })
}

fn canonical(value: &[u8]) -> Option<u64> {
    if value.first() == Some(&b'0') || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let limit = std::str::from_utf8(value).ok()?.parse().ok()?;
    ACCEPTED_LIMITS.contains(&limit).then_some(limit)
}

/// Returns the smaller of two limits. `None` means no limit.
pub fn tighter(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (limit, None) | (None, limit) => limit,
    }
}

/// Returns the budget of a response from the server's limit, the client's limit and the server's preferred size.
pub fn effective(server: Option<u64>, client: Option<u64>, preferred: Option<u64>) -> ResponseBudget {
    tightened(ResponseBudget { limit: server, preferred }, client)
}

/// Applies another limit to a budget, for example the one that a stream began with. The budget never grows.
pub fn tightened(budget: ResponseBudget, limit: Option<u64>) -> ResponseBudget {
    let limit = tighter(budget.limit, limit);
    // Without a preference, the limit is the target size.
    ResponseBudget { limit, preferred: tighter(budget.preferred, limit) }
}

/// Checks the size of a successful response: bytes of decoded Arrow IPC with framing, before content coding.
///
/// # Errors
/// [`too_large`], which is sent instead of the response and without a continuation.
pub fn check(budget: ResponseBudget, method: &str, actual: u64) -> Result<(), RpcError> {
    match budget.limit {
        Some(limit) if actual > limit => Err(too_large(method, actual, limit)),
        _ => Ok(()),
    }
}

/// Returns the error that replaces a response of `actual` bytes over `limit`. It is not retryable, because the response would
/// be as large again.
pub fn too_large(method: &str, actual: u64, limit: u64) -> RpcError {
    let message =
        format!("the response of method {method:?} exceeds max_response_bytes ({actual} > {limit})");
    RpcError::new(TOO_LARGE_TYPE, message).with_code(Code::ResourceExhausted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn limit(values: &[&str]) -> Result<Option<u64>, InvalidLimit> {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(ACCEPT_MAX_RESPONSE_BYTES, value);
        }
        accepted(&headers)
    }

    /// `valid_values` and `invalid_values` of the specification's vectors.
    #[test]
    fn limits_follow_the_vectors() {
        for (raw, value) in
            [("65536", 65_536), ("268435456", 268_435_456), ("9007199254740991", 9_007_199_254_740_991)]
        {
            assert_eq!(limit(&[raw]), Ok(Some(value)));
        }
        let invalid = ["", "0", "1", "65535", "01", "+1", "-1", "1.0", "1, 2", "9007199254740992", "\u{661}"];
        for raw in invalid {
            assert_eq!(limit(&[raw]), Err(InvalidLimit { found: raw.into() }), "{raw:?}");
        }
    }

    #[test]
    fn beyond_the_vectors() {
        assert_eq!(limit(&[]), Ok(None));
        assert_eq!(limit(&[" 65536\t"]), Ok(Some(65_536)), "white space around a value is no part of it");
        for raw in ["065536", "6_5536", "65536,", "0x10000", "99999999999999999999999999"] {
            assert!(limit(&[raw]).is_err(), "{raw:?}");
        }
        assert_eq!(limit(&["65536", "65536"]), Err(InvalidLimit { found: "2 values".into() }));
        assert_eq!(limit(&[&"9".repeat(9000)]).unwrap_err().found, "9".repeat(64) + "…");
    }

    /// `precedence` of the specification's vectors.
    #[test]
    fn budgets_follow_the_vectors() {
        let budget = |application, hosting, client, preferred| {
            let budget = effective(tighter(application, hosting), client, preferred);
            (budget.limit, budget.preferred)
        };
        assert_eq!(budget(None, None, None, None), (None, None));
        assert_eq!(
            budget(Some(100_000), Some(80_000), Some(70_000), Some(90_000)),
            (Some(70_000), Some(70_000))
        );
        assert_eq!(
            budget(Some(70_000), Some(80_000), Some(90_000), Some(66_000)),
            (Some(70_000), Some(66_000))
        );
    }

    #[test]
    fn a_later_limit_tightens_and_never_loosens() {
        let sealed = effective(Some(70_000), None, None);
        assert_eq!(tightened(sealed, Some(90_000)), sealed);
        assert_eq!(tightened(sealed, None), sealed);
        let tight = ResponseBudget { limit: Some(66_000), preferred: Some(66_000) };
        assert_eq!(tightened(sealed, Some(66_000)), tight);
    }

    #[test]
    fn a_response_over_the_limit_is_named_with_both_sizes() {
        let budget = effective(Some(70_000), None, None);
        assert_eq!(check(budget, "scan", 70_000), Ok(()));
        let error = check(budget, "scan", 70_001).unwrap_err();
        assert_eq!(error.error_type(), "ResponseTooLargeError");
        assert_eq!(error.code(), Code::ResourceExhausted);
        assert!(error.message().contains("max_response_bytes (70001 > 70000)"), "{}", error.message());
        assert!(error.message().contains("\"scan\""));
        assert!(!error.is_retryable());
        assert_eq!(check(ResponseBudget::default(), "scan", u64::MAX), Ok(()));
    }
}
