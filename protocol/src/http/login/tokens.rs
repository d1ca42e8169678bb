//! The token response of an authorization server. RFC 6749, sections 5.1 and 5.2.

use super::checks::{MAX_DOCUMENT, is_token, shown};
use super::claims::{Expected, check};
use super::error::LoginError;
use crate::http::documents::FormResponse;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use std::fmt;
use std::time::Duration;
use zeroize::{Zeroize, Zeroizing};

/// The maximum lifetime of a token, in seconds: 10 years.
const MAX_LIFE: u64 = 315_360_000;
/// The maximum length of an error code, in characters.
const MAX_CODE: usize = 64;

/// The tokens of a login. They are erased on drop, and `Debug` does not print them.
#[derive(Clone, PartialEq, Eq)]
pub struct Tokens {
    pub(super) access: Zeroizing<String>,
    pub(super) refresh: Option<Zeroizing<String>>,
    pub(super) id: Option<Zeroizing<String>>,
    /// When the bearer expires, since the Unix epoch.
    pub(super) expires_at: Option<Duration>,
    /// Whether the ID token is the bearer.
    pub(super) sends_id: bool,
}

#[derive(Deserialize)]
struct Document {
    access_token: String,
    token_type: String,
    expires_in: Option<Value>,
    refresh_token: Option<String>,
    id_token: Option<String>,
}

#[derive(Deserialize)]
struct ErrorDocument {
    error: String,
    error_description: Option<String>,
}

impl Tokens {
    /// Returns the bearer token of a call.
    pub fn bearer(&self) -> &str {
        match &self.id {
            Some(id) if self.sends_id => id,
            _ => &self.access,
        }
    }

    /// Returns when the bearer expires, since the Unix epoch; `None` if the server has not specified it.
    pub const fn expires_at(&self) -> Option<Duration> {
        self.expires_at
    }

    /// Whether there is a refresh token.
    pub const fn can_be_refreshed(&self) -> bool {
        self.refresh.is_some()
    }

    /// Whether the bearer is still valid at this time.
    pub fn is_valid_at(&self, time: Duration) -> bool {
        self.expires_at.is_none_or(|end| time < end)
    }

    /// Reads the tokens of a response.
    pub(super) fn read(
        answer: FormResponse,
        sends_id: bool,
        expected: Expected<'_>,
        now: Duration,
        sent: &[&str],
    ) -> Result<Self, LoginError> {
        let status = answer.status;
        let read = Self::read_body(&answer, sends_id, expected, now, sent);
        erase(answer.body);
        read.map_err(|error| match error {
            // An outage is not a refusal.
            LoginError::Refused { .. } if status >= 500 || status == 429 => {
                LoginError::Answer { expected: "tokens", status }
            }
            error => error,
        })
    }

    fn read_body(
        answer: &FormResponse,
        sends_id: bool,
        expected: Expected<'_>,
        now: Duration,
        sent: &[&str],
    ) -> Result<Self, LoginError> {
        let refuse = |expected| LoginError::Answer { expected, status: answer.status };
        if answer.status != 200 {
            return Err(refusal(answer, sent).unwrap_or_else(|| refuse("tokens or an error of RFC 6749")));
        }
        if answer.body.len() > MAX_DOCUMENT {
            return Err(refuse("tokens of at most 65536 bytes"));
        }
        let read: Document =
            serde_json::from_slice(&answer.body).map_err(|_| refuse("tokens as JSON of RFC 6749"))?;
        let Document { access_token, token_type, expires_in, refresh_token, id_token } = read;
        let access = Zeroizing::new(access_token);
        let (refresh, id) = (refresh_token.map(Zeroizing::new), id_token.map(Zeroizing::new));
        if !token_type.eq_ignore_ascii_case("Bearer") {
            return Err(refuse("tokens of the type Bearer"));
        }
        if ![Some(&access), refresh.as_ref(), id.as_ref()].into_iter().flatten().all(|token| is_token(token))
        {
            return Err(refuse("tokens that a header can carry"));
        }
        let mut expires_at = match expires_in {
            None | Some(Value::Null) => None,
            Some(value) => {
                let seconds = seconds(&value).ok_or_else(|| refuse("the life of a token in seconds"))?;
                now.checked_add(Duration::from_secs(seconds.min(MAX_LIFE)))
            }
        };
        match &id {
            Some(id) => {
                let expires = check(id, expected, now)?;
                if sends_id {
                    expires_at = Some(expires);
                }
            }
            None if sends_id => return Err(LoginError::IdToken { expected: "beside the access token" }),
            None => {}
        }
        Ok(Self { access, refresh, id, expires_at, sends_id })
    }
}

/// Reads a number of seconds, which some servers write as a string.
pub(super) fn seconds(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(digits) => digits.parse().ok(),
        _ => None,
    }
}

/// Returns the error in a response, if it follows RFC 6749. `sent` are the secrets that the server may repeat.
pub(super) fn refusal(answer: &FormResponse, sent: &[&str]) -> Option<LoginError> {
    if answer.body.len() > MAX_DOCUMENT {
        return None;
    }
    let read: ErrorDocument = serde_json::from_slice(&answer.body).ok()?;
    Some(refused(&read.error, read.error_description.as_deref().unwrap_or_default(), sent))
}

/// Returns a refusal with this code. Neither text shows a secret that was sent.
pub(super) fn refused(code: &str, description: &str, sent: &[&str]) -> LoginError {
    let repeats = |text: &str| sent.iter().any(|secret| !secret.is_empty() && text.contains(secret));
    let is_code = code.len() <= MAX_CODE && code.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let code =
        if is_code && !code.is_empty() && !repeats(code) { code } else { "an error without a usable code" };
    let description = if repeats(description) { String::new() } else { shown(description) };
    match code {
        "access_denied" => LoginError::Denied,
        "expired_token" => LoginError::Expired,
        _ => LoginError::Refused { code: code.to_owned(), description },
    }
}

/// Erases a response, unless its memory is shared.
pub(super) fn erase(body: Bytes) {
    if let Ok(mut body) = body.try_into_mut() {
        body.as_mut().zeroize();
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("expires_at", &self.expires_at)
            .field("can_be_refreshed", &self.can_be_refreshed())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Duration = Duration::from_secs(1000);

    fn answer(status: u16, body: &Value) -> FormResponse {
        FormResponse { status, content_type: None, body: Bytes::from(body.to_string()) }
    }

    fn read(status: u16, body: &Value) -> Result<Tokens, LoginError> {
        let expected = Expected { issuer: "i", client_id: "c", nonce: None };
        Tokens::read(answer(status, body), false, expected, NOW, &["sent-secret"])
    }

    #[test]
    fn tokens_are_read() {
        let tokens = read(
            200,
            &json!({"access_token": "hidden-a", "token_type": "bearer", "expires_in": 60,
            "refresh_token": "hidden-r", "more": {}}),
        )
        .unwrap();
        assert_eq!((tokens.bearer(), tokens.expires_at()), ("hidden-a", Some(Duration::from_secs(1060))));
        assert!(tokens.can_be_refreshed() && !format!("{tokens:?}").contains("hidden"));
        assert!(
            tokens.is_valid_at(Duration::from_secs(1059)) && !tokens.is_valid_at(Duration::from_secs(1060))
        );
        for (life, end) in
            [(json!("60"), Some(1060)), (Value::Null, None), (json!(u64::MAX), Some(1000 + MAX_LIFE))]
        {
            let tokens = read(200, &json!({"access_token": "a", "token_type": "Bearer", "expires_in": life}));
            assert_eq!(tokens.unwrap().expires_at(), end.map(Duration::from_secs));
        }
    }

    #[test]
    fn answers_that_are_no_tokens_are_refused() {
        let good = json!({"access_token": "hidden", "token_type": "Bearer"});
        let with = |name: &str, value: Value| {
            let mut body = good.clone();
            body[name] = value;
            body
        };
        for body in [
            json!({}),
            json!("hidden"),
            with("access_token", json!("")),
            with("access_token", json!("hidden one")),
            with("access_token", json!("hidden\n")),
            with("access_token", json!("hidd\u{e9}n")),
            with("token_type", json!("mac")),
            with("token_type", Value::Null),
            with("expires_in", json!(-1)),
            with("expires_in", json!("soon")),
            with("refresh_token", json!("")),
            with("id_token", json!("hidden")),
        ] {
            let error = read(200, &body).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hidden"), "{error}");
        }
        for status in [201, 302, 400, 500] {
            assert!(read(status, &good).is_err(), "{status}");
        }
        let twice = Bytes::from_static(br#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#);
        let expected = Expected { issuer: "i", client_id: "c", nonce: None };
        let answer = FormResponse { status: 200, content_type: None, body: twice };
        assert!(Tokens::read(answer, false, expected, NOW, &[]).is_err());
        // The server requires an ID token, and there is none.
        let error = Tokens::read(self::answer(200, &good), true, expected, NOW, &[]).unwrap_err();
        assert!(matches!(error, LoginError::IdToken { .. }), "{error}");
        assert!(read(200, &with("more", json!("a".repeat(60_000)))).is_ok());
        assert!(read(200, &with("more", json!("a".repeat(70_000)))).is_err());
    }

    #[test]
    fn errors_are_told_apart_and_repeat_no_secret() {
        let of = |status, error: &str, text: &str| {
            read(status, &json!({"error": error, "error_description": text})).unwrap_err()
        };
        assert_eq!(of(400, "access_denied", ""), LoginError::Denied);
        assert_eq!(of(400, "expired_token", ""), LoginError::Expired);
        let refused =
            |code: &str, text: &str| LoginError::Refused { code: code.into(), description: text.into() };
        assert_eq!(of(400, "invalid_grant", "too old"), refused("invalid_grant", "too old"));
        assert_eq!(of(400, "invalid_grant", "not sent-secret!"), refused("invalid_grant", ""));
        for code in ["", "sent-secret", "a\u{1b}[2J", &"a".repeat(65)] {
            assert_eq!(of(401, code, ""), refused("an error without a usable code", ""));
        }
        assert!(of(503, "temporarily_unavailable", "").is_temporary());
        assert!(of(429, "slow_down", "").is_temporary());
        let long = of(400, "invalid_grant", &"a".repeat(70_000));
        assert!(matches!(long, LoginError::Answer { .. }), "{long}");
        assert!(!of(400, "invalid_grant", "").is_temporary());
    }
}
