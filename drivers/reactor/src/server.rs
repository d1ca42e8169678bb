//! The server: how it is set up, run and ended. What happens in between is in the other files.

use crate::listener::{Address, Listener};
use crate::machine::Acceptor;
use crate::shared::{SIGNALS, Shared, lock};
use crate::timeouts::Timeouts;
use crate::yielding::GiveWay;
use mio::Interest;
use mio::unix::SourceFd;
use signal_hook::SigId;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::{pipe, unregister};
use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longer than any drain.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Why a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// SIGTERM or SIGINT came.
    Signal,
    /// There was no connection for the idle timeout.
    Idle,
    /// It was told to drain, and every call was answered.
    Drained,
    /// It was told to drain, and some call was not over at the deadline.
    DrainTimedOut,
    /// It was told to stop.
    Stopped,
}

/// How a server serves. Start from the [`Default`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How many threads may run work; 0 counts as 1. The thread that calls [`Bound::run`] is not one of them.
    ///
    /// Default 1,024, as many as connections, so that work that blocks never keeps other work waiting. A thread is
    /// started only when those that there are have not kept up for a millisecond, and ends after 10 s without work:
    /// a server of quick handlers has one. Where the system refuses a thread, the server goes on with those it has.
    pub threads: usize,
    /// How many connections are served at a time; 0 for any number. The rest wait in the listener's backlog.
    ///
    /// Default 1,024: as many as the descriptors that a process commonly may have. Where clients keep idle
    /// connections, bound their idling too, or have them [give way](Self::give_way), or they keep others out.
    pub max_connections: usize,
    /// Which connections are closed when a new one finds the server full. Default: those that never sent a byte.
    ///
    /// The holder with the most connections loses one first: a user on unix sockets, an address on TCP.
    pub give_way: GiveWay,
    /// After how long without a connection the server ends. The first connection has a minute to come, if that is
    /// longer. Default: never.
    pub idle_timeout: Option<Duration>,
    /// How long connections may wait for what.
    pub timeouts: Timeouts,
    /// Whether SIGTERM and SIGINT end the server, at once and in good order: [`Bound::run`] returns, and a unix
    /// socket's file is gone. Default false.
    ///
    /// This holds from binding on. After the server has ended the two signals do nothing, because their former
    /// handling cannot be brought back: the process is expected to end.
    pub end_on_signals: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threads: 1024,
            max_connections: 1024,
            give_way: GiveWay::default(),
            idle_timeout: None,
            timeouts: Timeouts::default(),
            end_on_signals: false,
        }
    }
}

/// A server that listens. Clients may connect already; they are answered once it runs.
///
/// Dropping it closes the listener and removes a unix socket's file.
pub struct Bound<A: Acceptor> {
    shared: Arc<Shared<A>>,
    address: Address,
    _signals: Option<Signals>,
}

impl<A: Acceptor> Bound<A> {
    /// Makes a server of a listener and of what is spoken on its connections. Its first thread is started here, so
    /// that a server that says where it listens is one that can serve.
    ///
    /// # Errors
    /// When the system refuses what the event loop needs: descriptors, or the first thread.
    pub fn new(listener: Listener, acceptor: A, options: Options) -> io::Result<Self> {
        let address = listener.address().clone();
        let end_on_signals = options.end_on_signals;
        let shared = Arc::new(Shared::new(acceptor, options, listener)?);
        shared
            .spawn(&mut lock(&shared.state))
            .map_err(|error| io::Error::new(error.kind(), format!("the system refuses a thread: {error}")))?;
        let mut bound = Self { shared, address, _signals: None };
        if end_on_signals {
            bound._signals = Some(Signals::watch(&bound.shared)?);
        }
        Ok(bound)
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What makes the machines.
    pub fn acceptor(&self) -> &A {
        &self.shared.acceptor
    }

    /// Ends it from another thread.
    pub fn handle(&self) -> Handle {
        Handle { server: self.shared.clone() }
    }

    /// Serves until told to end. Work that still runs then is left to its threads, and cannot be answered any more.
    ///
    /// # Errors
    /// When the system refuses what the server cannot do without. What happens on one connection is no error.
    pub fn run(self) -> io::Result<Ended> {
        self.shared.supervise().map_err(io::Error::from)
    }
}

impl<A: Acceptor> Drop for Bound<A> {
    fn drop(&mut self) {
        lock(&self.shared.listener).take();
        // Threads that wait for the server to run do so no longer.
        self.shared.end(&mut lock(&self.shared.state), Ok(Ended::Stopped));
    }
}

impl<A: Acceptor> fmt::Debug for Bound<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Ends a server from another thread, and tells how it does.
#[derive(Clone)]
pub struct Handle {
    server: Arc<dyn Control>,
}

impl Handle {
    /// Ends the server at once. Connections are closed in the middle of what they do.
    pub fn stop(&self) {
        self.server.stop();
    }

    /// Ends the server in good order: it listens no more, closes connections between calls, lets each call and
    /// open stream come to its end, and stops at the latest after `within`.
    pub fn drain(&self, within: Duration) {
        self.server.drain(within);
    }

    /// Connections that are being served.
    pub fn connections(&self) -> usize {
        self.server.connections()
    }

    /// Threads that serve them, the one that calls [`Bound::run`] aside.
    pub fn threads(&self) -> usize {
        self.server.threads()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("connections", &self.connections()).finish_non_exhaustive()
    }
}

/// What a [`Handle`] can do, whatever its server speaks.
trait Control: Send + Sync {
    fn stop(&self);
    fn drain(&self, within: Duration);
    fn connections(&self) -> usize;
    fn threads(&self) -> usize;
}

impl<A: Acceptor> Control for Shared<A> {
    fn stop(&self) {
        self.end(&mut lock(&self.state), Ok(Ended::Stopped));
    }

    fn drain(&self, within: Duration) {
        let mut state = lock(&self.state);
        let now = Instant::now();
        // A time too far away to be told is as good as a year.
        let deadline = now.checked_add(within).unwrap_or_else(|| now + A_YEAR);
        state.drain_by = Some(state.drain_by.map_or(deadline, |earlier| earlier.min(deadline)));
        self.wake_supervisor(&mut state);
    }

    fn connections(&self) -> usize {
        lock(&self.state).connections.len()
    }

    fn threads(&self) -> usize {
        lock(&self.state).threads
    }
}

/// SIGTERM and SIGINT as readiness of a socket. Dropping it ends that.
#[derive(Debug)]
struct Signals {
    ids: Vec<SigId>,
    _receiver: UnixStream,
}

impl Signals {
    fn watch<A: Acceptor>(shared: &Shared<A>) -> io::Result<Self> {
        let (receiver, sender) = UnixStream::pair()?;
        shared.registry.register(&mut SourceFd(&receiver.as_raw_fd()), SIGNALS, Interest::READABLE)?;
        let mut signals = Self { ids: Vec::new(), _receiver: receiver };
        for signal in [SIGTERM, SIGINT] {
            signals.ids.push(pipe::register(signal, sender.try_clone()?)?);
        }
        Ok(signals)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.ids.iter().for_each(|id| {
            unregister(*id);
        });
    }
}
