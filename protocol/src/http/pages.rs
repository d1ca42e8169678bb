//! HTML pages for users who open the server's URL in a browser. WIRE_PROTOCOL 10, "Endpoints".
//!
//! A page is one HTML document with an inline style: it loads nothing, runs nothing, and sends nothing. All text from outside
//! this file is escaped.

mod describe;
mod page;
mod snippets;

use describe::describe;
use page::{Escaped, STYLE, Site, Version, page};

use super::response_draft::ResponseDraft;
use crate::service::{ProtocolInfo, Service};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderValue, StatusCode};
use sha2::{Digest, Sha256};

/// The content type of the pages.
const HTML: &str = "text/html; charset=utf-8";

/// The pages of one server. They do not change, so they are created once.
#[derive(Debug)]
pub(crate) struct Pages {
    landing: Bytes,
    describe: Bytes,
    not_found: Bytes,
    #[cfg(feature = "oauth-pkce")]
    server_id: String,
    policy: HeaderValue,
}

impl Pages {
    /// Creates the pages. `prefix` is where the server is mounted: empty, or beginning with a slash and not ending with one.
    /// `origin` is the server's origin as clients see it, if known.
    pub(crate) fn new(service: &Service, prefix: &str, origin: Option<&str>) -> Self {
        let url = format!("{}{prefix}", origin.unwrap_or("https://HOST"));
        let protocols: Vec<&ProtocolInfo> = service.protocols().collect();
        let site = Site { server_id: service.server_id(), prefix, url: &url, protocols: &protocols };
        Self {
            landing: landing(site).into(),
            describe: describe(site).into(),
            not_found: not_found(site).into(),
            #[cfg(feature = "oauth-pkce")]
            server_id: service.server_id().to_string(),
            policy: security_policy(),
        }
    }

    /// Returns the response to `GET {prefix}`.
    pub(crate) fn landing(&self) -> ResponseDraft {
        self.reply(StatusCode::OK, &self.landing)
    }

    /// Returns the response to `GET {prefix}/describe`.
    pub(crate) fn describe(&self) -> ResponseDraft {
        self.reply(StatusCode::OK, &self.describe)
    }

    /// Returns the response for a path where there is nothing.
    pub(crate) fn not_found(&self) -> ResponseDraft {
        self.reply(StatusCode::NOT_FOUND, &self.not_found)
    }

    /// Returns a page with a short message and a link. All arguments are plain text.
    #[cfg(feature = "oauth-pkce")]
    pub(crate) fn message(
        &self,
        status: StatusCode,
        title: &str,
        text: &str,
        (href, label): (&str, &str),
    ) -> ResponseDraft {
        let (heading, text) = (Escaped(title), Escaped(text));
        let link = format!("<p><a href=\"{}\">{}</a></p>", Escaped(href), Escaped(label));
        let body = format!("<h1>{heading}</h1>\n<p>{text}</p>\n{link}");
        self.reply(status, &page(title, &body, &self.server_id).into())
    }

    fn reply(&self, status: StatusCode, page: &Bytes) -> ResponseDraft {
        ResponseDraft::new(status, HTML, page.clone()).with(CONTENT_SECURITY_POLICY, self.policy.clone())
    }
}

/// Returns the `Content-Security-Policy` of the pages: their own style, and nothing else.
fn security_policy() -> HeaderValue {
    let style = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    // Base64 is visible ASCII, so the value is always valid; the fallback is stricter.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// Renders the page of `GET {prefix}`, which says that this is a server for programs, and what it hosts.
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
         <table class=\"list\">\n<tr><th>Protocol</th><th>Version</th><th>Methods</th></tr>\n{rows}</table>",
        Escaped(site.prefix)
    );
    page("vgi-rpc server", &body, site.server_id)
}

/// Renders the page for a path where there is nothing. It does not repeat the path.
fn not_found(site: Site<'_>) -> String {
    let body = format!(
        "<h1>Nothing here</h1>\n\
         <p>This is a vgi-rpc server. A method has the path <code>{prefix}/<em>protocol</em>/<em>method</em></code>; \
         which there are is <a href=\"{prefix}/describe\">described here</a>.</p>",
        prefix = Escaped(site.prefix)
    );
    page("Nothing here", &body, site.server_id)
}

#[cfg(test)]
mod tests;
