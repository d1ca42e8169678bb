//! The server: set-up, run and end. The other files serve its connections.

use crate::address::Address;
use crate::events;
use crate::listener::Listener;
use crate::locks::lock;
use crate::machine::Acceptor;
use crate::options::{Ended, Options};
use crate::shared::Shared;
use crate::signals::Signals;
use crate::statistics::{Counted, Statistics, Watch};
use std::any::Any;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A listening server. Clients may connect already; they are answered once it runs.
///
/// Dropping it closes the listener and removes a unix socket's file.
pub struct Reactor<A: Acceptor> {
    shared: Arc<Shared<A>>,
    address: Address,
    _signals: Option<Signals>,
    /// Keeps the supervisor's waker for memory shortage registered.
    _memory_watch: Option<Box<dyn Any + Send>>,
}

impl<A: Acceptor> Reactor<A> {
    /// Creates a server from a listener and the acceptor of its connections. Its first thread is started here, so that a server
    /// that announces its address is able to serve.
    ///
    /// # Errors
    /// If the system refuses what the event loop needs: descriptors, or the first thread.
    pub fn new(listener: Listener, acceptor: A, options: Options) -> io::Result<Self> {
        let address = listener.address().clone();
        let (end_on_signals, serves) = (options.end_on_signals, options.serves);
        let shared = Arc::new(Shared::new(acceptor, options, listener)?);
        shared
            .spawn(&mut lock(&shared.state))
            .map_err(|error| io::Error::new(error.kind(), format!("the system refuses a thread: {error}")))?;
        let _memory_watch = shared.acceptor.watch_memory(shared.memory_alarm.clone().into());
        let mut bound = Self { shared, address, _signals: None, _memory_watch };
        if end_on_signals {
            bound._signals = Some(Signals::watch(&bound.shared)?);
        }
        events::listening(&bound.address, serves);
        Ok(bound)
    }

    /// Returns the address that it listens on.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Returns the acceptor.
    pub fn acceptor(&self) -> &A {
        &self.shared.acceptor
    }

    /// Returns a handle that ends the server from another thread.
    pub fn handle(&self) -> Handle {
        Handle { server: self.shared.clone() }
    }

    /// Serves until the server is ended. Jobs that still run then continue on their threads, but can no longer be answered.
    ///
    /// # Errors
    /// If the system refuses what the server needs. Failures of a single connection are not errors.
    pub fn run(self) -> io::Result<Ended> {
        let ended = self.shared.supervise();
        events::ended(&self.address, &ended);
        ended.map_err(io::Error::from)
    }
}

/// A [`Reactor`] of any protocol, for a server that chooses the protocol when it is bound.
pub struct AnyReactor(Box<dyn Runs>);

impl AnyReactor {
    /// Returns the address that it listens on.
    pub fn address(&self) -> &Address {
        self.0.address()
    }

    /// Returns a handle that ends the server from another thread.
    pub fn handle(&self) -> Handle {
        self.0.handle()
    }

    /// See [`Reactor::run`].
    ///
    /// # Errors
    /// If the system refuses what the server needs. Failures of a single connection are not errors.
    pub fn run(self) -> io::Result<Ended> {
        self.0.run()
    }
}

impl<A: Acceptor> From<Reactor<A>> for AnyReactor {
    fn from(reactor: Reactor<A>) -> Self {
        Self(Box::new(reactor))
    }
}

impl fmt::Debug for AnyReactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyReactor").field("address", self.address()).finish_non_exhaustive()
    }
}

/// The operations of a reactor, whatever its protocol.
trait Runs: Send {
    fn address(&self) -> &Address;
    fn handle(&self) -> Handle;
    fn run(self: Box<Self>) -> io::Result<Ended>;
}

impl<A: Acceptor> Runs for Reactor<A> {
    fn address(&self) -> &Address {
        self.address()
    }

    fn handle(&self) -> Handle {
        self.handle()
    }

    fn run(self: Box<Self>) -> io::Result<Ended> {
        Self::run(*self)
    }
}

impl<A: Acceptor> Drop for Reactor<A> {
    fn drop(&mut self) {
        lock(&self.shared.listener).take();
        // Releases threads that wait for the server to run.
        self.shared.end(&mut lock(&self.shared.state), Ok(Ended::Stopped));
    }
}

impl<A: Acceptor> fmt::Debug for Reactor<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Ends a server from another thread, and reports its state.
#[derive(Clone)]
pub struct Handle {
    server: Arc<dyn Control>,
}

impl Handle {
    /// Ends the server at once. Connections are closed even in the middle of a call.
    pub fn stop(&self) {
        self.server.stop();
    }

    /// Ends the server gracefully: it stops listening, closes connections between calls, lets each call and open stream end,
    /// and stops at the latest after `within`.
    pub fn drain(&self, within: Duration) {
        self.server.drain(within);
    }

    /// Returns the number of connections being served.
    pub fn connections(&self) -> usize {
        self.server.connections()
    }

    /// Returns the server's counters.
    pub fn statistics(&self) -> Statistics {
        self.server.statistics()
    }

    /// Returns a watch that reads the server's counters for as long as it exists.
    pub fn watch(&self) -> Watch {
        self.server.clone().watch()
    }

    /// Returns the number of threads that serve connections, not including the one that calls [`Reactor::run`].
    pub fn threads(&self) -> usize {
        self.server.threads()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("connections", &self.connections()).finish_non_exhaustive()
    }
}

/// The operations of a [`Handle`], whatever the server's protocol.
trait Control: Counted {
    fn stop(&self);
    fn drain(&self, within: Duration);
    fn connections(&self) -> usize;
    fn threads(&self) -> usize;
    fn watch(self: Arc<Self>) -> Watch;
}

impl<A: Acceptor> Counted for Shared<A> {
    fn statistics(&self) -> Statistics {
        let (tallies, jobs_running) = (&self.tallies, self.running());
        let state = lock(&self.state);
        Statistics {
            open: state.connections.len(),
            accepted: tallies.accepted.get(),
            gave_way: tallies.gave_way.get(),
            timed_out: tallies.timed_out.get(),
            closed_for_memory: tallies.for_memory.get(),
            accepts_failed: tallies.accepts_failed.get(),
            full: tallies.full.get(),
            jobs_waiting: state.waiting(),
            jobs_running,
            threads: state.threads,
        }
    }
}

impl<A: Acceptor> Control for Shared<A> {
    fn stop(&self) {
        self.end(&mut lock(&self.state), Ok(Ended::Stopped));
    }

    fn drain(&self, within: Duration) {
        self.drain_within(&mut lock(&self.state), within);
    }

    fn connections(&self) -> usize {
        lock(&self.state).connections.len()
    }

    fn threads(&self) -> usize {
        lock(&self.state).threads
    }

    fn watch(self: Arc<Self>) -> Watch {
        let counted: Arc<dyn Counted> = self;
        Watch(Arc::downgrade(&counted))
    }
}
