//! The redirect that returns the browser: its query, and the response. RFC 6749, sections 4.1.2 and 4.1.2.1.

use url::form_urlencoded;
use zeroize::Zeroizing;

/// The maximum size of a request target, in bytes.
const MAX_TARGET: usize = 8 << 10;

/// The response to a request to the port of a login. Its page has no script, no link and no text from the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedirectReply {
    /// The status.
    pub status: u16,
    /// The body, of the type `text/html; charset=utf-8`.
    pub page: &'static str,
}

macro_rules! page {
    ($title:literal, $text:literal) => {
        concat!(
            "<!doctype html><meta charset=\"utf-8\"><title>",
            $title,
            "</title><h1>",
            $title,
            "</h1><p>",
            $text
        )
    };
}

impl RedirectReply {
    pub(super) const fn signed_in() -> Self {
        Self { status: 200, page: page!("Signed in", "You can close this page. The program goes on.") }
    }

    pub(super) const fn failed() -> Self {
        Self { status: 400, page: page!("Not signed in", "You can close this page. The program says why.") }
    }

    pub(super) const fn of_another_login() -> Self {
        Self { status: 400, page: page!("Not signed in", "This page belongs to another login.") }
    }

    pub(super) const fn used() -> Self {
        Self { status: 410, page: page!("Not signed in", "This login has ended.") }
    }

    /// Returns the response to a request for another path.
    pub const fn not_found() -> Self {
        Self { status: 404, page: page!("Not found", "Nothing is here.") }
    }

    /// Returns the response to bytes that are not a `GET` request.
    pub const fn unusable() -> Self {
        Self { status: 400, page: page!("Bad request", "This request cannot be read.") }
    }
}

/// The query of a redirect.
#[derive(Default)]
pub(super) struct Query {
    pub(super) code: Option<Zeroizing<String>>,
    pub(super) state: Option<String>,
    pub(super) iss: Option<String>,
    pub(super) error: Option<String>,
    pub(super) error_description: Option<String>,
}

/// Splits a request target into its path and its parsed query. `None` if a parameter is repeated.
pub(super) fn query(target: &str) -> Option<(&str, Query)> {
    if target.len() > MAX_TARGET || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let (path, text) = target.split_once('?').unwrap_or((target, ""));
    let mut query = Query::default();
    let put = |place: &mut Option<String>, value: String| place.replace(value).is_none();
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        let value = value.into_owned();
        let is_first = match &*name {
            "code" => query.code.replace(Zeroizing::new(value)).is_none(),
            "state" => put(&mut query.state, value),
            "iss" => put(&mut query.iss, value),
            "error" => put(&mut query.error, value),
            "error_description" => put(&mut query.error_description, value),
            _ => true,
        };
        if !is_first {
            return None;
        }
    }
    Some((path, query))
}
