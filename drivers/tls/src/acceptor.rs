//! Makes the machine of each connection.

use crate::machine::TlsMachine;
use crate::pending::{Pending, Shared};
use crate::server::ServerTls;
use std::any::Any;
use std::sync::Arc;
use std::task::Waker;
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_reactor::{Acceptor, Origin};

/// Runs the machines of another acceptor inside TLS.
///
/// The other's [`accept`](Acceptor::accept) is called after a handshake, with an [`Origin::Tls`](vgi_rpc_reactor::Origin::Tls)
/// that has the handshake's result, and with the seed and the waker of the connection.
#[derive(Debug)]
pub struct TlsAcceptor<A> {
    shared: Arc<Shared<A>>,
    budget: Budget,
}

impl<A: Acceptor> TlsAcceptor<A> {
    /// Runs `inner` inside TLS. The memory that TLS itself holds for a connection is reserved in `budget`, in an account of its
    /// own. `alpn` are the application protocols of `inner`: no others are negotiated, whatever the settings name. If there are
    /// none, those of the settings are used.
    pub fn new(inner: A, tls: ServerTls, budget: Budget, alpn: &[&[u8]]) -> Self {
        let alpn = alpn.iter().map(|name| name.to_vec()).collect();
        Self { shared: Arc::new(Shared { inner, tls, alpn }), budget }
    }

    /// Returns the acceptor of the protocol inside.
    pub fn inner(&self) -> &A {
        &self.shared.inner
    }
}

impl<A: Acceptor> Acceptor for TlsAcceptor<A> {
    type Machine = TlsMachine<A>;

    fn accept(&self, origin: &Origin, seed: u64, waker: Waker) -> TlsMachine<A> {
        let pending = Pending { shared: self.shared.clone(), origin: origin.clone(), seed, waker };
        TlsMachine::new(pending, &self.budget.account())
    }

    fn memory_refusals(&self) -> u64 {
        self.shared.inner.memory_refusals()
    }

    fn watch_memory(&self, waker: Waker) -> Option<Box<dyn Any + Send>> {
        self.shared.inner.watch_memory(waker)
    }
}
