//! Validates the claims of an ID token. OpenID Connect Core 1.0, section 3.1.3.7.
//!
//! Its signature is not verified. The token is received over TLS, from the authorization server or from the called server;
//! point 6 of that section accepts TLS instead of the signature for the authorization server.

use super::error::LoginError;
use crate::http::pkce::is_same;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use std::time::Duration;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    exp: f64,
    nonce: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// The required claims of an ID token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    /// The nonce of the login; `None` if none was sent.
    pub(super) nonce: Option<&'a str>,
}

/// Checks an ID token and returns its expiry, since the Unix epoch.
pub(super) fn check(token: &str, expected: Expected<'_>, now: Duration) -> Result<Duration, LoginError> {
    let refuse = |expected| LoginError::IdToken { expected };
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(refuse("of three parts"));
    };
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| refuse("in base64url"))?;
    let claims: Claims = serde_json::from_slice(&payload).map_err(|_| refuse("with iss, aud and exp"))?;
    if claims.iss != expected.issuer {
        return Err(refuse("of the issuer that was asked"));
    }
    let is_ours = match &claims.aud {
        Audience::One(id) => id == expected.client_id,
        Audience::Several(ids) => ids.iter().any(|id| id == expected.client_id),
    };
    if !is_ours {
        return Err(refuse("for this client"));
    }
    if let Some(nonce) = expected.nonce
        && !claims.nonce.is_some_and(|own| is_same(&own, nonce))
    {
        return Err(refuse("of this login"));
    }
    let expires = Duration::try_from_secs_f64(claims.exp).map_err(|_| refuse("with a time of expiry"))?;
    if expires <= now {
        return Err(refuse("that has not expired"));
    }
    Ok(expires)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: Duration = Duration::from_secs(1000);

    fn judge(claims: &Value, nonce: Option<&str>) -> Result<Duration, LoginError> {
        let token = format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims.to_string()));
        check(&token, Expected { issuer: "https://i.example", client_id: "cli", nonce }, NOW)
    }

    #[test]
    fn an_id_token_is_for_this_client_and_login() {
        let good = json!({"iss": "https://i.example", "aud": "cli", "exp": 1060.5, "nonce": "n"});
        assert_eq!(judge(&good, Some("n")), Ok(Duration::from_secs_f64(1060.5)));
        assert!(judge(&good, None).is_ok());
        let with = |name: &str, value: Value| {
            let mut claims = good.clone();
            claims[name] = value;
            claims
        };
        assert!(judge(&with("aud", json!(["other", "cli"])), Some("n")).is_ok());
        for claims in [
            with("iss", json!("https://i.example/")),
            with("iss", Value::Null),
            with("aud", json!("cli2")),
            with("aud", json!([])),
            with("aud", json!(7)),
            with("exp", json!(1000)),
            with("exp", json!(-1)),
            with("exp", json!(1e300)),
            with("exp", json!("1060")),
            with("nonce", json!("m")),
            with("nonce", Value::Null),
            with("nonce", json!("")),
        ] {
            assert!(matches!(judge(&claims, Some("n")), Err(LoginError::IdToken { .. })), "{claims}");
        }
        let whole = format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(good.to_string()));
        let expected = Expected { issuer: "https://i.example", client_id: "cli", nonce: None };
        assert!(
            check(&whole, expected, NOW).is_ok() && check(&format!("{whole}.more"), expected, NOW).is_err()
        );
        for token in ["", ".", "a.b", "e30.!.c", "e30.e30.c", "a.b.c.d"] {
            let expected = Expected { issuer: "", client_id: "", nonce: None };
            assert!(check(token, expected, NOW).is_err(), "{token}");
        }
    }
}
