//! Checks the `Host` of requests, against DNS rebinding.
//!
//! A browser lets a page call the origin from which it was loaded. If the name of that origin is then changed to resolve to
//! 127.0.0.1, the page can call a server on the user's own machine, behind the user's firewall. Such a request still names the
//! page's host, and is refused for that.

use super::error::HttpServerError;
use http::HeaderMap;
use http::header::HOST;
use http::uri::Authority;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use vgi_rpc_reactor::Address;

/// The maximum length of a host name.
const MAX_NAME: usize = 253;

/// Which hosts a request may name. Ports and the case of names do not matter.
///
/// A request without a host is accepted: HTTP/1.1 requires a `Host`, which may be empty, HTTP/1.0 does not, and every browser
/// sends one.
///
/// A proxy in front of the server either sets `Host` to the server's own address, as most do by default, or preserves the
/// client's. In the latter case, list the public names in [`Self::Listed`], or leave the check to the proxy with [`Self::Any`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AllowedHosts {
    /// On a loopback address and without authentication: `localhost`, `127.0.0.1`, `[::1]` and the bound address. Otherwise any
    /// host. Any authenticator counts as authentication, including a gate for proxy proofs: a page cannot provide the credential.
    #[default]
    Default,
    /// Any host.
    Any,
    /// These hosts, such as `example.org` or `[2001:db8::1]`, and the bound address.
    Listed(Vec<String>),
}

/// The host check of a bound server.
#[derive(Debug)]
pub(super) enum HostCheck {
    Any,
    Only(Vec<Host>),
}

/// One host.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Host {
    Address(IpAddr),
    /// In lower case, without a trailing dot.
    Name(String),
}

impl Host {
    /// Parses a host, and returns whether a port follows it; `None` if the text is invalid.
    fn parse(text: &[u8]) -> Option<(Self, bool)> {
        let authority = Authority::try_from(text).ok()?;
        let host = authority.host();
        let has_port = authority.as_str().len() != host.len();
        let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let address = match literal {
            Some(literal) => IpAddr::V6(literal.parse::<Ipv6Addr>().ok()?),
            None => match host.parse::<Ipv4Addr>() {
                Ok(address) => IpAddr::V4(address),
                Err(_) => {
                    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
                    return (!name.is_empty()).then_some((Self::Name(name), has_port));
                }
            },
        };
        Some((Self::Address(address.to_canonical()), has_port))
    }
}

impl HostCheck {
    /// `is_open`: any client may call.
    pub(super) fn new(
        allowed: &AllowedHosts,
        bound: &Address,
        is_open: bool,
    ) -> Result<Self, HttpServerError> {
        let bound = match bound {
            Address::Tcp(address) => Some(address.ip().to_canonical()),
            _ => None,
        };
        let mut hosts: Vec<Host> = bound.map(Host::Address).into_iter().collect();
        match allowed {
            AllowedHosts::Default if is_open && bound.is_some_and(|address| address.is_loopback()) => {
                hosts.push(Host::Name("localhost".into()));
                hosts.push(Host::Address(Ipv4Addr::LOCALHOST.into()));
                hosts.push(Host::Address(Ipv6Addr::LOCALHOST.into()));
            }
            AllowedHosts::Default | AllowedHosts::Any => return Ok(Self::Any),
            AllowedHosts::Listed(listed) => {
                for text in listed {
                    match Host::parse(text.as_bytes()) {
                        // Wildcards are not supported.
                        Some((host, false)) if !text.contains('*') => hosts.push(host),
                        _ => return Err(HttpServerError::AllowedHost(text.clone())),
                    }
                }
            }
        }
        Ok(Self::Only(hosts))
    }

    /// Returns whether a request with these headers is for this server. The state machine has replaced `Host` by the authority of
    /// a target in absolute form, as RFC 9112, section 3.2.2, requires.
    pub(super) fn allows(&self, headers: &HeaderMap) -> bool {
        let Self::Only(hosts) = self else { return true };
        match headers.get(HOST).map(|host| host.as_bytes()) {
            None | Some(b"") => true,
            Some(host) => Host::parse(host).is_some_and(|(host, _)| hosts.contains(&host)),
        }
    }

    /// Returns the host that a request names, as it is listed, if it may be the name of one.
    pub(super) fn named(headers: &HeaderMap) -> Option<String> {
        match Host::parse(headers.get(HOST)?.as_bytes())?.0 {
            Host::Address(IpAddr::V6(address)) => Some(format!("[{address}]")),
            Host::Address(address) => Some(address.to_string()),
            Host::Name(name) => {
                let is_plain = |letter: u8| letter.is_ascii_alphanumeric() || b"-._".contains(&letter);
                (name.len() <= MAX_NAME && name.bytes().all(is_plain)).then_some(name)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_host_is_named_as_it_is_listed() {
        let long = "a".repeat(254);
        for (host, named) in [
            ("Example.ORG.:80", Some("example.org")),
            ("127.0.0.1:1", Some("127.0.0.1")),
            ("[2001:db8:0::1]:1", Some("[2001:db8::1]")),
            ("a~b", None),
            (&long, None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_str(host).unwrap())]);
            assert_eq!(HostCheck::named(&headers).as_deref(), named, "{host}");
        }
    }

    fn check(allowed: &AllowedHosts, bound: &str, is_open: bool) -> HostCheck {
        HostCheck::new(allowed, &Address::Tcp(bound.parse().unwrap()), is_open).unwrap()
    }

    fn allows(check: &HostCheck, host: &'static str) -> bool {
        check.allows(&[(HOST, HeaderValue::from_static(host))].into_iter().collect())
    }

    #[test]
    fn an_open_server_on_loopback_is_called_by_its_own_names() {
        let default = check(&AllowedHosts::Default, "127.0.0.5:80", true);
        let own = [
            "localhost",
            "LocalHost:8080",
            "localhost.",
            "127.0.0.1",
            "127.0.0.1:1",
            "127.0.0.5:65535",
            "[::1]:80",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "",
        ];
        assert!(own.iter().all(|host| allows(&default, host)));
        let others =
            ["evil.example:80", "localhost.evil.example", "127.0.0.2", "127.0.0.1.evil.example", "[::2]"];
        assert!(!others.iter().any(|host| allows(&default, host)));
        assert!(default.allows(&HeaderMap::new()), "HTTP/1.0");
    }

    #[test]
    fn a_server_that_authenticates_or_is_public_is_called_by_any_name() {
        for (bound, is_open) in [("127.0.0.1:80", false), ("192.0.2.7:80", true), ("0.0.0.0:80", true)] {
            assert!(allows(&check(&AllowedHosts::Default, bound, is_open), "evil.example"), "{bound}");
        }
        for bound in ["[::1]:80", "[::ffff:127.0.0.1]:80"] {
            assert!(!allows(&check(&AllowedHosts::Default, bound, true), "evil.example"), "{bound}");
        }
        assert!(allows(&check(&AllowedHosts::Any, "127.0.0.1:80", true), "evil.example"));
    }

    #[test]
    fn listed_hosts_and_the_bound_address_are_allowed_wherever_it_is() {
        let listed = AllowedHosts::Listed(vec!["Example.ORG".into(), "[2001:db8:0::1]".into()]);
        let check = check(&listed, "192.0.2.7:80", false);
        for host in ["example.org", "EXAMPLE.org:443", "[2001:db8::1]", "192.0.2.7"] {
            assert!(allows(&check, host), "{host}");
        }
        for host in ["localhost", "127.0.0.1", "www.example.org"] {
            assert!(!allows(&check, host), "{host}");
        }
    }

    #[test]
    fn what_is_not_a_host_cannot_be_listed() {
        for host in [
            "",
            "example.org:443",
            "a b",
            "http://example.org",
            "user@example.org",
            "[::1",
            ".",
            "*.example.org",
        ] {
            let listed = AllowedHosts::Listed(vec![host.into()]);
            let refused = HostCheck::new(&listed, &Address::Tcp("127.0.0.1:80".parse().unwrap()), true);
            assert!(matches!(refused, Err(HttpServerError::AllowedHost(named)) if named == host), "{host:?}");
        }
    }
}
