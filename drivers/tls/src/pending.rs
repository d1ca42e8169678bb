//! What a connection has before the machine inside is made.

use crate::hello::NotesName;
use crate::server::ServerTls;
use rustls::ServerConfig;
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use vgi_rpc_reactor::Origin;

/// What the connections of a server share.
#[derive(Debug)]
pub(crate) struct Shared<A> {
    /// The acceptor of what is spoken inside.
    pub(crate) inner: A,
    pub(crate) tls: ServerTls,
    /// The application protocols that it speaks; none if they have no names.
    pub(crate) alpn: Vec<Vec<u8>>,
}

impl<A> Shared<A> {
    /// The settings of one connection, which notes the host that its client asks for.
    pub(crate) fn config(&self, name: &Arc<OnceLock<String>>) -> Arc<ServerConfig> {
        let mut config = (*self.tls.config()).clone();
        config.cert_resolver = Arc::new(NotesName::new(config.cert_resolver, name.clone()));
        // A connection must not agree on a protocol that is not the one inside. Without a name, none can be told apart.
        if !self.alpn.is_empty() {
            config.alpn_protocols.retain(|name| self.alpn.contains(name));
        }
        if config.alpn_protocols.is_empty() {
            config.alpn_protocols.clone_from(&self.alpn);
        }
        config.into()
    }
}

/// What makes the machine inside, once the handshake is done.
pub(crate) struct Pending<A> {
    pub(crate) shared: Arc<Shared<A>>,
    pub(crate) origin: Origin,
    pub(crate) seed: u64,
    pub(crate) waker: Waker,
}
