//! What a proxy in front of the server says of the client.

use std::fmt;

/// What a proxy says of the client of a connection that it forwards, by the PROXY protocol. The driver has checked that the proxy
/// is one that it trusts; what the proxy says is as true as the proxy is trustworthy.
///
/// Where the client is comes with [`Peer::remote_address`](super::Peer::remote_address).
///
/// ```
/// use vgi_rpc_protocol::service::ProxyPeer;
///
/// let peer = ProxyPeer::new("192.0.2.1:50000").with_destination("198.51.100.20:9400");
/// assert_eq!(peer.destination.as_deref(), Some("198.51.100.20:9400"));
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyPeer {
    /// The proxy's own address, as `IP:PORT`.
    pub address: String,
    /// The address that the client has connected to, as `IP:PORT`; `None` for clients without addresses.
    pub destination: Option<String>,
    /// The endpoint id of a client that has connected to a bridge over Iroh: its public key, which the bridge has verified.
    pub iroh_endpoint: Option<[u8; 32]>,
}

impl ProxyPeer {
    /// A client of the proxy with this address, of which nothing more is said.
    pub fn new(address: impl Into<String>) -> Self {
        Self { address: address.into(), destination: None, iroh_endpoint: None }
    }

    /// Sets the address that the client has connected to.
    pub fn with_destination(mut self, address: impl Into<String>) -> Self {
        self.destination = Some(address.into());
        self
    }

    /// Sets the endpoint id of a client over Iroh.
    pub fn with_iroh_endpoint(mut self, endpoint: [u8; 32]) -> Self {
        self.iroh_endpoint = Some(endpoint);
        self
    }
}

impl fmt::Debug for ProxyPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint =
            self.iroh_endpoint.map(|id| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        f.debug_struct("ProxyPeer")
            .field("address", &self.address)
            .field("destination", &self.destination)
            .field("iroh_endpoint", &endpoint)
            .finish()
    }
}
