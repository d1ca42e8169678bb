//! The state of a connection before the machine inside is created.

use crate::hello::NotesName;
use crate::server::ServerTls;
use rustls::ServerConfig;
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use vgi_rpc_reactor::Origin;

/// What the connections of a server share.
#[derive(Debug)]
pub(crate) struct Shared<A> {
    /// The acceptor of the protocol inside.
    pub(crate) inner: A,
    pub(crate) tls: ServerTls,
    /// Its application protocols; empty if they have no names.
    pub(crate) alpn: Vec<Vec<u8>>,
}

impl<A> Shared<A> {
    /// Returns the settings of one connection, which record the host that its client requests.
    pub(crate) fn config(&self, name: &Arc<OnceLock<String>>) -> Arc<ServerConfig> {
        let mut config = (*self.tls.config()).clone();
        config.cert_resolver = Arc::new(NotesName::new(config.cert_resolver, name.clone()));
        // A connection must not negotiate another protocol than the one inside. If that has no name, this cannot be checked.
        if !self.alpn.is_empty() {
            config.alpn_protocols.retain(|name| self.alpn.contains(name));
        }
        if config.alpn_protocols.is_empty() {
            config.alpn_protocols.clone_from(&self.alpn);
        }
        config.into()
    }
}

/// What is needed to create the machine inside after the handshake.
pub(crate) struct Pending<A> {
    pub(crate) shared: Arc<Shared<A>>,
    pub(crate) origin: Origin,
    pub(crate) seed: u64,
    pub(crate) waker: Waker,
}
