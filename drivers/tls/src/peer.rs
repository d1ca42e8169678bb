//! The result of a handshake, as calls see it.

use std::sync::Arc;
use vgi_rpc_protocol::service::TlsPeer;
use vgi_rpc_reactor::Origin;

/// Returns what calls may know of a connection's TLS; `None` without TLS.
pub fn tls_peer(origin: &Origin) -> Option<Arc<TlsPeer>> {
    let tls = origin.tls()?;
    let mut peer = TlsPeer::new(tls.version).with_certificates(tls.certificates.iter().cloned());
    peer.alpn.clone_from(&tls.alpn);
    peer.server_name.clone_from(&tls.server_name);
    Some(peer.into())
}
