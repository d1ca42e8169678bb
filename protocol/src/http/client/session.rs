//! The client's side of a sticky session: its token, and the headers that route requests to its worker. WIRE_PROTOCOL 17.

use crate::http::headers::{
    self, ACCEPT_ENCODING, ACCEPT_MAX_RESPONSE_BYTES, ECHO_PREFIX, PROXY_PROOF, REQUEST_ID, SESSION,
    SESSION_ACCEPT, SESSION_CLOSE,
};
use http::header::InvalidHeaderValue;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, HOST, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;

/// The maximum number of echo headers: each one is sent with every request of the session.
const MAX_ECHOED: usize = 32;

/// Headers that a server may not have echoed: they frame the request, or authenticate it.
const NEVER_ECHOED: [HeaderName; 12] = [
    AUTHORIZATION,
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    COOKIE,
    EXPECT,
    HOST,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Headers that the client sets itself. Other names may begin in the same way.
const OURS: [HeaderName; 7] = [
    ACCEPT_ENCODING,
    ACCEPT_MAX_RESPONSE_BYTES,
    headers::CONTENT_ENCODING,
    PROXY_PROOF,
    REQUEST_ID,
    SESSION,
    SESSION_ACCEPT,
];

/// A sticky session of a client. The token gives access to the session, so `Debug` shows neither it nor the headers' values.
#[derive(Clone, Default)]
pub struct Session {
    token: Option<HeaderValue>,
    echoed: HeaderMap,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let echoed: Vec<_> = self.echoed.keys().collect();
        f.debug_struct("Session").field("is_open", &self.is_open()).field("echoed", &echoed).finish()
    }
}

impl Session {
    /// Creates a session that is not open yet; a call may open it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates an open session from the [token](Self::token) of another client. The token does not include the echo headers:
    /// behind a load balancer, clone the session instead.
    ///
    /// # Errors
    /// If the token is empty or is not a valid header value.
    pub fn from_token(token: &str) -> Result<Self, InvalidHeaderValue> {
        // An empty value means no session, so it is refused like a line break.
        let value = HeaderValue::from_str(if token.is_empty() { "\n" } else { token })?;
        Ok(Self { token: Some(sensitive(&value)), echoed: HeaderMap::new() })
    }

    /// Returns the session's token, once a call has opened one. It is a secret.
    pub fn token(&self) -> Option<&str> {
        self.token.as_ref().and_then(|token| token.to_str().ok())
    }

    /// Returns the echo headers of the server.
    pub fn echoed(&self) -> &HeaderMap {
        &self.echoed
    }

    /// Whether a call has opened the session, and none has closed it. The server may still have lost it.
    pub fn is_open(&self) -> bool {
        self.token.is_some()
    }

    /// Adds the header that accepts sessions, and the session's token if there is one.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        headers.insert(SESSION_ACCEPT, HeaderValue::from_static("true"));
        for (name, value) in &self.echoed {
            headers.insert(name.clone(), value.clone());
        }
        if let Some(token) = &self.token {
            headers.insert(SESSION, token.clone());
        }
    }

    /// Updates the session from a response. Echo headers are accepted only with a token.
    pub(super) fn read(&mut self, headers: &HeaderMap) {
        if headers.get(SESSION_CLOSE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true")) {
            *self = Self::default();
            return;
        }
        let Some(token) = headers.get(SESSION).filter(|token| !token.is_empty()) else { return };
        self.token = Some(sensitive(token));
        self.echoed = headers.iter().filter_map(echoed).take(MAX_ECHOED).collect();
    }

    /// Forgets the session.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Returns the header that an echo header of a response asks to send.
fn echoed((name, value): (&HeaderName, &HeaderValue)) -> Option<(HeaderName, HeaderValue)> {
    let inner = HeaderName::from_bytes(name.as_str().strip_prefix(ECHO_PREFIX)?.as_bytes()).ok()?;
    (!OURS.contains(&inner) && !NEVER_ECHOED.contains(&inner)).then(|| (inner, sensitive(value)))
}

fn sensitive(value: &HeaderValue) -> HeaderValue {
    let mut value = value.clone();
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(entries: &[(&'static str, &'static str)]) -> HeaderMap {
        entries
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_token_and_its_headers_are_kept_until_the_session_is_closed() {
        let mut session = Session::new();
        let opened = [("vgi-session", "secret"), ("vgi-echo-x-vgi-affinity", "m1"), ("vgi-echo-host", "x")];
        session.read(&headers(&opened));
        session.read(&headers(&[("vgi-echo-other", "without a token")]));
        let mut sent = HeaderMap::new();
        session.write(&mut sent);
        let expected = [("vgi-session-accept", "true"), ("vgi-session", "secret"), ("x-vgi-affinity", "m1")];
        assert_eq!(sent, headers(&expected));
        assert_eq!(*session.echoed(), headers(&[("x-vgi-affinity", "m1")]));
        let token = session.token().unwrap();
        assert_eq!(Session::from_token(token).unwrap().token(), Some("secret"));
        assert!(["", "a\nb"].into_iter().all(|token| Session::from_token(token).is_err()));
        assert!(!format!("{session:?} {sent:?}").contains("secret"));

        session.read(&headers(&[("vgi-session-close", "true"), ("vgi-session", "again")]));
        assert!(!session.is_open());
        let mut sent = HeaderMap::new();
        session.write(&mut sent);
        assert_eq!(sent, headers(&[("vgi-session-accept", "true")]));
    }

    #[test]
    fn a_server_cannot_have_framing_or_credentials_sent_along() {
        let names =
            ["content-length", "transfer-encoding", "authorization", "vgi-session", "x-vgi-accept-encoding"];
        let mut map = headers(&[("vgi-session", "t")]);
        for name in names {
            map.insert(
                HeaderName::try_from(format!("vgi-echo-{name}")).unwrap(),
                HeaderValue::from_static("x"),
            );
        }
        for index in 0..100 {
            let name = HeaderName::try_from(format!("vgi-echo-n{index}")).unwrap();
            map.insert(name, HeaderValue::from_static("x"));
        }
        let mut session = Session::new();
        session.read(&map);
        assert_eq!(session.echoed.len(), MAX_ECHOED);
        assert!(names.iter().all(|name| !session.echoed.contains_key(*name)));
    }
}
