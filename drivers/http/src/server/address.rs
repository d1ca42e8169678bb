//! Where a server listens, as its clients write it.

use std::fmt;
use std::io;
use std::net::SocketAddr;

/// Where a server listens. Its text is a URL, such as `http://127.0.0.1:8000`, without the path that the
/// [prefix](vgi_rpc_protocol::http::EndpointBuilder::prefix) adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// A TCP address, with the port that the system chose if it was asked to.
    Tcp(SocketAddr),
}

impl Address {
    pub(super) fn of(address: &vgi_rpc_reactor::Address) -> io::Result<Self> {
        match address {
            vgi_rpc_reactor::Address::Tcp(address) => Ok(Self::Tcp(*address)),
            other => Err(io::Error::other(format!("expected a TCP address, got {other}"))),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Tcp(address) = self;
        write!(f, "http://{address}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_prints_as_a_url() {
        for (address, url) in [("127.0.0.1:80", "http://127.0.0.1:80"), ("[::1]:8000", "http://[::1]:8000")] {
            let address = vgi_rpc_reactor::Address::Tcp(address.parse().unwrap());
            assert_eq!(Address::of(&address).unwrap().to_string(), url);
        }
        assert!(Address::of(&vgi_rpc_reactor::Address::Unix("/run/socket".into())).is_err());
    }
}
