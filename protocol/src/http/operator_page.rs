//! A page of the operator's, such as one of metrics: its path, who may read it, and what makes its text.

use super::response_draft::ResponseDraft;
use crate::panics;
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use std::fmt;

/// Names that paths of the endpoint's own begin with.
const TAKEN: [&str; 4] = ["describe", "health", "_oauth", ".well-known"];

type Render = dyn Fn() -> String + Send + Sync;

/// A page beside the methods, which `GET` reads. Only callers that are authenticated may, unless it is [open](Self::open).
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
    /// A page at this path below the endpoint's prefix: a slash and one name of ASCII letters, digits, `-`, `_` and `.` that the
    /// endpoint does not use itself. The function makes the text anew for each request. It must not take long, since other
    /// connections wait for it.
    pub fn new(
        path: impl Into<String>,
        content_type: &'static str,
        render: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        Self { path: path.into(), content_type, is_open: false, render: Box::new(render) }
    }

    /// Lets everyone read the page who can connect to the server.
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

    /// Whether the endpoint can have a page at its path.
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

    /// The page as it is now.
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
