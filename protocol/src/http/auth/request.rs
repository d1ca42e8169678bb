//! What an authenticator is given: the request's head, where it came from, and the time.

use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// A request as far as authentication looks at it. The body is not part of it: it has not been read yet.
#[derive(Clone, Copy)]
pub struct AuthRequest<'a> {
    /// Method, target and headers.
    pub parts: &'a http::request::Parts,
    /// The address of the immediate peer, if the transport knows it. Behind a proxy it is the proxy's.
    pub remote_address: Option<&'a str>,
    /// The time since the Unix epoch.
    pub now: Duration,
}

/// The request has a header that an authenticator reads, but not in a form it can read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeaderFault {
    /// A header that may be there once is there several times. Which of them a proxy looked at is anyone's
    /// guess.
    #[error("expected one {name} header, got {count}")]
    Repeated {
        /// The header.
        name: String,
        /// How often it is there.
        count: usize,
    },
    /// The value is no UTF-8.
    #[error("expected text in the {name} header, got other bytes")]
    NotText {
        /// The header.
        name: String,
    },
}

impl<'a> AuthRequest<'a> {
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
        AuthRequest { parts, remote_address: Some("192.0.2.1"), now: Duration::from_secs(1_700_000_000) }
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
