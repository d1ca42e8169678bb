//! URLs that a browser may be redirected to after login: paths of this server, and configured pages.

use super::resource::origin;
use crate::location::Location;

/// The maximum length of a URL that is stored during a login.
const MAX_URL: usize = 1024;

/// Returns the path and query that a browser requested if it may be redirected there: the path must be below the prefix, and no
/// browser or proxy must read it as a URL of another host. Otherwise returns the prefix itself.
pub(super) fn local<'a>(target: &'a str, prefix: &'a str) -> &'a str {
    if is_local(target, prefix) { target } else { home(prefix) }
}

/// Returns the path of the server's start page.
pub(super) fn home(prefix: &str) -> &str {
    if prefix.is_empty() { "/" } else { prefix }
}

fn is_local(target: &str, prefix: &str) -> bool {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let below = path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    // Browsers treat a backslash as a slash, and two slashes as the start of a host name. A redirecting proxy may decode
    // slashes before the browser sees them, so encoded slashes are refused too.
    let encoded = |code: &str| path.to_ascii_lowercase().contains(code);
    target.len() <= MAX_URL
        && path.starts_with('/')
        && below
        && !path.contains("//")
        && !path.split('/').any(|segment| segment == "." || segment == "..")
        && !target.contains('\\')
        && target.bytes().all(|byte| byte.is_ascii_graphic())
        && !["%2f", "%5c", "%2e"].into_iter().any(encoded)
}

/// Parses the page of another origin to which a browser wants to return. It must be one of these, with any query. A URL with a
/// fragment is refused.
pub(super) fn external(url: &str, pages: &[Location]) -> Option<Location> {
    let is_text =
        url.len() <= MAX_URL && !url.contains('\\') && url.bytes().all(|byte| byte.is_ascii_graphic());
    let asked = is_text.then(|| page(url)).flatten()?;
    let is_same = |known: &Location| {
        known.url().origin() == asked.url().origin() && known.url().path() == asked.url().path()
    };
    pages.iter().any(is_same).then_some(asked)
}

/// Parses the URL of a page that may receive a token: an https URL, or one on this machine.
pub(super) fn page(url: &str) -> Option<Location> {
    origin(url)?;
    let page = Location::parse(url).ok()?;
    (page.url().scheme() == "https" || is_loopback(&page)).then_some(page)
}

/// Whether a URL refers to this machine, so that unencrypted traffic does not cross a network.
pub(super) fn is_loopback(location: &Location) -> bool {
    match location.url().host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_sent_back_into_the_server_only() {
        for (target, prefix) in [
            ("/", ""),
            ("/describe?a=%2F%2Fb#c", ""),
            ("/vgi", "/vgi"),
            ("/vgi?x", "/vgi"),
            ("/vgi/describe?return=https://evil.example", "/vgi"),
        ] {
            assert_eq!(local(target, prefix), target);
        }
        for target in [
            "",
            "describe",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/%2f%2fevil.example",
            "/%2Fevil.example",
            "/%5Cevil.example",
            "/a//evil.example",
            "/a/../evil",
            "/./evil",
            "/..//evil.example",
            "/%2e%2e/evil",
            "https://evil.example",
            "javascript:alert(1)",
            "/a\r\nSet-Cookie: b",
            "/a b",
            "/ä",
            "/a\\..\\b",
        ] {
            assert_eq!(local(target, ""), "/", "{target:?}");
            assert_eq!(local(target, "/vgi"), "/vgi", "{target:?}");
        }
        for target in ["/", "/other", "/vgix", "/vgi.evil", "/vgi@evil.example", "/VGI/"] {
            assert_eq!(local(target, "/vgi"), "/vgi", "{target:?}");
        }
        assert_eq!(local(&format!("/{}", "a".repeat(3000)), ""), "/");
    }

    #[test]
    fn named_pages_alone_are_sent_a_token() {
        let pages = ["https://app.example/page", "http://localhost:3000/"].map(|url| page(url).unwrap());
        let allowed = |url: &str| external(url, &pages).map(|location| location.as_str().to_owned());
        for url in ["https://app.example/page", "https://app.example/page?b=c", "http://localhost:3000/?x"] {
            assert_eq!(allowed(url).as_deref(), Some(url));
        }
        assert!(allowed("https://APP.example:443/page").is_some(), "spelled in another way");
        assert!(allowed("https://app.example/x/../page").is_some(), "spelled in another way");
        for url in [
            "",
            "https://app.example/",
            "https://app.example/page/",
            "https://app.example/page/../go",
            "https://app.example/Page",
            "https://app.example.evil.example/page",
            "https://evil.example/https://app.example/page",
            "https://app.example@evil.example/page",
            "https://user@app.example/page",
            "http://app.example/page",
            "https://app.example:8443/page",
            "http://localhost/",
            "http://localhost:3001/",
            "//app.example/page",
            "/\\app.example/page",
            "https:\\\\app.example\\page",
            "https://app.example/page#a",
            "https://app.example/page\t",
            "https://app.example/page?\u{e9}",
            &format!("https://app.example/page?{}", "a".repeat(1024)),
            "javascript://app.example/page%0aalert(1)",
        ] {
            assert_eq!(allowed(url), None, "{url}");
        }
        for url in [
            "http://app.example/",
            "ftp://app.example/",
            "app.example",
            "https://a@app.example/",
            "https://a/#b",
        ] {
            assert!(page(url).is_none(), "{url}");
        }
        assert!(page("http://127.0.0.1:3000/").is_some() && page("http://[::1]/").is_some());
    }
}
