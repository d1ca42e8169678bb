//! What calls may know of the proxy.

use vgi_rpc_protocol::service::ProxyPeer;
use vgi_rpc_reactor::{ProxiedClient, ProxiedOrigin};

/// What calls may know of the proxy, and of its client beside the client's address.
pub fn proxy_peer(proxied: &ProxiedOrigin) -> ProxyPeer {
    let address = proxied.below.address().map(|address| address.to_string());
    let peer = ProxyPeer::new(address.unwrap_or_default());
    match proxied.client {
        ProxiedClient::Tcp { destination, .. } => peer.with_destination(destination.to_string()),
        ProxiedClient::Iroh { endpoint } => peer.with_iroh_endpoint(endpoint),
        _ => peer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vgi_rpc_reactor::Origin;

    #[test]
    fn both_ends_of_the_proxy_are_named() {
        let below = Origin::Tcp(Some("192.0.2.1:50000".parse().unwrap()));
        let (source, destination) = ("[2001:db8::1]:1".parse().unwrap(), "[2001:db8::2]:2".parse().unwrap());
        let proxied =
            ProxiedOrigin { below: below.clone(), client: ProxiedClient::Tcp { source, destination } };
        let peer = ProxyPeer::new("192.0.2.1:50000").with_destination("[2001:db8::2]:2");
        assert_eq!(proxy_peer(&proxied), peer);
        let client = ProxiedClient::Iroh { endpoint: [7; 32] };
        let peer = ProxyPeer::new("192.0.2.1:50000").with_iroh_endpoint([7; 32]);
        assert_eq!(proxy_peer(&ProxiedOrigin { below, client }), peer);
    }
}
