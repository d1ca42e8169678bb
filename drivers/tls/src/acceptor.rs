//! Making the machine of each connection.

use crate::hello::NotesName;
use crate::machine::{Pending, TlsMachine};
use crate::server::ServerTls;
use rustls::ServerConfig;
use std::any::Any;
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_reactor::{Acceptor, Origin};

/// Carries what another acceptor's machines speak inside TLS.
///
/// The other's [`accept`](Acceptor::accept) is called when a handshake is done, with an
/// [`Origin::Tls`](vgi_rpc_reactor::Origin::Tls) that has what the handshake says of the client, and with the seed and the
/// waker of the connection.
#[derive(Debug)]
pub struct TlsAcceptor<A> {
    inner: Arc<A>,
    tls: ServerTls,
    budget: Budget,
    alpn: Vec<Vec<u8>>,
}

impl<A: Acceptor> TlsAcceptor<A> {
    /// Carries `inner` inside TLS. What TLS itself holds for a connection is reserved in `budget`, in an account of its
    /// own. `alpn` are the application protocols of `inner`, for settings that name none.
    pub fn new(inner: A, tls: ServerTls, budget: Budget, alpn: &[&[u8]]) -> Self {
        let alpn = alpn.iter().map(|name| name.to_vec()).collect();
        Self { inner: Arc::new(inner), tls, budget, alpn }
    }

    /// The acceptor of what is spoken inside.
    pub fn inner(&self) -> &A {
        &self.inner
    }

    /// The settings of one connection.
    fn config(&self, name: &Arc<OnceLock<String>>) -> Arc<ServerConfig> {
        let mut config = (*self.tls.config()).clone();
        config.cert_resolver = Arc::new(NotesName::new(config.cert_resolver, name.clone()));
        if config.alpn_protocols.is_empty() {
            config.alpn_protocols.clone_from(&self.alpn);
        }
        config.into()
    }
}

impl<A: Acceptor> Acceptor for TlsAcceptor<A> {
    type Machine = TlsMachine<A>;

    fn accept(&self, origin: &Origin, seed: u64, waker: Waker) -> TlsMachine<A> {
        let name = Arc::new(OnceLock::new());
        let config = self.config(&name);
        let pending = Pending { acceptor: self.inner.clone(), origin: origin.clone(), seed, waker, name };
        TlsMachine::new(config, pending, &self.budget.account())
    }

    fn memory_refusals(&self) -> u64 {
        self.inner.memory_refusals()
    }

    fn watch_memory(&self, waker: Waker) -> Option<Box<dyn Any + Send>> {
        self.inner.watch_memory(waker)
    }
}
