//! Bearer tokens of the `Authorization` header (RFC 6750 2.1).

use super::{AuthContext, AuthError, AuthRequest, Authenticator, Reason};
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// Passes the request's bearer token to a function; made by [`bearer`].
pub struct Bearer<F> {
    validate: F,
}

/// Checks the bearer token of the `Authorization` header with `validate`.
///
/// Refuses with `missing_credential` if there is no such header, and with `invalid_credential` if it has another scheme, has no
/// token, or occurs twice. `validate` never sees an empty token.
pub fn bearer<F>(validate: F) -> Bearer<F>
where
    F: Fn(&str, &AuthRequest<'_>) -> Result<AuthContext, AuthError> + Send + Sync,
{
    Bearer { validate }
}

impl<F> Authenticator for Bearer<F>
where
    F: Fn(&str, &AuthRequest<'_>) -> Result<AuthContext, AuthError> + Send + Sync,
{
    fn authenticate(&self, request: &AuthRequest<'_>) -> Result<AuthContext, AuthError> {
        (self.validate)(bearer_token(request)?, request)
    }
}

/// Returns the bearer token of a request. It is not empty.
pub(super) fn bearer_token<'a>(request: &AuthRequest<'a>) -> Result<&'a str, AuthError> {
    let Some(value) = request.non_empty_header("authorization")? else {
        return Err(AuthError::refused(Reason::MissingCredential, "Missing Authorization header"));
    };
    // Schemes are case-insensitive (RFC 9110 11.1).
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => {
            Ok(token)
        }
        _ => {
            let detail = "Authorization header is not a Bearer credential";
            Err(AuthError::refused(Reason::InvalidCredential, detail))
        }
    }
}

/// Accepts bearer tokens from a fixed list; made by [`bearer_static`].
pub struct StaticBearer {
    entries: Vec<Entry>,
}

/// Only the digest of a token is stored: the time of a comparison does not reveal the token's length, and a memory dump does
/// not reveal the token.
struct Entry {
    digest: [u8; 32],
    context: AuthContext,
}

/// Accepts these bearer tokens, each with its caller.
///
/// Always compares all entries, in constant time. Of equal tokens the first is used; an empty token is never accepted.
pub fn bearer_static<T: AsRef<str>>(tokens: impl IntoIterator<Item = (T, AuthContext)>) -> StaticBearer {
    let entry = |(token, context): (T, AuthContext)| Entry { digest: digest(token.as_ref()), context };
    StaticBearer { entries: tokens.into_iter().map(entry).collect() }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl Authenticator for StaticBearer {
    fn authenticate(&self, request: &AuthRequest<'_>) -> Result<AuthContext, AuthError> {
        let presented = digest(bearer_token(request)?);
        let mut found = Choice::from(0);
        let mut position = 0_u64;
        for (index, entry) in (0_u64..).zip(&self.entries) {
            let matches = presented.ct_eq(&entry.digest);
            position.conditional_assign(&index, matches & !found);
            found |= matches;
        }
        let entry = usize::try_from(position).ok().and_then(|position| self.entries.get(position));
        match entry {
            Some(entry) if bool::from(found) => Ok(entry.context.clone()),
            _ => Err(AuthError::refused(Reason::InvalidCredential, "Unknown bearer token")),
        }
    }
}

impl fmt::Debug for StaticBearer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StaticBearer").field("tokens", &self.entries.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::{head, request};
    use super::*;

    fn authenticator() -> StaticBearer {
        bearer_static([
            ("first-token", AuthContext::new("bearer", "ann")),
            ("second", AuthContext::new("bearer", "bob")),
            ("first-token", AuthContext::new("bearer", "late")),
            ("", AuthContext::new("bearer", "nobody")),
        ])
    }

    fn with(headers: &[(&str, &str)]) -> Result<AuthContext, AuthError> {
        authenticator().authenticate(&request(&head(headers)))
    }

    fn reason(result: Result<AuthContext, AuthError>) -> Reason {
        match result {
            Err(AuthError::Refused(failure)) => failure.reason,
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    #[test]
    fn accepts_its_tokens() {
        for (value, principal) in
            [("Bearer first-token", "ann"), ("Bearer second", "bob"), ("bearer second", "bob")]
        {
            assert_eq!(with(&[("Authorization", value)]).unwrap().principal, principal, "{value}");
        }
    }

    #[test]
    fn tells_missing_from_invalid() {
        assert_eq!(reason(with(&[])), Reason::MissingCredential);
        assert_eq!(reason(with(&[("authorization", "")])), Reason::MissingCredential);
        let invalid = [
            "Bearer",
            "Bearer ",
            "Bearer  ",
            "Basic second",
            "Bearer first-toke",
            "Bearer first-token2",
            "second",
        ];
        for value in invalid {
            assert_eq!(reason(with(&[("authorization", value)])), Reason::InvalidCredential, "{value:?}");
        }
        let twice = [("authorization", "Bearer second"), ("authorization", "Bearer second")];
        assert_eq!(reason(with(&twice)), Reason::InvalidCredential);
    }

    #[test]
    fn a_function_judges_the_token() {
        let judge = bearer(|token: &str, request: &AuthRequest<'_>| {
            Ok(AuthContext::new("own", token).with_claim("at", request.now.as_secs()))
        });
        let context = judge.authenticate(&request(&head(&[("authorization", "Bearer a b")]))).unwrap();
        assert_eq!(context.principal, "a b");
        assert_eq!(context.claims["at"], 1_700_000_000_u64);
    }

    #[test]
    fn neither_errors_nor_debug_show_tokens() {
        let shown = format!("{:?} {:?}", with(&[("authorization", "Bearer guessed")]), authenticator());
        assert!(!shown.contains("guessed") && !shown.contains("first-token"), "{shown}");
    }
}
