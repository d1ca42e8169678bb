//! The HTML page of a 401, for browsers. Clients must not parse it.

use crate::http::auth::AuthFailure;
use std::borrow::Cow;

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.75rem;line-height:1.2;text-wrap:balance}\
code{font:0.9rem ui-monospace,monospace;padding:.15rem .45rem;border:1px solid #8888;border-radius:.3rem}\
.note{border-left:.25rem solid #c80;padding-left:1rem}";

/// Renders the page. All text from outside this file is escaped.
pub(super) fn render(failure: &AuthFailure, hint: Option<&str>) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>401 Unauthorized</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>This service needs to know who you are</h1>\n\
         <p>The request was refused with 401: <code>{}</code></p>\n",
        failure.reason
    );
    if !failure.detail.is_empty() {
        page.push_str(&format!("<p>{}</p>\n", escape(&failure.detail)));
    }
    if let Some(hint) = hint {
        page.push_str(&format!("<p class=\"note\">{}</p>\n", escape(hint)));
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::auth::Reason;

    #[test]
    fn shows_reason_detail_and_note_and_escapes_them() {
        let failure = AuthFailure::new(Reason::InvalidCredential, "<script>alert('1' & \"2\")</script>");
        let page = render(&failure, Some("set X<Y"));
        assert!(page.contains("<code>invalid_credential</code>"), "{page}");
        assert!(
            page.contains("&lt;script&gt;alert(&#39;1&#39; &amp; &quot;2&quot;)&lt;/script&gt;"),
            "{page}"
        );
        assert!(page.contains("set X&lt;Y") && !page.contains("<script"), "{page}");
    }

    #[test]
    fn leaves_out_what_there_is_not() {
        let page = render(&AuthFailure::new(Reason::MissingCredential, ""), None);
        assert_eq!(page.matches("<p").count(), 1, "{page}");
    }
}
