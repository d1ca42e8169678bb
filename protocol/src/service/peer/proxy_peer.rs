//! The client as a proxy in front of the server describes it.

use std::fmt;

/// The client of a forwarded connection, as a proxy describes it with the PROXY protocol. The driver has checked that it trusts
/// the proxy. Nothing else verifies these values.
///
/// The client's address is in [`Peer::remote_address`](crate::service::Peer::remote_address).
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
    /// The address that the client connected to, as `IP:PORT`; `None` for clients without addresses.
    pub destination: Option<String>,
    /// The endpoint id of a client that connected to a bridge over Iroh: its public key, which the bridge has verified.
    pub iroh_endpoint: Option<[u8; 32]>,
}

impl ProxyPeer {
    /// Describes a client of the proxy with this address and nothing else.
    pub fn new(address: impl Into<String>) -> Self {
        Self { address: address.into(), destination: None, iroh_endpoint: None }
    }

    /// Sets the address that the client connected to.
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
