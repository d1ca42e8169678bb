//! Pages for people who open the server's address in a browser. WIRE_PROTOCOL 10, "Endpoints".
//!
//! A page is one HTML text with its style inside: it loads nothing, runs nothing, and sends nothing. Whatever comes
//! from outside this file is escaped.

mod describe;

use describe::describe;

use super::reply::Reply;
use crate::service::{ProtocolInfo, Service};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderValue, StatusCode};
use sha2::{Digest, Sha256};
use std::fmt;

/// The content type of the pages.
const HTML: &str = "text/html; charset=utf-8";

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem}\
h1,h2,h3{line-height:1.2;overflow-wrap:anywhere}\
h3{margin-top:2rem;font-family:ui-monospace,monospace}\
code{font-family:ui-monospace,monospace;overflow-wrap:anywhere}\
table{border-collapse:collapse;width:100%}\
th,td{text-align:left;vertical-align:top;padding:.2rem 1rem .2rem 0;border-bottom:1px solid #8886}\
.doc{white-space:pre-line}\
.note{border-left:.25rem solid #c80;padding-left:.75rem}\
footer{margin-top:3rem;opacity:.7}";

/// The pages of one server. They do not change, so they are made once.
#[derive(Debug)]
pub(crate) struct Pages {
    landing: Bytes,
    describe: Bytes,
    not_found: Bytes,
    policy: HeaderValue,
}

impl Pages {
    /// `prefix` is where the server is mounted: empty, or beginning with a slash and not ending with one.
    pub(crate) fn new(service: &Service, prefix: &str) -> Self {
        let protocols: Vec<&ProtocolInfo> = service.protocols().collect();
        let site = Site { server_id: service.server_id(), prefix, protocols: &protocols };
        Self {
            landing: landing(site).into(),
            describe: describe(site).into(),
            not_found: not_found(site).into(),
            policy: security_policy(),
        }
    }

    /// `GET {prefix}`.
    pub(crate) fn landing(&self) -> Reply {
        self.reply(StatusCode::OK, &self.landing)
    }

    /// `GET {prefix}/describe`.
    pub(crate) fn describe(&self) -> Reply {
        self.reply(StatusCode::OK, &self.describe)
    }

    /// Any path where there is nothing.
    pub(crate) fn not_found(&self) -> Reply {
        self.reply(StatusCode::NOT_FOUND, &self.not_found)
    }

    fn reply(&self, status: StatusCode, page: &Bytes) -> Reply {
        Reply::new(status, HTML, page.clone()).with(CONTENT_SECURITY_POLICY, self.policy.clone())
    }
}

/// What the pages tell of a server.
#[derive(Clone, Copy, Debug)]
struct Site<'a> {
    server_id: &'a str,
    prefix: &'a str,
    /// The primary protocol first.
    protocols: &'a [&'a ProtocolInfo],
}

/// `Content-Security-Policy` of the pages: their own style, and nothing else.
fn security_policy() -> HeaderValue {
    let style = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    // Base64 is visible ASCII, so there is always a value; the other one is stricter.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// The page of `GET {prefix}`: that this is a server for programs, and what it hosts.
fn landing(site: Site<'_>) -> String {
    let mut rows = String::new();
    for protocol in site.protocols {
        rows += &format!(
            "<tr><td><a href=\"{}/describe#{}\"><code>{}</code></a></td><td>{}</td><td>{}</td></tr>\n",
            Escaped(site.prefix),
            Escaped(&protocol.name),
            Escaped(&protocol.name),
            Version(protocol),
            protocol.methods.len(),
        );
    }
    let body = format!(
        "<h1>vgi-rpc server</h1>\n\
         <p>Programs call it with Apache Arrow over HTTP. Its methods are <a href=\"{}/describe\">described \
         here</a>.</p>\n\
         <table>\n<tr><th>Protocol</th><th>Version</th><th>Methods</th></tr>\n{rows}</table>",
        Escaped(site.prefix)
    );
    page("vgi-rpc server", &body, site.server_id)
}

/// The page for a path where there is nothing. It does not repeat the path.
fn not_found(site: Site<'_>) -> String {
    let body = format!(
        "<h1>Nothing here</h1>\n\
         <p>This is a vgi-rpc server. A method has the path <code>{prefix}/<em>protocol</em>/<em>method</em></code>; \
         which there are is <a href=\"{prefix}/describe\">described here</a>.</p>",
        prefix = Escaped(site.prefix)
    );
    page("Nothing here", &body, site.server_id)
}

/// A whole page. `body` is HTML, the rest is text.
fn page(title: &str, body: &str, server_id: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{}</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n{body}\n<footer>Server <code>{}</code></footer>\n</body>\n</html>\n",
        Escaped(title),
        Escaped(server_id)
    )
}

/// Text inside HTML, within an element or a quoted attribute.
struct Escaped<'a>(&'a str);

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
struct Version<'a>(&'a ProtocolInfo);

impl fmt::Display for Version<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.version {
            Some(version) => version.fmt(f),
            None => f.write_str("any"),
        }
    }
}

#[cfg(test)]
mod tests;
