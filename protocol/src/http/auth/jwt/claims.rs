//! Validates the claims of a token. RFC 7519, section 4.1.

use super::super::{AuthContext, AuthError, Reason};
use super::issuer::Issuer;
use super::refusal::{invalid, refused};
use serde_json::{Map, Value};
use std::time::Duration;

/// Checks the claims of a token of this issuer. Its signature has been verified.
pub(super) fn check(
    issuer: &Issuer,
    claims: Map<String, Value>,
    now: Duration,
) -> Result<AuthContext, AuthError> {
    let is_ours = |audience: &Value| {
        audience.as_str().is_some_and(|name| issuer.audiences.iter().any(|own| own == name))
    };
    let for_us = match claims.get("aud") {
        Some(Value::Array(audiences)) => audiences.iter().any(is_ours),
        Some(audience) => is_ours(audience),
        None => false,
    };
    if !for_us {
        return Err(invalid("for another audience"));
    }
    let (now, leeway) = (now.as_secs_f64(), issuer.leeway.as_secs_f64());
    let expires = claims.get("exp").and_then(Value::as_f64).ok_or_else(|| invalid("no expiry time"))?;
    if expires + leeway <= now {
        return Err(refused(Reason::ExpiredCredential, "the bearer token has expired", "expired"));
    }
    match claims.get("nbf").map(|begins| begins.as_f64()) {
        Some(Some(begins)) if begins - leeway > now => {
            return Err(refused(
                Reason::ExpiredCredential,
                "the bearer token is not valid yet",
                "not valid yet",
            ));
        }
        Some(None) => return Err(invalid("nbf is not a number")),
        Some(Some(_)) | None => {}
    }
    let principal = claims.get(&issuer.principal_claim).and_then(Value::as_str);
    let principal = principal.filter(|principal| !principal.trim().is_empty());
    let mut context = AuthContext::new(&*issuer.domain, principal.ok_or_else(|| invalid("no principal"))?);
    context.claims.extend(claims);
    Ok(context)
}
