//! The input of an authenticator: the request's head, its origin, and the time.

use super::failure::{AuthError, HeaderFault};
use crate::effect::{Answer, Answers, FailureReason, Question};
#[cfg(feature = "oauth-pkce")]
use crate::http::slots::{Slot, Slots};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

/// The part of a request that authentication uses. It has no body, which has not been read yet.
#[derive(Clone, Copy)]
pub struct AuthRequest<'a> {
    /// Method, target and headers.
    pub parts: &'a http::request::Parts,
    /// The address of the immediate peer, if the transport knows it. Behind a proxy it is the proxy's address; with the PROXY
    /// protocol it is the address that the proxy reports. Do not trust a header because of it.
    pub remote_address: Option<&'a str>,
    /// The time since the Unix epoch.
    pub now: Duration,
    /// The results of authentication so far.
    found: Option<&'a Found>,
}

/// The results of authenticators for one request, kept while one of them waits for an answer.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) answers: Answers,
    /// The claims of preconditions that hold, by the number of the authenticator that checked each. They are not checked again:
    /// a proof that may be used only once would fail the second time.
    held: RefCell<Vec<(u64, Map<String, Value>)>>,
    /// When each question was asked, by its key. The authenticator may run several times after the answer has arrived.
    asked: RefCell<Vec<(Box<str>, Duration)>>,
    /// The slot of this request's code exchange.
    #[cfg(feature = "oauth-pkce")]
    slot: RefCell<Option<Slot>>,
}

impl<'a> AuthRequest<'a> {
    /// Creates a request without results.
    pub const fn new(
        parts: &'a http::request::Parts,
        remote_address: Option<&'a str>,
        now: Duration,
    ) -> Self {
        Self { parts, remote_address, now, found: None }
    }

    /// Returns the request with another head, for example one with a credential from a cookie. The results are kept.
    #[cfg(feature = "oauth-pkce")]
    pub(crate) const fn with_parts<'b>(self, parts: &'b http::request::Parts) -> AuthRequest<'b>
    where
        'a: 'b,
    {
        AuthRequest { parts, remote_address: self.remote_address, now: self.now, found: self.found }
    }

    /// Returns the request with these results.
    pub(crate) const fn with_found(self, found: &'a Found) -> Self {
        Self { found: Some(found), ..self }
    }

    /// Returns the answer to a question that needs external data. The authenticator runs again from its beginning when the
    /// answer is available, so everything it does before must be repeatable. `key` distinguishes the questions of a request.
    ///
    /// ```
    /// use vgi_rpc_protocol::effect::Question;
    /// use vgi_rpc_protocol::http::auth::{AuthContext, AuthError, AuthRequest, Reason, bearer};
    ///
    /// /// A question to the driver, which answers with the name of the caller, if any.
    /// struct WhoHas(String);
    ///
    /// let authenticator = bearer(|token: &str, request: &AuthRequest<'_>| {
    ///     let answer = request.ask("introspection", || Question::new(WhoHas(token.into())))?;
    ///     match answer.value::<Option<String>>() {
    ///         Some(Some(name)) => Ok(AuthContext::new("introspection", name)),
    ///         _ => Err(AuthError::refused(Reason::InvalidCredential, "unknown token")),
    ///     }
    /// });
    /// # let _ = authenticator;
    /// ```
    ///
    /// # Errors
    /// [`AuthError::Ask`] until the answer is available: return it. [`AuthError::Unavailable`] if there is no answer, so that
    /// an outage is not reported as a refusal; [`AuthError::Failed`] if the server is not set up to ask.
    pub fn ask(&self, key: &str, question: impl FnOnce() -> Question) -> Result<&'a Answer, AuthError> {
        const NONE: &Answers = &Answers::none();
        let answers = self.found.map_or(NONE, |found| &found.answers);
        let answer = answers.ask(key, question).inspect_err(|_| self.note_asked(key))?;
        answer.map_err(|failure| match failure.reason {
            // To try again would not help.
            FailureReason::Unsupported | FailureReason::Refused => AuthError::Failed(failure.message.clone()),
            _ => AuthError::Unavailable { retry_after: 1, detail: failure.message.clone() },
        })
    }

    fn note_asked(&self, key: &str) {
        if let Some(found) = self.found {
            found.asked.borrow_mut().push((key.into(), self.now));
        }
    }

    /// Returns when the question with this key was asked, if it has been answered or has failed.
    #[cfg(feature = "jwt")]
    pub(super) fn answered_since(&self, key: &str) -> Option<Duration> {
        let found = self.found.filter(|found| found.answers.contains(key))?;
        found.asked.borrow().iter().find(|(asked, _)| **asked == *key).map(|(_, at)| *at)
    }

    /// Whether this request has a slot or can take one now. It keeps the slot until authentication ends.
    #[cfg(feature = "oauth-pkce")]
    pub(crate) fn has_slot(&self, slots: &Slots) -> bool {
        // No question can be asked, so no exchange can start.
        let Some(found) = self.found else { return true };
        let mut slot = found.slot.borrow_mut();
        if slot.is_none() {
            *slot = slots.take();
        }
        slot.is_some()
    }

    /// Returns the claims of a precondition that was checked before.
    pub(super) fn held(&self, asker: u64) -> Option<Map<String, Value>> {
        let held = self.found?.held.borrow();
        held.iter().find(|(who, _)| *who == asker).map(|(_, claims)| claims.clone())
    }

    /// Stores the claims of a precondition.
    pub(super) fn keep(&self, asker: u64, claims: &Map<String, Value>) {
        if let Some(found) = self.found {
            found.held.borrow_mut().push((asker, claims.clone()));
        }
    }

    /// Returns the value of a header that may occur at most once, or `None` if it is missing. The value may be empty.
    ///
    /// `name` is case-insensitive. The result for an invalid header name is `None`.
    ///
    /// # Errors
    ///
    /// If the header occurs several times, or its value is not valid UTF-8.
    pub fn header(&self, name: &str) -> Result<Option<&'a str>, HeaderFault> {
        let mut values = self.parts.headers.get_all(name).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let others = values.count();
        if others > 0 {
            return Err(HeaderFault::Repeated { name: name.to_owned(), count: others + 1 });
        }
        std::str::from_utf8(value.as_bytes())
            .map(Some)
            .map_err(|_| HeaderFault::NotText { name: name.to_owned() })
    }

    /// Like [`header`](Self::header), but treats an empty value like a missing header.
    ///
    /// # Errors
    ///
    /// If the header occurs several times, or its value is not valid UTF-8.
    pub fn non_empty_header(&self, name: &str) -> Result<Option<&'a str>, HeaderFault> {
        Ok(self.header(name)?.filter(|value| !value.is_empty()))
    }
}

impl fmt::Debug for AuthRequest<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The headers and the query may contain credentials.
        formatter
            .debug_struct("AuthRequest")
            .field("method", &self.parts.method)
            .field("path", &self.parts.uri.path())
            .field("remote_address", &self.remote_address)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns the head of a request with these headers.
    pub(crate) fn head(headers: &[(&str, &str)]) -> http::request::Parts {
        let mut request = http::Request::post("/Service/method?token=query-secret");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    /// Returns a request at second 1 700 000 000.
    pub(crate) fn request(parts: &http::request::Parts) -> AuthRequest<'_> {
        AuthRequest::new(parts, Some("192.0.2.1"), Duration::from_secs(1_700_000_000))
    }

    #[test]
    fn a_header_is_absent_there_or_refused() {
        let mut parts = head(&[("X-One", "1"), ("X-Empty", ""), ("X-Two", "a"), ("x-two", "b")]);
        parts.headers.insert("x-bytes", http::HeaderValue::from_bytes(&[0xff]).unwrap());
        let request = request(&parts);
        assert_eq!(request.header("x-none"), Ok(None));
        assert_eq!(request.header("x-one"), Ok(Some("1")));
        assert_eq!(request.header("x-empty"), Ok(Some("")));
        assert_eq!(request.non_empty_header("x-empty"), Ok(None));
        assert_eq!(
            request.header("X-Two"),
            Err(HeaderFault::Repeated { name: "X-Two".to_owned(), count: 2 })
        );
        assert_eq!(request.header("x-bytes"), Err(HeaderFault::NotText { name: "x-bytes".to_owned() }));
    }

    #[test]
    fn debug_leaves_credentials_out() {
        let parts = head(&[("authorization", "Bearer header-secret")]);
        let text = format!("{:?}", request(&parts));
        assert!(text.contains("/Service/method") && !text.contains("secret"), "{text}");
    }
}
