//! The common parts of all pages: the frame, its style, and escaping.

use crate::service::ProtocolInfo;
use std::fmt;

/// The style of every page.
pub(super) const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem}\
h1,h2,h3{line-height:1.2;overflow-wrap:anywhere;text-wrap:balance}\
h1{font-size:1.75rem}\
section{margin-top:2.5rem;border-top:1px solid #8886}\
h3{margin:2.5rem 0 .5rem;font-family:ui-monospace,monospace}\
h3 a{color:inherit;text-decoration:none}\
h4{margin:.75rem 0 .25rem;font-size:.9rem}\
code{font-family:ui-monospace,monospace;overflow-wrap:anywhere}\
table{border-collapse:collapse;width:100%;table-layout:fixed;margin-top:1rem}\
th,td{text-align:left;vertical-align:top;padding:.25rem 1rem .25rem 0;border-bottom:1px solid #8886;overflow-wrap:anywhere}\
th:first-child{width:34%}\
.list{table-layout:auto}\
.list th:first-child{width:auto}\
summary{cursor:pointer;margin-top:1rem}\
pre{margin:0;padding:.75rem;overflow-x:auto;border:1px solid #8886;border-radius:.3rem;font:.85rem/1.45 ui-monospace,monospace;user-select:all}\
.doc{white-space:pre-line}\
.meta{margin:.5rem 0;font-size:.9rem;opacity:.75}\
.note{border-left:.25rem solid #c80;padding-left:.75rem}\
footer{margin-top:3rem;opacity:.7}";

/// The data of a server that the pages show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site<'a> {
    pub(super) server_id: &'a str,
    pub(super) prefix: &'a str,
    /// The URL at which clients reach it, with the prefix.
    pub(super) url: &'a str,
    /// The primary protocol first.
    pub(super) protocols: &'a [&'a ProtocolInfo],
}

/// Renders a whole page. `body` is HTML, the rest is text.
pub(super) fn page(title: &str, body: &str, server_id: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{}</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n{body}\n<footer>Server <code>{}</code></footer>\n</body>\n</html>\n",
        Escaped(title),
        Escaped(server_id)
    )
}

/// Escapes text for HTML, within an element or a quoted attribute.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                _ => fmt::Write::write_char(f, character)?,
            }
        }
        Ok(())
    }
}

/// A protocol's version, if it declares one.
pub(super) struct Version<'a>(pub(super) &'a ProtocolInfo);

impl fmt::Display for Version<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.version {
            Some(version) => version.fmt(f),
            None => f.write_str("any"),
        }
    }
}
