//! Reads the cookies of a request and sets those of a response. RFC 6265.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use std::time::Duration;

/// The maximum size of a cookie with its attributes, in bytes. Browsers silently drop longer ones. RFC 6265, section 6.1.
pub(super) const MAX_COOKIE_BYTES: usize = 4096;

/// The result of looking for one cookie in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// The cookie is missing or empty.
    None,
    One(&'a str),
    /// There are several. Another site, for example a sibling subdomain, may have set one of them.
    Several,
}

/// Finds a cookie by its name.
pub(super) fn find<'a>(request: &'a HeaderMap, name: &str) -> Found<'a> {
    let lines = request.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let mut values = pairs.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim());
    match (values.next(), values.next()) {
        (_, Some(_)) => Found::Several,
        (Some(value), None) if !value.is_empty() => Found::One(value),
        _ => Found::None,
    }
}

/// The name and attributes of a cookie.
#[derive(Clone, Copy)]
pub(super) struct Cookie<'a> {
    pub(super) name: &'a str,
    pub(super) path: &'a str,
    /// Whether it is sent over HTTPS only.
    pub(super) secure: bool,
    /// Whether it is hidden from scripts.
    pub(super) http_only: bool,
}

impl Cookie<'_> {
    /// Returns a `Set-Cookie` value with this lifetime. `None` if browsers would not store the cookie or the value is not a
    /// valid cookie value.
    pub(super) fn set(self, value: &str, lifetime: Duration) -> Option<HeaderValue> {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte);
        if !value.bytes().all(is_plain) {
            return None;
        }
        let Self { name, path, secure, http_only } = self;
        let mut text = format!("{name}={value}; Path={path}; Max-Age={}; SameSite=Lax", lifetime.as_secs());
        for (is_set, attribute) in [(secure, "; Secure"), (http_only, "; HttpOnly")] {
            if is_set {
                text += attribute;
            }
        }
        if text.len() > MAX_COOKIE_BYTES {
            return None;
        }
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Returns a `Set-Cookie` value that deletes the cookie.
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
        let found = |lines: &[&'static str], name: &str| match find(&request(lines), name) {
            Found::One(value) => Ok(value.to_owned()),
            Found::None => Err(0),
            Found::Several => Err(2),
        };
        assert_eq!(found(&["a=1; b=2;c = 3 "], "a"), Ok("1".into()));
        assert_eq!(found(&["a=1; b=2;c = 3 "], "c"), Ok("3".into()));
        assert_eq!(found(&["x=1", "a=b=c"], "a"), Ok("b=c".into()));
        for lines in [&["a=1; a=2"][..], &["a=1", "a=1"], &["a=; a=1"]] {
            assert_eq!(found(lines, "a"), Err(2), "{lines:?}");
        }
        for lines in [&["a="][..], &["b=1"], &["A=1"], &["xa=1"], &["a"], &[]] {
            assert_eq!(found(lines, "a"), Err(0), "{lines:?}");
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
        let attributes = cookie.set("", Duration::ZERO).unwrap().len();
        assert!(cookie.set(&"x".repeat(4096 - attributes), Duration::ZERO).is_some());
        assert_eq!(cookie.set(&"x".repeat(4097 - attributes), Duration::ZERO), None);
    }
}
