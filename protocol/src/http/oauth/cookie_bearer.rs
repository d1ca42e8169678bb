//! The token in a browser's cookie as a credential.

use super::cookies::{self, AUTH_COOKIE};
use crate::http::auth::{AuthContext, AuthError, AuthRequest, Authenticator};
use http::HeaderValue;
use http::header::{AUTHORIZATION, COOKIE};
use http::request::Parts;

/// An authenticator that also looks at the cookie of a login.
pub(crate) struct WithCookie(pub(crate) Box<dyn Authenticator>);

impl Authenticator for WithCookie {
    /// Looks at the cookie only if the request has no credential of its own: one that is presented and refused stays so.
    fn authenticate(&self, request: &AuthRequest<'_>) -> Result<AuthContext, AuthError> {
        let headers = &request.parts.headers;
        let token = match headers.contains_key(AUTHORIZATION) {
            true => None,
            false => cookies::value(headers, AUTH_COOKIE),
        };
        match token.and_then(|token| with_bearer(request.parts, token)) {
            Some(parts) => self.0.authenticate(&request.with_parts(&parts)),
            None => self.0.authenticate(request),
        }
    }

    fn proxy_headers(&self) -> Vec<String> {
        self.0.proxy_headers()
    }

    fn asks_itself(&self) -> bool {
        self.0.asks_itself()
    }
}

/// The request as if it had this bearer token, and no cookies.
pub(super) fn with_bearer(parts: &Parts, token: &str) -> Option<Parts> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    let mut parts = parts.clone();
    parts.headers.remove(COOKIE);
    parts.headers.insert(AUTHORIZATION, value);
    Some(parts)
}
