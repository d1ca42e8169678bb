//! Reading the cookies of a request, and setting those of a response. RFC 6265.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use std::time::Duration;

/// Has the token of a browser that is signed in.
pub(super) const AUTH_COOKIE: &str = "_vgi_auth";

/// The most bytes of a cookie that browsers keep. They drop a longer one without a word. RFC 6265, section 6.1.
pub(super) const MAX_COOKIE_BYTES: usize = 4096;

/// The value of a cookie, if there is exactly one of this name that is not empty: of two, either may be somebody else's.
pub(super) fn value<'a>(request: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = request.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let mut values = pairs.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim());
    let value = values.next().filter(|value| !value.is_empty())?;
    values.next().is_none().then_some(value)
}

/// How a cookie is kept.
#[derive(Clone, Copy)]
pub(super) struct Cookie<'a> {
    pub(super) name: &'a str,
    pub(super) path: &'a str,
    /// It is sent over HTTPS only.
    pub(super) secure: bool,
    /// Scripts do not see it.
    pub(super) http_only: bool,
}

impl Cookie<'_> {
    /// Sets it for a time. `None` if browsers would not keep it, or the value is none that a cookie may have.
    pub(super) fn set(self, value: &str, lifetime: Duration) -> Option<HeaderValue> {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte);
        if self.name.len() + value.len() > MAX_COOKIE_BYTES || !value.bytes().all(is_plain) {
            return None;
        }
        let Self { name, path, secure, http_only } = self;
        let mut text = format!("{name}={value}; Path={path}; Max-Age={}; SameSite=Lax", lifetime.as_secs());
        for (is_set, attribute) in [(secure, "; Secure"), (http_only, "; HttpOnly")] {
            if is_set {
                text += attribute;
            }
        }
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Has the browser forget it.
    pub(super) fn clear(self) -> Option<HeaderValue> {
        self.set("", Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lines: &[&'static str]) -> HeaderMap {
        lines.iter().map(|line| (COOKIE, HeaderValue::from_static(line))).collect()
    }

    #[test]
    fn a_cookie_is_there_once_or_not_at_all() {
        assert_eq!(value(&request(&["a=1; b=2;c = 3 "]), "a"), Some("1"));
        assert_eq!(value(&request(&["a=1; b=2;c = 3 "]), "c"), Some("3"));
        assert_eq!(value(&request(&["x=1", "a=b=c"]), "a"), Some("b=c"));
        for lines in [&["a=1; a=2"][..], &["a=1", "a=1"], &["a="], &["b=1"], &["A=1"], &["xa=1"], &["a"], &[]]
        {
            assert_eq!(value(&request(lines), "a"), None, "{lines:?}");
        }
    }

    #[test]
    fn attributes_are_as_they_were_asked_for() {
        let cookie = Cookie { name: "a", path: "/vgi", secure: true, http_only: true };
        let set = cookie.set("x.y-z_~", Duration::from_secs(60)).unwrap();
        assert_eq!(set, "a=x.y-z_~; Path=/vgi; Max-Age=60; SameSite=Lax; Secure; HttpOnly");
        let plain = Cookie { secure: false, http_only: false, ..cookie };
        assert_eq!(plain.set("x", Duration::ZERO).unwrap(), "a=x; Path=/vgi; Max-Age=0; SameSite=Lax");
        assert!(!format!("{:?}", cookie.set("secret", Duration::ZERO)).contains("secret"));
        for value in ["a;b", "a b", "a,b", "a\"b", "a\\b", "a\r\nb", "ä"] {
            assert_eq!(cookie.set(value, Duration::ZERO), None, "{value:?}");
        }
        assert!(cookie.set(&"x".repeat(4095), Duration::ZERO).is_some());
        assert_eq!(cookie.set(&"x".repeat(4096), Duration::ZERO), None);
    }
}
