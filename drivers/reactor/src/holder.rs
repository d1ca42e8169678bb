//! The holder of a connection: the user or host to which it is attributed.

use crate::address::Origin;
use std::net::{IpAddr, Ipv6Addr};

/// The user or host to which a connection is attributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// A user of this machine.
    User(u32),
    /// A host: an IPv4 address, or an IPv6 /64 network, since one host may use all of its addresses.
    Host(IpAddr),
    /// The system did not identify the peer.
    Unknown,
}

impl Holder {
    pub(crate) fn of(origin: &Origin) -> Self {
        match origin {
            Origin::Unix(Some(credentials)) => Self::User(credentials.uid),
            Origin::Tcp(Some(address)) => Self::Host(match address.ip().to_canonical() {
                IpAddr::V6(address) => {
                    let network = u128::from(address) & (u128::MAX << 64);
                    Ipv6Addr::from(network).into()
                }
                address => address,
            }),
            Origin::Unix(None) | Origin::Tcp(None) => Self::Unknown,
            Origin::Proxied(proxied) => match origin.address() {
                Some(address) => Self::of(&Origin::Tcp(Some(address))),
                None => Self::of(&proxied.below),
            },
            Origin::Tls(tls) => Self::of(&tls.below),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{ProxiedClient, ProxiedOrigin};
    use std::sync::Arc;

    #[test]
    fn hosts_are_told_apart_by_address_and_ipv6_hosts_by_network() {
        let holder = |address: &str| Holder::of(&Origin::Tcp(Some(address.parse().unwrap())));
        assert_eq!(holder("192.0.2.1:1"), holder("192.0.2.1:2"));
        assert_ne!(holder("192.0.2.1:1"), holder("192.0.2.2:1"));
        assert_eq!(holder("192.0.2.1:1"), holder("[::ffff:192.0.2.1]:2"));
        assert_eq!(holder("[2001:db8::1]:1"), holder("[2001:db8::2:0:0:1]:1"));
        assert_ne!(holder("[2001:db8::1]:1"), holder("[2001:db8:0:1::1]:1"));
        assert_eq!(Holder::of(&Origin::Unix(None)), Holder::Unknown);
        let below = Origin::Tcp(Some("192.0.2.1:1".parse().unwrap()));
        let proxied =
            |client| Holder::of(&Origin::Proxied(Arc::new(ProxiedOrigin { below: below.clone(), client })));
        let (source, destination) = ("192.0.2.2:9".parse().unwrap(), "192.0.2.3:9".parse().unwrap());
        assert_eq!(proxied(ProxiedClient::Tcp { source, destination }), holder("192.0.2.2:1"));
        assert_eq!(proxied(ProxiedClient::Iroh { endpoint: [0; 32] }), holder("192.0.2.1:1"));
    }
}
