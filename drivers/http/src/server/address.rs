//! The address on which a server listens, as a URL.

use std::fmt;
use std::io;
use std::net::SocketAddr;

/// The address on which a server listens. It prints as a URL, such as `http://127.0.0.1:8000` or `https://127.0.0.1:8443`,
/// without the path that the [prefix](vgi_rpc_protocol::http::EndpointBuilder::prefix) adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// A TCP address, with the port that the system chose if port 0 was requested.
    Tcp(SocketAddr),
    /// A TCP address whose connections use TLS.
    Tls(SocketAddr),
}

impl Address {
    /// Returns the address of the socket.
    pub const fn socket(&self) -> SocketAddr {
        match self {
            Self::Tcp(address) | Self::Tls(address) => *address,
        }
    }

    pub(super) fn of(address: &vgi_rpc_reactor::Address, is_tls: bool) -> io::Result<Self> {
        match address {
            vgi_rpc_reactor::Address::Tcp(address) if is_tls => Ok(Self::Tls(*address)),
            vgi_rpc_reactor::Address::Tcp(address) => Ok(Self::Tcp(*address)),
            other => Err(io::Error::other(format!("expected a TCP address, got {other}"))),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "http://{address}"),
            Self::Tls(address) => write!(f, "https://{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_prints_as_a_url() {
        for (address, url) in [("127.0.0.1:80", "http://127.0.0.1:80"), ("[::1]:8000", "http://[::1]:8000")] {
            let address = vgi_rpc_reactor::Address::Tcp(address.parse().unwrap());
            assert_eq!(Address::of(&address, false).unwrap().to_string(), url);
            let secure = Address::of(&address, true).unwrap();
            assert_eq!(secure.to_string(), url.replace("http", "https"));
            assert_eq!(secure.socket().to_string(), url["http://".len()..]);
        }
        assert!(Address::of(&vgi_rpc_reactor::Address::Unix("/run/socket".into()), false).is_err());
    }
}
