//! A page for the operator, for example one with metrics: its path, its access rule and its content.

use super::response_draft::ResponseDraft;
use crate::panics;
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use std::fmt;

/// The first path segments that the endpoint uses itself.
const TAKEN: [&str; 4] = ["describe", "health", "_oauth", ".well-known"];

type Render = dyn Fn() -> String + Send + Sync;

/// A page that is read by `GET`, next to the methods. Only authenticated callers may read it, unless it is [open](Self::open).
///
/// ```
/// use vgi_rpc_protocol::http::OperatorPage;
///
/// let page = OperatorPage::new("/metrics", "text/plain; version=0.0.4; charset=utf-8", || "up 1\n".into());
/// # let _ = page.open();
/// ```
pub struct OperatorPage {
    path: String,
    content_type: &'static str,
    is_open: bool,
    render: Box<Render>,
}

impl OperatorPage {
    /// Creates a page at this path below the endpoint's prefix: a slash and one name of ASCII letters, digits, `-`, `_` and `.`
    /// that the endpoint does not use itself. The function is called for each request and returns the text. It must be fast,
    /// since other connections wait for it.
    pub fn new(
        path: impl Into<String>,
        content_type: &'static str,
        render: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        Self { path: path.into(), content_type, is_open: false, render: Box::new(render) }
    }

    /// Makes the page readable for every client that can connect to the server.
    pub fn open(mut self) -> Self {
        self.is_open = true;
        self
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Whether the page's path is valid.
    pub(super) fn has_valid_path(&self) -> bool {
        self.path.strip_prefix('/').is_some_and(|name| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            let is_reserved = name.starts_with("__") && name.ends_with("__");
            !name.is_empty()
                && name != "."
                && name != ".."
                && name.bytes().all(is_plain)
                && !is_reserved
                && !TAKEN.contains(&name)
        }) && HeaderValue::from_str(self.content_type).is_ok()
    }

    /// Returns the current content of the page.
    pub(super) fn draft(&self) -> ResponseDraft {
        let Some(text) = panics::catch(|| (self.render)()) else {
            return ResponseDraft::text(StatusCode::INTERNAL_SERVER_ERROR, "the page could not be made\n");
        };
        let draft = ResponseDraft::new(StatusCode::OK, self.content_type, text);
        draft.with(CACHE_CONTROL, HeaderValue::from_static("no-store"))
    }
}

impl fmt::Debug for OperatorPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperatorPage")
            .field("path", &self.path)
            .field("is_open", &self.is_open)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_path_that_nothing_else_has() {
        let is_valid = |path: &str| OperatorPage::new(path, "text/plain", String::new).has_valid_path();
        for path in ["/metrics", "/a-b_c.1"] {
            assert!(is_valid(path), "{path}");
        }
        for path in [
            "",
            "/",
            "metrics",
            "/a/b",
            "/health",
            "/describe",
            "/__session__",
            "/_oauth",
            "/..",
            "/%6d",
            "/ä",
        ] {
            assert!(!is_valid(path), "{path}");
        }
        assert!(!OperatorPage::new("/metrics", "a\nb", String::new).has_valid_path());
    }
}
