//! Takes the caller from the client certificate that Envoy has verified: `X-Forwarded-Client-Cert`.

use super::{AuthContext, AuthError, AuthRequest, Authenticator, Reason};
use crate::peer_identity::distinguished_name::common_name;
use crate::peer_identity::{XfccElement, XfccError};
use serde_json::Value;
use std::fmt;

const HEADER: &str = "x-forwarded-client-cert";

type Validate = dyn Fn(&XfccElement, &AuthRequest<'_>) -> Result<AuthContext, AuthError> + Send + Sync;

/// Which element of the header names the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XfccPosition {
    /// The only one: a header with several elements is refused.
    Only,
    /// The first, written by the proxy farthest from this server. A client can write it, unless that proxy replaces the header.
    First,
    /// The last, written by the nearest proxy.
    Last,
}

/// Takes the caller from `X-Forwarded-Client-Cert`; made by [`xfcc`].
pub struct Xfcc {
    position: XfccPosition,
    domain: String,
    validate: Option<Box<Validate>>,
}

/// Takes the caller from the header `X-Forwarded-Client-Cert`, which an Envoy in front of the server sets. The principal is the
/// common name of the subject, in the domain `mtls`; the claims are `hash`, `subject`, `uri`, `dns` and `by`, as far as
/// present. `uri` and `by` are strings, or arrays if there are several; `dns` is always an array.
///
/// **Any client that reaches the server can set a header.** Envoy must replace it (`forward_client_cert_details: SANITIZE_SET`)
/// and verify certificates including their dates. Nothing else may reach the server: require a [proxy
/// proof](crate::http::proof) with [`require_all`](super::require_all).
///
/// | request | reason |
/// | --- | --- |
/// | no header | `proxy_required` |
/// | two headers, a malformed one, several elements, or not exactly one common name | `invalid_credential` |
pub fn xfcc() -> Xfcc {
    Xfcc { position: XfccPosition::Only, domain: "mtls".into(), validate: None }
}

impl Xfcc {
    /// Sets which element of the header names the caller. Default: the only one.
    #[must_use]
    pub fn position(mut self, position: XfccPosition) -> Self {
        self.position = position;
        self
    }

    /// Sets the domain of the callers. Default `mtls`.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = domain.into();
        self
    }

    /// Sets the function that identifies the caller. Default: the common name of the subject.
    #[must_use]
    pub fn validate(
        mut self,
        validate: impl Fn(&XfccElement, &AuthRequest<'_>) -> Result<AuthContext, AuthError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.validate = Some(Box::new(validate));
        self
    }

    fn caller(&self, element: &XfccElement) -> Result<AuthContext, AuthError> {
        let name = element.subject.as_deref().and_then(common_name).ok_or_else(|| {
            let detail = "expected one common name in the subject of the forwarded certificate";
            AuthError::refused(Reason::InvalidCredential, detail)
        })?;
        let mut caller = AuthContext::new(&self.domain, name);
        let texts = [("hash", &element.hash), ("subject", &element.subject)];
        for (claim, text) in texts {
            if let Some(text) = text.as_deref().filter(|text| !text.is_empty()) {
                caller = caller.with_claim(claim, text);
            }
        }
        for (claim, texts) in [("uri", &element.uris), ("by", &element.by)] {
            match &texts[..] {
                [] => {}
                [only] => caller = caller.with_claim(claim, &**only),
                several => caller = caller.with_claim(claim, Value::from(several)),
            }
        }
        if !element.dns_names.is_empty() {
            caller = caller.with_claim("dns", element.dns_names.clone());
        }
        Ok(caller)
    }
}

impl Authenticator for Xfcc {
    fn authenticate(&self, request: &AuthRequest<'_>) -> Result<AuthContext, AuthError> {
        let Some(header) = request.non_empty_header(HEADER)? else {
            return Err(AuthError::refused(Reason::ProxyRequired, format!("Missing {HEADER} header")));
        };
        let refused = |error: XfccError| AuthError::refused(Reason::InvalidCredential, error.to_string());
        let elements = XfccElement::parse_all(header).map_err(refused)?;
        let element = match (self.position, &elements[..]) {
            (XfccPosition::Only, [only]) => Some(only),
            (XfccPosition::Only, _) => None,
            (XfccPosition::First, elements) => elements.first(),
            (XfccPosition::Last, elements) => elements.last(),
        };
        let element = element.ok_or_else(|| {
            AuthError::refused(Reason::InvalidCredential, format!("expected one element in {HEADER}"))
        })?;
        match &self.validate {
            Some(validate) => validate(element, request),
            None => self.caller(element),
        }
    }

    fn proxy_headers(&self) -> Vec<String> {
        vec![HEADER.to_owned()]
    }
}

impl fmt::Debug for Xfcc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Xfcc")
            .field("position", &self.position)
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::{head, request};
    use super::*;
    use serde_json::json;

    fn with(authenticator: &Xfcc, headers: &[(&str, &str)]) -> Result<AuthContext, AuthError> {
        authenticator.authenticate(&request(&head(headers)))
    }

    fn reason(result: Result<AuthContext, AuthError>) -> Reason {
        match result {
            Err(AuthError::Refused(failure)) => failure.reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_common_name_is_the_caller() {
        let header =
            "By=spiffe://mesh/w;Hash=ab;Subject=\"O=x\\,CN=admin,CN=ann\";URI=spiffe://a/b;URI=c;DNS=one";
        let expected = AuthContext::new("mtls", "ann")
            .with_claim("hash", "ab")
            .with_claim("subject", "O=x\\,CN=admin,CN=ann")
            .with_claim("uri", json!(["spiffe://a/b", "c"]))
            .with_claim("dns", json!(["one"]))
            .with_claim("by", "spiffe://mesh/w");
        assert_eq!(with(&xfcc(), &[("X-Forwarded-Client-Cert", header)]), Ok(expected));
        let caller = with(&xfcc().domain("mesh"), &[(HEADER, "Subject=CN\u{3d}ann")]);
        assert_eq!(reason(caller), Reason::InvalidCredential, "an equals sign is quoted");
    }

    #[test]
    fn several_elements_need_a_position() {
        let headers = [(HEADER, "Subject=\"CN=a\",Subject=\"CN=b\",Subject=\"CN=c\"")];
        assert_eq!(reason(with(&xfcc(), &headers)), Reason::InvalidCredential);
        let principal = |position| with(&xfcc().position(position), &headers).unwrap().principal;
        assert_eq!((principal(XfccPosition::First), principal(XfccPosition::Last)), ("a".into(), "c".into()));
    }

    #[test]
    fn what_names_nobody_is_refused() {
        assert_eq!(reason(with(&xfcc(), &[])), Reason::ProxyRequired);
        assert_eq!(reason(with(&xfcc(), &[(HEADER, "")])), Reason::ProxyRequired);
        for header in
            ["Hash=ab", "Subject=\"\"", "Subject=\"O=a\"", "Subject=\"CN=a,CN=b\"", "Subject=\"CN=a", "CN=a"]
        {
            assert_eq!(reason(with(&xfcc(), &[(HEADER, header)])), Reason::InvalidCredential, "{header}");
        }
        let twice = [(HEADER, "Subject=\"CN=a\""), (HEADER, "Subject=\"CN=a\"")];
        assert_eq!(reason(with(&xfcc().position(XfccPosition::First), &twice)), Reason::InvalidCredential);
    }

    #[test]
    fn a_function_may_judge() {
        let by_uri = xfcc().validate(|element, _| match &element.uris[..] {
            [uri] => Ok(AuthContext::new("uri", uri)),
            _ => Err(AuthError::refused(Reason::InvalidCredential, "")),
        });
        assert_eq!(with(&by_uri, &[(HEADER, "URI=a")]), Ok(AuthContext::new("uri", "a")));
        assert_eq!(by_uri.proxy_headers(), [HEADER]);
    }
}
