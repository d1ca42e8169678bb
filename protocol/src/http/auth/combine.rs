//! Combines authenticators: alternatives (OR) and preconditions (AND).

use super::{AuthContext, AuthError, AuthFailure, AuthRequest, Reason};
use serde_json::{Map, Value};
use std::sync::atomic::{AtomicU64, Ordering};

/// Identifies the caller of a request.
///
/// It is implemented by every `Fn(&AuthRequest<'_>) -> Result<AuthContext, AuthError>`. It runs before the request's body is
/// read and before its method is looked up.
///
/// It must not block: it runs on a thread that also serves other connections. If it needs external data, it
/// [asks](AuthRequest::ask).
pub trait Authenticator: Send + Sync {
    /// Returns the caller of this request.
    ///
    /// # Errors
    ///
    /// If the request is not accepted; see [`AuthError`] for the response in each case.
    fn authenticate(&self, request: &AuthRequest<'_>) -> Result<AuthContext, AuthError>;

    /// Returns the headers that a reverse proxy must set for this to succeed; none by default. They are listed in the note on
    /// every 401 of the service (`unauthorized-spec.md` 5). A wrapper returns those of the wrapped authenticator.
    fn proxy_headers(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether it asks questions that [bring their answer](crate::effect::Question::answered_by); false by default. A driver
    /// starts threads for these even if the application performs no effects. A wrapper returns the value of the wrapped
    /// authenticator.
    fn has_own_answers(&self) -> bool {
        false
    }
}

impl<F> Authenticator for F
where
    F: Fn(&AuthRequest<'_>) -> Result<AuthContext, AuthError> + Send + Sync,
{
    fn authenticate(&self, request: &AuthRequest<'_>) -> Result<AuthContext, AuthError> {
        self(request)
    }
}

/// Something that must hold for a request to be served at all. It says nothing about who makes the request.
///
/// It is passed to [`require_all`]; [`chain`] deliberately does not accept it.
pub trait Precondition: Send + Sync {
    /// Returns the claim under which the result of [`check`](Self::check) is stored.
    fn claim(&self) -> &str;

    /// Checks the precondition. Returns values to store with the caller's claims.
    ///
    /// # Errors
    ///
    /// If the precondition does not hold. [`Refused`](AuthError::Refused) becomes [`Denied`](AuthError::Denied): there is no
    /// alternative to a precondition.
    fn check(&self, request: &AuthRequest<'_>) -> Result<Map<String, Value>, AuthError>;

    /// Returns the headers that a reverse proxy must set for this to hold; none by default.
    fn proxy_headers(&self) -> Vec<String> {
        Vec::new()
    }

    /// See [`Authenticator::has_own_answers`].
    fn has_own_answers(&self) -> bool {
        false
    }
}

/// Alternatives, tried in order; made by [`chain`].
pub struct Chain {
    alternatives: Vec<Box<dyn Authenticator>>,
}

/// Tries each authenticator in turn until one accepts the request.
///
/// After [`Refused`](AuthError::Refused) the next one is tried; every other error is final. If all have refused, the reason is
/// `missing_credential` if all agree on it, otherwise the first different reason (`unauthorized-spec.md` 3.1), and the detail
/// includes all details. An empty chain refuses everything.
pub fn chain(alternatives: Vec<Box<dyn Authenticator>>) -> Chain {
    Chain { alternatives }
}

impl Authenticator for Chain {
    fn authenticate(&self, request: &AuthRequest<'_>) -> Result<AuthContext, AuthError> {
        let mut failures = Vec::new();
        for alternative in &self.alternatives {
            match alternative.authenticate(request) {
                Err(AuthError::Refused(failure)) => failures.push(failure),
                decided => return decided,
            }
        }
        Err(AuthError::Refused(combine(&failures)))
    }

    fn proxy_headers(&self) -> Vec<String> {
        self.alternatives.iter().flat_map(|alternative| alternative.proxy_headers()).collect()
    }

    fn has_own_answers(&self) -> bool {
        self.alternatives.iter().any(|alternative| alternative.has_own_answers())
    }
}

fn combine(failures: &[AuthFailure]) -> AuthFailure {
    let telling = failures.iter().find(|failure| failure.reason != Reason::MissingCredential);
    let Some(deciding) = telling.or(failures.first()) else {
        return AuthFailure::new(Reason::Unauthorized, "No authenticator is configured");
    };
    let details = failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let detail = format!("No authenticator accepted the request ({details})");
    AuthFailure { reason: deciding.reason, detail, diagnosis: deciding.diagnosis }
}

/// A precondition and the credential behind it; made by [`require_all`].
pub struct RequireAll<P> {
    /// A unique number; an address could be reused.
    number: u64,
    gate: P,
    inner: Option<Box<dyn Authenticator>>,
}

/// Requires that `gate` holds, and then lets `inner` identify the caller (`proxy-proof-spec.md` 8).
///
/// The gate runs first; if it fails, `inner` does not run. `inner`'s domain and principal are unchanged, and the gate's result
/// is added to the claims. Without an `inner` the caller is anonymous, with the claim of the gate: a precondition does not
/// identify a caller.
pub fn require_all<P: Precondition>(gate: P, inner: Option<Box<dyn Authenticator>>) -> RequireAll<P> {
    static MADE: AtomicU64 = AtomicU64::new(0);
    RequireAll { number: MADE.fetch_add(1, Ordering::Relaxed), gate, inner }
}

impl<P> RequireAll<P> {
    /// Returns the precondition, for its counters.
    pub fn gate(&self) -> &P {
        &self.gate
    }
}

impl<P: Precondition> Authenticator for RequireAll<P> {
    fn authenticate(&self, request: &AuthRequest<'_>) -> Result<AuthContext, AuthError> {
        let claims = match request.held(self.number) {
            Some(claims) => claims,
            None => {
                let claims = self.gate.check(request).map_err(|error| match error {
                    AuthError::Refused(failure) => AuthError::Denied(failure),
                    other => other,
                })?;
                request.keep(self.number, &claims);
                claims
            }
        };
        let context = match &self.inner {
            Some(inner) => inner.authenticate(request)?,
            None => AuthContext::anonymous(),
        };
        Ok(context.with_claim(self.gate.claim(), claims))
    }

    fn proxy_headers(&self) -> Vec<String> {
        let mut headers = self.gate.proxy_headers();
        headers.extend(self.inner.iter().flat_map(|inner| inner.proxy_headers()));
        headers
    }

    fn has_own_answers(&self) -> bool {
        self.gate.has_own_answers() || self.inner.as_ref().is_some_and(|inner| inner.has_own_answers())
    }
}

impl<P: Precondition> Precondition for std::sync::Arc<P> {
    fn claim(&self) -> &str {
        (**self).claim()
    }

    fn check(&self, request: &AuthRequest<'_>) -> Result<Map<String, Value>, AuthError> {
        (**self).check(request)
    }

    fn proxy_headers(&self) -> Vec<String> {
        (**self).proxy_headers()
    }

    fn has_own_answers(&self) -> bool {
        (**self).has_own_answers()
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::{head, request};
    use super::*;
    use serde_json::json;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    type Outcome = Result<AuthContext, AuthError>;

    fn fixed(outcome: Outcome) -> Box<dyn Authenticator> {
        Box::new(move |_: &AuthRequest<'_>| outcome.clone())
    }

    fn refusing(reason: Reason) -> Box<dyn Authenticator> {
        fixed(Err(AuthError::refused(reason, "")))
    }

    fn run(authenticator: &dyn Authenticator) -> Outcome {
        authenticator.authenticate(&request(&head(&[])))
    }

    struct Door(Result<(), AuthError>);

    impl Precondition for Door {
        fn claim(&self) -> &str {
            "door"
        }

        fn check(&self, _: &AuthRequest<'_>) -> Result<Map<String, Value>, AuthError> {
            self.0.clone().map(|()| Map::from_iter([("open".to_owned(), json!("true"))]))
        }

        fn proxy_headers(&self) -> Vec<String> {
            vec!["x-door".to_owned()]
        }
    }

    struct NeedsProxy;

    impl Authenticator for NeedsProxy {
        fn authenticate(&self, _: &AuthRequest<'_>) -> Outcome {
            Ok(AuthContext::new("mtls", "cat").with_claim("door", "forged").with_claim("serial", "7"))
        }

        fn proxy_headers(&self) -> Vec<String> {
            vec!["x-certificate".to_owned()]
        }
    }

    #[test]
    fn a_chain_takes_the_first_that_accepts() {
        let chain = chain(vec![
            refusing(Reason::InvalidCredential),
            fixed(Ok(AuthContext::new("a", "ann"))),
            fixed(Ok(AuthContext::new("b", "bob"))),
        ]);
        assert_eq!(run(&chain).unwrap().principal, "ann");
    }

    #[test]
    fn a_chain_goes_on_after_a_refusal_only() {
        let end = [
            AuthError::denied(Reason::InvalidCredential, "no"),
            AuthError::Unavailable { retry_after: 7, detail: String::new() },
            AuthError::Failed("bug".to_owned()),
        ];
        for error in end {
            let chain = chain(vec![fixed(Err(error.clone())), fixed(Ok(AuthContext::new("b", "bob")))]);
            assert_eq!(run(&chain), Err(error));
        }
    }

    #[test]
    fn a_chain_combines_reasons() {
        use Reason::{ExpiredCredential, InvalidCredential, MissingCredential, Unauthorized};
        let cases = [
            (vec![MissingCredential, MissingCredential], MissingCredential),
            (vec![MissingCredential, ExpiredCredential, InvalidCredential], ExpiredCredential),
            (vec![InvalidCredential, MissingCredential], InvalidCredential),
            (vec![], Unauthorized),
        ];
        for (reasons, expected) in cases {
            let result = run(&chain(reasons.iter().copied().map(refusing).collect()));
            let Err(AuthError::Refused(failure)) = result else { panic!("{reasons:?}: {result:?}") };
            assert_eq!(failure.reason, expected, "{reasons:?}");
            assert!(
                reasons.iter().all(|reason| failure.detail.contains(reason.as_str())),
                "{}",
                failure.detail
            );
        }
    }

    #[test]
    fn a_failed_gate_denies_and_the_credential_is_not_asked() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let inner = move |_: &AuthRequest<'_>| {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok(AuthContext::anonymous())
        };
        let shut = Door(Err(AuthError::refused(Reason::ProxyRequired, "shut")));
        let both = require_all(shut, Some(Box::new(inner)));
        let expected = Err(AuthError::denied(Reason::ProxyRequired, "shut"));
        assert_eq!(run(&both), expected);
        let chained = chain(vec![Box::new(both), fixed(Ok(AuthContext::new("b", "bob")))]);
        assert_eq!(run(&chained), expected, "a chain does not bypass the gate");
        assert_eq!(asked.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn an_open_gate_adds_its_claim_and_leaves_the_identity() {
        let context = run(&require_all(Door(Ok(())), Some(Box::new(NeedsProxy)))).unwrap();
        assert_eq!((context.domain.as_str(), context.principal.as_str()), ("mtls", "cat"));
        assert_eq!(
            context.claims["door"],
            json!({"open": "true"}),
            "the credential cannot claim to be the gate"
        );
        assert_eq!(context.claims["serial"], json!("7"));
    }

    #[test]
    fn an_open_gate_identifies_nobody() {
        let context = run(&require_all(Door(Ok(())), None)).unwrap();
        assert_eq!(
            (context.domain.as_str(), context.principal.as_str(), context.authenticated),
            ("", "", false)
        );
        assert_eq!(context.claims["door"], json!({"open": "true"}));
    }

    #[test]
    fn a_refusal_behind_an_open_gate_stays_one() {
        let both = require_all(Door(Ok(())), Some(refusing(Reason::MissingCredential)));
        assert_eq!(run(&both), Err(AuthError::refused(Reason::MissingCredential, "")));
    }

    #[test]
    fn combinations_carry_the_proxy_headers_through() {
        let both = require_all(Arc::new(Door(Ok(()))), Some(Box::new(chain(vec![Box::new(NeedsProxy)]))));
        assert_eq!(chain(vec![Box::new(both)]).proxy_headers(), ["x-door", "x-certificate"]);
        assert!(fixed(Ok(AuthContext::anonymous())).proxy_headers().is_empty());
    }

    #[test]
    fn what_holds_of_one_precondition_holds_of_no_other() {
        use crate::http::auth::Found;
        let (parts, found) = (head(&[]), Found::default());
        let request = request(&parts).with_found(&found);
        // The second is at the address of the first.
        let run = |door: Door| require_all(door, None).authenticate(&request);
        assert!(run(Door(Ok(()))).is_ok());
        let closed = AuthError::refused(Reason::ProxyRequired, "closed");
        assert!(matches!(run(Door(Err(closed))), Err(AuthError::Denied(_))));
    }
}
