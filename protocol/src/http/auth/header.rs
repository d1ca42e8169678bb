//! Takes the caller from a header that a trusted proxy in front of the server sets.

use super::{AuthContext, AuthError, AuthRequest, Authenticator, Reason};

/// Takes the caller's name from a header; made by [`header`].
#[derive(Clone, Debug)]
pub struct HeaderPrincipal {
    name: String,
    domain: String,
    claims: Vec<(String, String)>,
    or_anonymous: bool,
    from_proxy: bool,
}

/// Uses the value of the header `name` as the caller's principal, in `domain`. If the header is missing or empty, the request
/// is refused with `missing_credential`.
///
/// **Anyone who reaches the server can set a header.** Use it only where nothing but a proxy that overwrites
/// the header can reach the server, or behind a [proxy proof](crate::http::proof)
/// ([`require_all`](super::require_all)).
pub fn header(name: impl Into<String>, domain: impl Into<String>) -> HeaderPrincipal {
    HeaderPrincipal {
        name: name.into(),
        domain: domain.into(),
        claims: Vec::new(),
        or_anonymous: false,
        from_proxy: false,
    }
}

impl HeaderPrincipal {
    /// Copies the header `header`, if present, into the claim `claim` as a string.
    #[must_use]
    pub fn with_claim(mut self, header: impl Into<String>, claim: impl Into<String>) -> Self {
        self.claims.push((header.into(), claim.into()));
        self
    }

    /// Accepts a request without the header as anonymous, unless it has an `Authorization` header: then it is refused, so that
    /// the next alternative of a chain is tried.
    #[must_use]
    pub fn or_anonymous(mut self) -> Self {
        self.or_anonymous = true;
        self
    }

    /// Declares that a reverse proxy sets the header. Every 401 of the service then says so.
    #[must_use]
    pub fn from_proxy(mut self) -> Self {
        self.from_proxy = true;
        self
    }
}

impl Authenticator for HeaderPrincipal {
    fn authenticate(&self, request: &AuthRequest<'_>) -> Result<AuthContext, AuthError> {
        let Some(principal) = request.non_empty_header(&self.name)? else {
            let other_credential =
                request.parts.headers.get_all("authorization").iter().any(|value| !value.is_empty());
            if self.or_anonymous && !other_credential {
                return Ok(AuthContext::anonymous());
            }
            return Err(AuthError::refused(
                Reason::MissingCredential,
                format!("Missing {} header", self.name),
            ));
        };
        let mut context = AuthContext::new(&self.domain, principal);
        for (header, claim) in &self.claims {
            if let Some(value) = request.header(header)? {
                context = context.with_claim(claim, value);
            }
        }
        Ok(context)
    }

    fn proxy_headers(&self) -> Vec<String> {
        if self.from_proxy { vec![self.name.clone()] } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::{head, request};
    use super::*;
    use serde_json::json;

    fn with(authenticator: &HeaderPrincipal, headers: &[(&str, &str)]) -> Result<AuthContext, AuthError> {
        authenticator.authenticate(&request(&head(headers)))
    }

    #[test]
    fn the_header_names_the_caller_and_claims_stay_text() {
        let authenticator = header("x-user", "edge").with_claim("x-auth-time", "auth_time");
        let context = with(&authenticator, &[("X-User", "ann"), ("X-Auth-Time", "not a number")]).unwrap();
        assert_eq!(context, AuthContext::new("edge", "ann").with_claim("auth_time", "not a number"));
        assert_eq!(
            with(&authenticator, &[("x-user", "bob")]).unwrap().claims.get("auth_time"),
            None::<&serde_json::Value>
        );
        assert_eq!(context.claims["auth_time"], json!("not a number"));
    }

    #[test]
    fn without_the_header_it_refuses_or_answers_anonymous() {
        let missing = Err(AuthError::refused(Reason::MissingCredential, "Missing x-user header"));
        let strict = header("x-user", "edge");
        assert_eq!(with(&strict, &[]), missing);
        assert_eq!(with(&strict, &[("x-user", "")]), missing);
        let lenient = strict.or_anonymous();
        assert_eq!(with(&lenient, &[]), Ok(AuthContext::anonymous()));
        assert_eq!(with(&lenient, &[("authorization", "")]), Ok(AuthContext::anonymous()));
        assert_eq!(with(&lenient, &[("authorization", "Bearer x")]), missing);
    }

    #[test]
    fn two_of_the_header_are_refused_even_where_anonymous_would_do() {
        let lenient = header("x-user", "edge").or_anonymous();
        let result = with(&lenient, &[("x-user", "ann"), ("x-user", "bob")]);
        assert_eq!(
            result,
            Err(AuthError::refused(Reason::InvalidCredential, "expected one x-user header, got 2"))
        );
    }

    #[test]
    fn the_proxy_is_named_only_where_declared() {
        assert!(header("x-user", "edge").proxy_headers().is_empty());
        assert_eq!(header("x-user", "edge").from_proxy().proxy_headers(), ["x-user"]);
    }
}
