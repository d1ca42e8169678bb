//! The server of signed URLs.

use std::fmt;
use thiserror::Error;
use vgi_rpc_protocol::external::Location;

/// A server with the XML API of Cloud Storage: a scheme, a host, and optionally a port.
///
/// The default is `https://storage.googleapis.com`. Other universes, private endpoints and emulators have other endpoints.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    scheme: String,
    /// A name or an address; an IPv6 address has brackets.
    host: String,
    port: Option<u16>,
}

/// The error for a text that is not a valid endpoint. The text is not repeated, because it may contain a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "expected an endpoint such as https://storage.googleapis.com: http or https and a host, without user, path and query"
)]
pub struct EndpointError;

impl Endpoint {
    /// Parses a URL that only names a server.
    ///
    /// # Errors
    /// If this is not the URL of an HTTP server, or has a user, a path, a query or a fragment.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let location = Location::parse(text).map_err(|_| EndpointError)?;
        let url = location.url();
        let is_bare = url.username().is_empty()
            && url.password().is_none()
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none();
        if !is_bare || !matches!(url.scheme(), "http" | "https") {
            return Err(EndpointError);
        }
        let host = url.host_str().ok_or(EndpointError)?;
        Ok(Self { scheme: url.scheme().to_owned(), host: host.to_owned(), port: url.port() })
    }

    /// Returns the endpoint of a universe. Service-account keys name it by its domain, such as `googleapis.com`.
    ///
    /// # Errors
    /// If this is not a valid domain.
    pub fn of_universe(domain: &str) -> Result<Self, EndpointError> {
        let endpoint = Self::parse(&format!("https://storage.{domain}"))?;
        let is_domain = endpoint.port.is_none() && !domain.is_empty() && !domain.starts_with('.');
        if is_domain { Ok(endpoint) } else { Err(EndpointError) }
    }

    /// Returns `http` or `https`.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Returns the name or address; an IPv6 address has brackets. It is signed without the port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port, unless it is the scheme's default.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }
}

impl Default for Endpoint {
    fn default() -> Self {
        Self { scheme: "https".to_owned(), host: "storage.googleapis.com".to_owned(), port: None }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_servers_alone() {
        for (text, shown) in [
            ("https://storage.googleapis.com", "https://storage.googleapis.com"),
            ("HTTPS://Storage.googleapis.com:443/", "https://storage.googleapis.com"),
            ("http://127.0.0.1:9023", "http://127.0.0.1:9023"),
            ("http://[::1]:80/", "http://[::1]"),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), shown);
        }
        for text in [
            "",
            "storage.googleapis.com",
            "ftp://storage.googleapis.com",
            "https://user:secret@storage.googleapis.com",
            "https://storage.googleapis.com/bucket",
            "https://storage.googleapis.com//",
            "https://storage.googleapis.com?secret",
            "https://storage.googleapis.com#secret",
            "https://",
        ] {
            assert_eq!(Endpoint::parse(text), Err(EndpointError), "{text}");
        }
        assert_eq!(Endpoint::of_universe("googleapis.com"), Ok(Endpoint::default()));
        for domain in ["", ".", ".example", "a.example:1", "a/b", "u@h.example", "a.example?x", "a b"] {
            assert_eq!(Endpoint::of_universe(domain), Err(EndpointError), "{domain}");
        }
    }
}
