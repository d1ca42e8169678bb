//! The setting of clients: the address of the proxy, and the credentials for it.

use crate::negotiation::Credentials;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// The text does not name a proxy. The error does not include it, because it may contain a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProxyUrlError {
    /// It has another scheme.
    #[error("expected an address that begins with socks5h://")]
    Scheme,
    /// It is for a proxy whose clients resolve names themselves.
    #[error(
        "expected socks5h://, whose proxy resolves names; socks5://, whose clients resolve them, is not supported"
    )]
    LocalNames,
    /// Host and port are missing or invalid.
    #[error(
        "expected a host and a port from 1 to 65535, as in socks5h://127.0.0.1:1080 or socks5h://[::1]:1080"
    )]
    HostAndPort,
    /// The user name or the password is missing, too long, or incorrectly encoded.
    #[error(
        "expected a user name and a password of 1 to 255 bytes each before the @, separated by a colon, with reserved bytes written as % and two hexadecimal digits"
    )]
    Credentials,
    /// There is more text after the port.
    #[error("expected nothing after the port")]
    Rest,
}

/// A SOCKS5 proxy that resolves names, such as `socks5h://127.0.0.1:1080` or `socks5h://user:password@proxy.example:1080`.
///
/// It prints without its credentials.
///
/// ```
/// use vgi_rpc_socks::SocksProxy;
///
/// let proxy: SocksProxy = "socks5h://user:p%40ss@[::1]:1080".parse()?;
/// assert_eq!(proxy.to_string(), "socks5h://[::1]:1080");
/// assert!("socks5://127.0.0.1:1080".parse::<SocksProxy>().is_err(), "it would resolve names here");
/// # Ok::<(), vgi_rpc_socks::ProxyUrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocksProxy {
    /// Without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) credentials: Option<Credentials>,
}

impl SocksProxy {
    /// Returns the host and the port, as they are printed.
    pub(crate) fn address(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Display for SocksProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "socks5h://{}", self.address())
    }
}

impl FromStr for SocksProxy {
    type Err = ProxyUrlError;

    fn from_str(text: &str) -> Result<Self, ProxyUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(ProxyUrlError::Scheme)?;
        if scheme.eq_ignore_ascii_case("socks5") {
            return Err(ProxyUrlError::LocalNames);
        }
        if !scheme.eq_ignore_ascii_case("socks5h") {
            return Err(ProxyUrlError::Scheme);
        }
        // A password with one of these characters must be encoded. A trailing slash has no meaning.
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err(ProxyUrlError::Rest);
        }
        let (credentials, address) = match rest.rsplit_once('@') {
            Some((credentials, address)) => (Some(parse_credentials(credentials)?), address),
            None => (None, rest),
        };
        let (host, port) = parse_address(address).ok_or(ProxyUrlError::HostAndPort)?;
        Ok(Self { host: host.to_owned(), port, credentials })
    }
}

fn parse_address(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| is_number && *port != 0)?;
    if let Some(host) = host.strip_prefix('[') {
        let host = host.strip_suffix(']')?;
        return host.parse::<std::net::Ipv6Addr>().is_ok().then_some((host, port));
    }
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (!host.is_empty() && host.bytes().all(is_host)).then_some((host, port))
}

fn parse_credentials(text: &str) -> Result<Credentials, ProxyUrlError> {
    let parse = || {
        let (user, password) = text.split_once(':')?;
        Credentials::new(decode(user)?, decode(password)?)
    };
    parse().ok_or(ProxyUrlError::Credentials)
}

/// Decodes a percent-encoded part of a URL.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'%' => {
                let (digits, after) = rest.split_first_chunk::<2>()?;
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let [high, low] = digits.map(digit);
                decoded.push(u8::try_from(high? * 16 + low?).ok()?);
                rest = after;
            }
            b':' | b'@' => return None,
            byte => decoded.push(*byte),
        }
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_host_port_and_perhaps_credentials() {
        let parse = |text: &str| text.parse::<SocksProxy>();
        for (text, host, port) in [
            ("socks5h://127.0.0.1:1080", "127.0.0.1", 1080),
            ("SOCKS5H://proxy.example:1/", "proxy.example", 1),
            ("socks5h://[::1]:65535", "::1", 65535),
        ] {
            let proxy = parse(text).unwrap();
            assert_eq!((proxy.host.as_str(), proxy.port, proxy.credentials.is_some()), (host, port, false));
        }
        let proxy = parse("socks5h://user7:a%3Ab%40%2f%00@h:1").unwrap();
        assert_eq!(proxy.credentials, Credentials::new("user7", "a:b@/\0"));
        for printed in [format!("{proxy:?}"), proxy.to_string()] {
            assert!(
                !printed.contains("user7") && !printed.contains("a:b") && !printed.contains("a%3A"),
                "{printed}"
            );
        }
    }

    #[test]
    fn other_texts_are_refused_and_not_repeated() {
        use ProxyUrlError::{Credentials, HostAndPort, LocalNames, Rest, Scheme};
        for (text, error) in [
            ("127.0.0.1:1080", Scheme),
            ("http://127.0.0.1:1080", Scheme),
            ("socks4a://127.0.0.1:1080", Scheme),
            ("socks5://127.0.0.1:1080", LocalNames),
            ("socks5h://", HostAndPort),
            ("socks5h://127.0.0.1", HostAndPort),
            ("socks5h://127.0.0.1:", HostAndPort),
            ("socks5h://127.0.0.1:0", HostAndPort),
            ("socks5h://127.0.0.1:+80", HostAndPort),
            ("socks5h://127.0.0.1:65536", HostAndPort),
            ("socks5h://:1080", HostAndPort),
            ("socks5h://::1:1080", HostAndPort),
            ("socks5h://[::1:1080", HostAndPort),
            ("socks5h://[h]:1080", HostAndPort),
            ("socks5h://h h:1080", HostAndPort),
            ("socks5h://h:1080/path", Rest),
            ("socks5h://h:1080?query", Rest),
            ("socks5h://h:1080#fragment", Rest),
            ("socks5h://hunter2@h:1080", Credentials),
            ("socks5h://hunter2:@h:1080", Credentials),
            ("socks5h://:hunter2@h:1080", Credentials),
            ("socks5h://me:hunter2%@h:1080", Credentials),
            ("socks5h://me:hunter2%+1@h:1080", Credentials),
            ("socks5h://me:hunter2%zz@h:1080", Credentials),
            ("socks5h://me:hunter2:x@h:1080", Credentials),
            ("socks5h://me:hunter2@x@h:1080", Credentials),
        ] {
            assert_eq!(text.parse::<SocksProxy>(), Err(error), "{text}");
            assert!(!error.to_string().contains("hunter2"));
        }
        let long = format!("socks5h://me:{}@h:1", "x".repeat(256));
        assert_eq!(long.parse::<SocksProxy>(), Err(Credentials));
    }
}
