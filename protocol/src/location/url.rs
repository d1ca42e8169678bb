//! The URL of an object. With its query it is a credential, so it is never displayed completely. WIRE_PROTOCOL 12, "Fetch
//! safety".

use crate::OneLine;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;
use url::Url;

/// The maximum length of a URL in bytes. Signed ones have about two thousand, and storage services refuse much longer ones.
const MAX_BYTES: usize = 16 << 10;
/// The maximum number of bytes of a path that are displayed.
const MAX_SHOWN_BYTES: usize = 1 << 10;

/// The URL of an object.
///
/// `Display` and `Debug` show only scheme, host, port and path. [`as_str`](Self::as_str) and [`url`](Self::url) return all of it,
/// which must not appear in logs, errors or traces.
#[derive(Clone, PartialEq, Eq)]
pub struct Location {
    /// The original text.
    text: Arc<str>,
    /// The URL to request.
    url: Url,
}

/// A text that is not a valid URL of an object. No part of it is repeated, because it may be a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LocationError {
    /// It is too long.
    #[error("expected a URL of at most {MAX_BYTES} bytes, got {got}")]
    TooLong {
        /// Its length in bytes.
        got: usize,
    },
    /// It is not UTF-8.
    #[error("expected a URL, got bytes that are not UTF-8")]
    NotText,
    /// It is not an absolute URL with a host, or it has spaces, control characters or line breaks, which parsers disagree on.
    #[error("expected an absolute URL with a host and without spaces or control characters")]
    Invalid,
}

impl Location {
    /// Parses an absolute URL according to the WHATWG standard.
    ///
    /// # Errors
    /// See [`LocationError`].
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        check_text(text)?;
        let url = Url::parse(text).map_err(|_| LocationError::Invalid)?;
        Self::new(text.into(), url)
    }

    /// As [`parse`](Self::parse), from bytes that should be UTF-8.
    ///
    /// # Errors
    /// See [`LocationError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LocationError> {
        Self::parse(std::str::from_utf8(bytes).map_err(|_| LocationError::NotText)?)
    }

    /// Returns the target of a redirect to `target`, which may be relative.
    ///
    /// # Errors
    /// See [`LocationError`].
    pub fn join(&self, target: &str) -> Result<Self, LocationError> {
        check_text(target)?;
        let url = self.url.join(target).map_err(|_| LocationError::Invalid)?;
        check_text(url.as_str())?;
        Self::new(url.as_str().into(), url)
    }

    fn new(text: Arc<str>, url: Url) -> Result<Self, LocationError> {
        let has_host = url.host_str().is_some_and(|host| !host.is_empty());
        if has_host { Ok(Self { text, url }) } else { Err(LocationError::Invalid) }
    }

    /// Returns the whole original text. It is a credential.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the whole URL as it is requested. It is a credential.
    pub const fn url(&self) -> &Url {
        &self.url
    }
}

fn check_text(text: &str) -> Result<(), LocationError> {
    if text.len() > MAX_BYTES {
        return Err(LocationError::TooLong { got: text.len() });
    }
    if text.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
        return Err(LocationError::Invalid);
    }
    Ok(())
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = &self.url;
        write!(f, "{}://{}", url.scheme(), OneLine(url.host_str().unwrap_or_default()))?;
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        match url.path().char_indices().nth(MAX_SHOWN_BYTES) {
            None => write!(f, "{}", OneLine(url.path())),
            Some((end, _)) => write!(f, "{}…", OneLine(url.path().get(..end).unwrap_or_default())),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let location = Location::parse(text).unwrap();
        assert_eq!(location.as_str(), text);
        assert_eq!(format!("{location:?}"), format!("Location({location})"));
        location.to_string()
    }

    #[test]
    fn nothing_but_scheme_host_port_and_path_is_shown() {
        let url = "https://user:secret@storage.example:8443/bucket/key?signature=secret#secret";
        assert_eq!(shown(url), "https://storage.example:8443/bucket/key");
        assert_eq!(shown("HTTP://[::1]/a%20b?"), "http://[::1]/a%20b");
        assert_eq!(shown("https://h.example:443"), "https://h.example/");
        assert_eq!(shown("https://h.example//@secret.example/?q"), "https://h.example//@secret.example/");
        let long = format!("https://h.example/{}", "x".repeat(10_000));
        assert!(shown(&long).len() < 1_100);
    }

    #[test]
    fn what_is_no_absolute_url_with_a_host_is_refused_without_being_repeated() {
        let wrong = [
            "",
            "secret",
            "/secret",
            "https://",
            "file:///etc/secret",
            "data:secret",
            "unix:secret",
            "https://h.example/a secret",
            " https://h.example/",
            "https://h.example/\n",
            "ht\ttps://h.example/",
            "https://h.example:99999/",
            "https://h.exa mple/",
            "https://h.example/\u{a0}",
        ];
        for text in wrong {
            assert_eq!(Location::parse(text), Err(LocationError::Invalid), "{text:?}");
        }
        let long = format!("https://h.example/{}", "x".repeat(MAX_BYTES));
        assert!(matches!(Location::parse(&long), Err(LocationError::TooLong { .. })));
        assert_eq!(Location::from_bytes(b"https://h.example/\xff"), Err(LocationError::NotText));
    }

    #[test]
    fn redirects_may_be_relative_and_are_parsed_as_strictly() {
        let base = Location::parse("https://h.example/a/b?secret=1").unwrap();
        assert_eq!(base.join("../c?d").unwrap().as_str(), "https://h.example/c?d");
        assert_eq!(base.join("//127.1/x").unwrap().as_str(), "https://127.0.0.1/x");
        assert_eq!(base.join("file:///etc/passwd"), Err(LocationError::Invalid));
        assert_eq!(base.join("/a\r\nHost: x"), Err(LocationError::Invalid));
    }
}
