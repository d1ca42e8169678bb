//! What an authenticator is given: the request's head, where it came from, and the time.

use super::failure::{AuthError, HeaderFault};
use crate::effect::{Answer, Answers, FailureReason, Question};
#[cfg(feature = "oauth-pkce")]
use crate::http::slots::{Slot, Slots};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

/// A request as far as authentication looks at it. The body is not part of it: it has not been read yet.
#[derive(Clone, Copy)]
pub struct AuthRequest<'a> {
    /// Method, target and headers.
    pub parts: &'a http::request::Parts,
    /// The address of the immediate peer, if the transport knows it. Behind a proxy it is the proxy's, and on a connection
    /// that came through the PROXY protocol the one that the proxy says. Do not believe a header because of it.
    pub remote_address: Option<&'a str>,
    /// The time since the Unix epoch.
    pub now: Duration,
    /// What was found out of the request so far.
    found: Option<&'a Found>,
}

/// What authenticators have found out of one request, which is kept while one of them waits for an answer.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) answers: Answers,
    /// What preconditions gave that hold, each by the number of who asked it. They are not asked again: a proof of
    /// which each may be used once would not hold a second time.
    held: RefCell<Vec<(u64, Map<String, Value>)>>,
    /// When each question was asked, by its key. The authenticator may run several times after the answer has come.
    asked: RefCell<Vec<(Box<str>, Duration)>>,
    /// Among the exchanges of codes that are under way.
    #[cfg(feature = "oauth-pkce")]
    slot: RefCell<Option<Slot>>,
}

impl<'a> AuthRequest<'a> {
    /// A request of which nothing was found out yet.
    pub const fn new(
        parts: &'a http::request::Parts,
        remote_address: Option<&'a str>,
        now: Duration,
    ) -> Self {
        Self { parts, remote_address, now, found: None }
    }

    /// The same, with another head, such as with a credential that was found elsewhere. What was found out stays.
    #[cfg(feature = "oauth-pkce")]
    pub(crate) const fn with_parts<'b>(self, parts: &'b http::request::Parts) -> AuthRequest<'b>
    where
        'a: 'b,
    {
        AuthRequest { parts, remote_address: self.remote_address, now: self.now, found: self.found }
    }

    /// The same, with what was found out of it.
    pub(crate) const fn with_found(self, found: &'a Found) -> Self {
        Self { found: Some(found), ..self }
    }

    /// The answer to a question that cannot be answered from memory. The authenticator runs again from its beginning when
    /// the answer has come, so what it does before must be repeatable. `key` tells the questions of a request apart.
    ///
    /// ```
    /// use vgi_rpc_protocol::effect::Question;
    /// use vgi_rpc_protocol::http::auth::{AuthContext, AuthError, AuthRequest, Reason, bearer};
    ///
    /// /// What the driver is asked. It answers with the name of the caller, if there is one.
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
    /// [`AuthError::Ask`] until the answer is there: to be returned. [`AuthError::Unavailable`] when there is none, so that
    /// an outage is not taken for a rejection; [`AuthError::Failed`] when the server is not set up to ask.
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

    /// When the question of this key was asked, if it has an answer by now, or none for good.
    #[cfg(feature = "jwt")]
    pub(super) fn answered_since(&self, key: &str) -> Option<Duration> {
        let found = self.found.filter(|found| found.answers.contains(key))?;
        found.asked.borrow().iter().find(|(asked, _)| **asked == *key).map(|(_, at)| *at)
    }

    /// Whether this request has a slot, or is given one now. It keeps the slot until it has been decided.
    #[cfg(feature = "oauth-pkce")]
    pub(crate) fn has_slot(&self, slots: &Slots) -> bool {
        // Nothing can be asked, so nothing comes under way.
        let Some(found) = self.found else { return true };
        let mut slot = found.slot.borrow_mut();
        if slot.is_none() {
            *slot = slots.take();
        }
        slot.is_some()
    }

    /// What a precondition gave that was asked before.
    pub(super) fn held(&self, asker: u64) -> Option<Map<String, Value>> {
        let held = self.found?.held.borrow();
        held.iter().find(|(who, _)| *who == asker).map(|(_, claims)| claims.clone())
    }

    /// Keeps what a precondition gave.
    pub(super) fn keep(&self, asker: u64, claims: &Map<String, Value>) {
        if let Some(found) = self.found {
            found.held.borrow_mut().push((asker, claims.clone()));
        }
    }

    /// The value of a header that may be there at most once; `None` if it is not there. The value may be
    /// empty.
    ///
    /// `name` is matched without regard to case; no header has a name that HTTP does not allow.
    ///
    /// # Errors
    ///
    /// The header is there several times, or its value is no text.
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

    /// Like [`header`](Self::header), where an empty value says as little as no header.
    ///
    /// # Errors
    ///
    /// The header is there several times, or its value is no text.
    pub fn non_empty_header(&self, name: &str) -> Result<Option<&'a str>, HeaderFault> {
        Ok(self.header(name)?.filter(|value| !value.is_empty()))
    }
}

impl fmt::Debug for AuthRequest<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The headers and the query may hold credentials.
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

    /// The head of a request with these headers.
    pub(crate) fn head(headers: &[(&str, &str)]) -> http::request::Parts {
        let mut request = http::Request::post("/Service/method?token=query-secret");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    /// A request at second 1 700 000 000.
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
