//! Access checks, based on the caller's credentials and the time. IDENTITY_V2_SPEC 4.

use super::refusals::{introspection_refused, stale_auth};
use crate::service::AuthContext;
use crate::wire::error::RpcError;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// The maximum length of a token that is looked up, in bytes of UTF-8. IDENTITY_V2_SPEC 2.
pub const MAX_TOKEN_BYTES: usize = 4096;

/// The claim with the time of authentication, in seconds since the Unix epoch, as a number or its text.
const AUTH_TIME: &str = "auth_time";

/// How far in the future an authentication may be, because clocks differ.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Refuses a caller who is not on the list of introspectors. This is checked before the token, so that other callers learn
/// nothing about it, not even from the response time.
pub(super) fn check_introspector(
    auth: &AuthContext,
    introspectors: &BTreeSet<String>,
) -> Result<(), RpcError> {
    if auth.authenticated && introspectors.contains(&auth.principal) {
        return Ok(());
    }
    Err(introspection_refused("caller is not an introspector"))
}

/// Returns whether a token may be looked up: it is not blank, has at most [`MAX_TOKEN_BYTES`], and is not shaped like a JWS.
///
/// A JWS is validated with its issuer's keys. A resolver of opaque tokens must not see it, because it may be valid elsewhere.
/// Surrounding white space does not change a token's shape, but counts towards its length.
pub fn is_resolvable(token: &str) -> bool {
    let trimmed = trim(token);
    !trimmed.is_empty() && token.len() <= MAX_TOKEN_BYTES && !is_jws_shaped(trimmed)
}

/// Removes all Unicode white space from both ends, and the separators U+001C to U+001F, which Python also removes.
/// IDENTITY_V2_SPEC 4 specifies the minimum.
pub(crate) fn trim(token: &str) -> &str {
    token.trim_matches(|character: char| {
        character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
    })
}

/// Returns whether the text is three segments of base64url, of which the last may be empty.
fn is_jws_shaped(token: &str) -> bool {
    let is_segment =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    let mut segments = token.split('.');
    match (segments.next(), segments.next(), segments.next(), segments.next()) {
        (Some(header), Some(payload), Some(signature), None) => {
            !header.is_empty()
                && !payload.is_empty()
                && [header, payload, signature].into_iter().all(is_segment)
        }
        _ => false,
    }
}

/// Refuses a caller who has not authenticated within `max_age`. Otherwise returns the time.
///
/// A credential without a time of authentication cannot mint. Grants have none, so a grant cannot mint another. `now` is `None`
/// on transports that do not know the time, which refuses every caller.
pub(super) fn check_freshness(
    auth: &AuthContext,
    now: Option<Duration>,
    max_age: Duration,
) -> Result<Duration, RpcError> {
    if !auth.authenticated || auth.principal.trim().is_empty() {
        return Err(stale_auth("caller is not authenticated"));
    }
    let claim = auth.claims.get(AUTH_TIME).filter(|claim| !claim.is_null()).ok_or_else(|| {
        stale_auth("credential carries no auth_time; only a recently authenticated user may mint a grant")
    })?;
    let auth_time = seconds(claim).ok_or_else(|| stale_auth("credential carries an unusable auth_time"))?;
    let now = now.ok_or_else(|| stale_auth("this transport cannot tell how old an authentication is"))?;
    let age = now.as_secs_f64() - auth_time;
    if age < -CLOCK_SKEW.as_secs_f64() {
        return Err(stale_auth("credential carries an auth_time in the future"));
    }
    let max_age = max_age.as_secs_f64();
    if age > max_age {
        let message = format!(
            "the last authentication was {age:.0} s ago, more than the {max_age:.0} s that a grant allows; authenticate again"
        );
        return Err(stale_auth(&message));
    }
    Ok(now)
}

/// Parses a finite number of seconds. NaN would pass any check of an age, since comparisons with it are all false.
fn seconds(claim: &Value) -> Option<f64> {
    let seconds = match claim {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    seconds.is_finite().then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const JWS: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl";
    const NOW: Duration = Duration::from_secs(1_800_000_000);
    const CEILING: Duration = Duration::from_secs(900);

    #[test]
    fn a_jws_is_not_resolvable_however_it_is_padded() {
        assert!(!is_resolvable(JWS) && !is_resolvable("a.b."));
        let padding =
            "\u{9}\u{a}\u{b}\u{c}\u{d} \u{85}\u{a0}\u{1c}\u{1d}\u{1e}\u{1f}\u{2003}\u{2028}\u{3000}";
        for space in padding.chars() {
            for padded in
                [format!("{space}{JWS}"), format!("{JWS}{space}"), format!("{space}{JWS}{space}{space}")]
            {
                assert!(!is_resolvable(&padded), "{space:?}");
            }
        }
        for opaque in
            ["opaque-token", "two.segments", "a.b.c.d", "sk_live_abc123", "a..c", ".b.c", "a.b.c!", "a b.c.d"]
        {
            assert!(is_resolvable(opaque), "{opaque}");
        }
    }

    #[test]
    fn the_cap_counts_bytes_of_the_token_as_it_came() {
        assert!(is_resolvable(&"a".repeat(4096)) && !is_resolvable(&"a".repeat(4097)));
        assert!(is_resolvable(&"é".repeat(2048)) && !is_resolvable(&"é".repeat(2049)));
        assert!(!is_resolvable(&format!("x{}", " ".repeat(4096))), "padding counts");
        for blank in ["", " ", "   ", "\n", "\t\r\n", "\u{85}\u{a0}"] {
            assert!(!is_resolvable(blank), "{blank:?}");
        }
    }

    fn freshness(claim: Option<Value>, now: Option<Duration>) -> Result<Duration, RpcError> {
        let mut auth = AuthContext::new("jwt", "ann");
        if let Some(claim) = claim {
            auth = auth.with_claim(AUTH_TIME, claim);
        }
        check_freshness(&auth, now, CEILING)
    }

    #[track_caller]
    fn assert_stale(claim: Option<Value>, text: &str) {
        let error = freshness(claim.clone(), Some(NOW)).unwrap_err();
        assert_eq!((error.kind(), error.code().as_str()), (Some("stale_auth"), "UNAUTHENTICATED"));
        assert!(error.message().contains(text), "{claim:?}: {}", error.message());
    }

    #[test]
    fn an_authentication_is_fresh_up_to_the_ceiling_and_within_the_skew() {
        let at = |seconds: f64| Some(json!(NOW.as_secs_f64() + seconds));
        for seconds in [0.0, -60.0, -900.0, 60.0] {
            assert_eq!(freshness(at(seconds), Some(NOW)), Ok(NOW), "{seconds}");
        }
        assert_stale(at(-900.5), "900 s");
        assert_stale(at(-86_400.0), "86400 s ago");
        assert_stale(at(60.5), "in the future");
        assert_stale(Some(json!(1e300)), "in the future");
    }

    #[test]
    fn the_time_of_an_authentication_may_be_text() {
        for text in ["1799999990", "1799999990.5", " 1799999990 ", "1.79999999e9"] {
            assert_eq!(freshness(Some(json!(text)), Some(NOW)), Ok(NOW), "{text}");
        }
        assert_stale(Some(json!("1799990000")), "ago");
    }

    #[test]
    fn what_is_no_finite_number_is_refused() {
        let texts = [
            "nan",
            "NaN",
            "-nan",
            "inf",
            "-inf",
            "infinity",
            "-Infinity",
            "1e400",
            "",
            " ",
            "soon",
            "1_800_000_000",
        ];
        for text in texts {
            assert_stale(Some(json!(text)), "unusable");
        }
        for value in [json!(true), json!([NOW.as_secs()]), json!({"at": 1})] {
            assert_stale(Some(value), "unusable");
        }
        assert_stale(None, "carries no auth_time");
        assert_stale(Some(Value::Null), "carries no auth_time");
    }

    #[test]
    fn nobody_is_not_fresh_and_neither_is_anybody_where_there_is_no_clock() {
        let nobody = AuthContext::anonymous().with_claim(AUTH_TIME, NOW.as_secs());
        let nameless = AuthContext::new("jwt", "").with_claim(AUTH_TIME, NOW.as_secs());
        for auth in [nobody, nameless] {
            let error = check_freshness(&auth, Some(NOW), CEILING).unwrap_err();
            assert_eq!((error.kind(), error.message()), (Some("stale_auth"), "caller is not authenticated"));
        }
        let error = freshness(Some(json!(NOW.as_secs())), None).unwrap_err();
        assert_eq!(error.kind(), Some("stale_auth"));
    }

    #[test]
    fn only_authenticated_callers_of_the_list_introspect() {
        let list = BTreeSet::from(["proxy".to_owned()]);
        let mut unauthenticated = AuthContext::new("edge", "proxy");
        unauthenticated.authenticated = false;
        assert_eq!(check_introspector(&AuthContext::new("edge", "proxy"), &list), Ok(()));
        for auth in [unauthenticated, AuthContext::new("edge", "other"), AuthContext::anonymous()] {
            let error = check_introspector(&auth, &list).unwrap_err();
            let told = (error.kind(), error.code().as_str(), error.message());
            assert_eq!(
                told,
                (Some("introspection_refused"), "PERMISSION_DENIED", "caller is not an introspector")
            );
        }
    }
}
