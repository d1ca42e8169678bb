//! Parses a URL into the server to connect to and the path to request.

use http::{HeaderValue, Uri};
use std::fmt;
use thiserror::Error;

/// A URL to which no request can be sent. The error does not include it, because it may contain a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It is not a valid URL.
    #[error("the URL cannot be parsed: {0}")]
    Syntax(String),
    /// It is not an absolute `http` or `https` URL.
    #[error("expected a URL that begins with http:// or https:// and names a host")]
    Scheme,
    /// It has a user name: credentials belong in headers.
    #[error("expected a URL without user name and password")]
    UserInfo,
    /// Its port is not a number up to 65535.
    #[error("expected a port from 0 to 65535")]
    Port,
    /// It has a query where none is allowed.
    #[error("expected a URL without a query")]
    Query,
    /// This build does not include TLS.
    #[error("https needs the feature \"tls\" of vgi-rpc-http")]
    NoTls,
}

/// A server: the address to connect to, and its name in requests.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) is_https: bool,
    /// A name or an IP address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The value of `Host`.
    pub(crate) authority: HeaderValue,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.authority.to_str().unwrap_or(&self.host))
    }
}

/// Splits a URL into the server's address and the rest.
pub(crate) fn parse(url: &str) -> Result<(Address, Uri), UrlError> {
    let (scheme, rest) = url.split_once(':').ok_or(UrlError::Scheme)?;
    let names_host =
        rest.strip_prefix("//").is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?', '#']));
    if !names_host || !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(UrlError::Scheme);
    }
    let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| UrlError::Syntax(error.to_string()))?;
    let is_https = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(UrlError::Scheme),
    };
    if is_https && !cfg!(feature = "tls") {
        return Err(UrlError::NoTls);
    }
    let authority = uri.authority().ok_or(UrlError::Scheme)?;
    if authority.as_str().contains('@') {
        return Err(UrlError::UserInfo);
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    if host.is_empty() {
        return Err(UrlError::Scheme);
    }
    let port = match authority.as_str().strip_prefix(authority.host()).unwrap_or_default() {
        "" | ":" if is_https => 443,
        "" | ":" => 80,
        _ => authority.port_u16().ok_or(UrlError::Port)?,
    };
    let authority = HeaderValue::from_str(authority.as_str()).map_err(|_| UrlError::Scheme)?;
    Ok((Address { is_https, host, port, authority }, uri))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lead_to_hosts_and_ports() {
        let at =
            |url: &str| parse(url).map(|(address, uri)| (address.host, address.port, uri.path().to_owned()));
        assert_eq!(at("http://h:81/a/b"), Ok(("h".into(), 81, "/a/b".into())));
        assert_eq!(at("http://h"), Ok(("h".into(), 80, "/".into())));
        assert_eq!(at("http://[::1]:9/x?y=1"), Ok(("::1".into(), 9, "/x".into())));
        assert_eq!(at("http://h:/x"), Ok(("h".into(), 80, "/x".into())));
        for url in ["http://h:65536", "http://h:99999/", "http://h:0x1/", "http://[::1]:70000/"] {
            assert!(matches!(at(url), Err(UrlError::Port | UrlError::Syntax(_))), "{url}");
        }
        for (url, error) in
            [("/a", UrlError::Scheme), ("ftp://h", UrlError::Scheme), ("http://u:p@h", UrlError::UserInfo)]
        {
            assert_eq!(at(url), Err(error), "{url}");
        }
        for url in ["http:", "http://", "http:///a", "http://?a", "http://:80/a"] {
            assert_eq!(at(url), Err(UrlError::Scheme), "{url}");
        }
        assert!(matches!(at("http://a b"), Err(UrlError::Syntax(_))));
        let https =
            if cfg!(feature = "tls") { Ok(("h".into(), 443, "/".into())) } else { Err(UrlError::NoTls) };
        assert_eq!(at("https://h/"), https);
    }
}
