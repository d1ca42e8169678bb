//! Uses the token in a browser's cookie as a credential.

use super::cookies::{self, Found};
use crate::http::auth::{AuthContext, AuthError, AuthRequest, Authenticator};
use http::HeaderValue;
use http::header::{AUTHORIZATION, COOKIE};
use http::request::Parts;

/// An authenticator that also reads the cookie of a login.
pub(crate) struct WithCookie {
    pub(crate) inner: Box<dyn Authenticator>,
    /// The cookie's name.
    pub(crate) name: &'static str,
}

impl Authenticator for WithCookie {
    /// Reads the cookie only if the request has no credential of its own: the cookie does not replace a refused credential.
    fn authenticate(&self, request: &AuthRequest<'_>) -> Result<AuthContext, AuthError> {
        let headers = &request.parts.headers;
        let parts = match (headers.contains_key(AUTHORIZATION), cookies::find(headers, self.name)) {
            (false, Found::One(token)) => with_bearer(request.parts, token),
            _ => None,
        };
        match parts {
            Some(parts) => self.inner.authenticate(&request.with_parts(&parts)),
            None => self.inner.authenticate(request),
        }
    }

    fn proxy_headers(&self) -> Vec<String> {
        self.inner.proxy_headers()
    }

    fn has_own_answers(&self) -> bool {
        self.inner.has_own_answers()
    }
}

/// Returns the request with this bearer token and without its cookies.
pub(super) fn with_bearer(parts: &Parts, token: &str) -> Option<Parts> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    let mut parts = parts.clone();
    parts.headers.remove(COOKIE);
    parts.headers.insert(AUTHORIZATION, value);
    Some(parts)
}
