//! The server: how it is set up, bound, run and ended. What happens in between is in the other files of this folder.
//!
//! | file | subject |
//! | --- | --- |
//! | `listener` | listeners and sockets of both families |
//! | `connection` | one connection and a pass over it |
//! | `shared` | what the threads share |
//! | `worker` | the threads that serve |
//! | `supervisor` | the thread that watches over them |

mod connection;
mod listener;
mod shared;
mod supervisor;
mod worker;

use crate::socket_file::SocketFileError;
pub use listener::Address;
use listener::Listener;
pub(crate) use listener::resolve;
use mio::Interest;
use mio::unix::SourceFd;
use shared::{SIGNALS, Shared, lock};
use signal_hook::SigId;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::{pipe, unregister};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;
use vgi_rpc_access_log::AccessLog;
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::service::{Service, TransportKind};
use vgi_rpc_protocol::wire::error::RpcError;

/// A server could not be bound, or could not go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The unix socket cannot have that name.
    #[error(transparent)]
    SocketFile(#[from] SocketFileError),
    /// The TCP address cannot be bound.
    #[error("{address}: {source}")]
    Bind {
        /// The address as it was given.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// Start-up work of a protocol failed; nothing was served.
    #[error("the service could not be started: {0}")]
    Start(RpcError),
    /// The system refused something else that a server needs.
    #[error("the server cannot go on: {0}")]
    Io(#[from] io::Error),
}

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

#[derive(Clone, Debug)]
struct Options {
    limits: Limits,
    threads: usize,
    max_connections: usize,
    idle_timeout: Option<Duration>,
    timeouts: Timeouts,
    access_log: Option<AccessLog>,
}

#[derive(Clone, Debug)]
struct Timeouts {
    message: Option<Duration>,
    request: Option<Duration>,
    stream: Option<Duration>,
    write: Option<Duration>,
}

/// How a service is served over sockets.
#[derive(Clone, Debug)]
pub struct Server {
    service: Arc<Service>,
    options: Options,
    threaded: bool,
    end_on_signals: bool,
}

impl Server {
    /// Serves with the defaults that each setting names.
    pub fn new(service: Arc<Service>) -> Self {
        let options = Options {
            limits: Limits::default(),
            threads: 64,
            max_connections: 64,
            idle_timeout: None,
            timeouts: Timeouts {
                message: Some(Duration::from_secs(30)),
                request: Some(Duration::from_secs(15 * 60)),
                stream: None,
                write: Some(Duration::from_secs(60)),
            },
            access_log: None,
        };
        Self { service, options, threaded: true, end_on_signals: false }
    }

    /// Sets the bounds of what a connection accepts and holds.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.options.limits = limits;
        self
    }

    /// Has every call written to an access log, before its answer is sent.
    pub fn access_log(mut self, log: impl Into<Option<AccessLog>>) -> Self {
        self.options.access_log = log.into();
        self
    }

    /// Sets how many threads may run handlers, at least 1. The thread that calls [`Bound::run`] is not one of them.
    ///
    /// Default 64, as many as connections, so that a handler that blocks never keeps another from running. A thread
    /// is started only when those that there are have not kept up for a millisecond, and ends after 10 s without
    /// work: a server of quick handlers has one.
    pub fn threads(mut self, threads: usize) -> Self {
        self.options.threads = threads.max(1);
        self
    }

    /// Sets how many connections are served at a time; 0 for any number. The rest wait in the listener's backlog.
    ///
    /// Default 64.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.options.max_connections = connections;
        self
    }

    /// Sets whether connections are served at the same time, or one after another. Default true.
    pub fn threaded(mut self, threaded: bool) -> Self {
        self.threaded = threaded;
        self
    }

    /// Sets after how long without a connection the server ends. The first connection has a minute to come, if that
    /// is longer. Default: never.
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.idle_timeout = timeout;
        self
    }

    /// Sets how long a peer may send nothing in the middle of a request. Default 30 s. Like the other timeouts of
    /// connections it may take 250 ms longer, and ends in the connection being closed.
    pub fn message_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.message = timeout;
        self
    }

    /// Sets how long a peer may take to send a whole request. Default 15 min, in which a slow line carries a large
    /// batch, and a peer that sends a byte now and then comes to an end.
    pub fn request_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.request = timeout;
        self
    }

    /// Sets how long an open stream may wait for its next input. Default: for ever, since a client may well think
    /// between two batches.
    pub fn stream_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.stream = timeout;
        self
    }

    /// Sets how long a peer may read nothing of an answer that waits for it. Default 60 s.
    pub fn write_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.write = timeout;
        self
    }

    /// Sets whether SIGTERM and SIGINT end the server, at once and in good order: [`Bound::run`] returns, and a
    /// unix socket's file is gone. Default false.
    ///
    /// This holds from binding on. After the server has ended the two signals do nothing, because their former
    /// handling cannot be brought back: the process is expected to end.
    pub fn end_on_signals(mut self, end: bool) -> Self {
        self.end_on_signals = end;
        self
    }

    /// Listens on an AF_UNIX path, for connections of this user only. A socket there that nobody listens on is
    /// replaced.
    ///
    /// # Errors
    /// When something else has the name, somebody listens there, or the system refuses.
    pub fn bind_unix(&self, path: impl AsRef<Path>) -> Result<Bound, ServerError> {
        self.bind(Listener::unix(path.as_ref())?)
    }

    /// Listens on `[HOST:]PORT`; the host is 127.0.0.1 when left out, and port 0 lets the system choose.
    ///
    /// There is neither encryption nor authentication on this transport.
    ///
    /// # Errors
    /// When the address cannot be resolved or bound.
    pub fn bind_tcp(&self, address: &str) -> Result<Bound, ServerError> {
        self.bind(Listener::tcp(address)?)
    }

    fn bind(&self, (listener, address): (Listener, Address)) -> Result<Bound, ServerError> {
        let mut options = self.options.clone();
        if !self.threaded {
            options.max_connections = 1;
        }
        let shared = Arc::new(Shared::new(self.service.clone(), options, listener)?);
        let signals = if self.end_on_signals { Some(Signals::watch(&shared)?) } else { None };
        Ok(Bound { shared, address, _signals: signals })
    }
}

/// A server that listens. Clients may connect already; they are answered once it runs.
///
/// Dropping it closes the listener and removes a unix socket's file.
#[derive(Debug)]
pub struct Bound {
    shared: Arc<Shared>,
    address: Address,
    _signals: Option<Signals>,
}

impl Bound {
    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Ends it from another thread.
    pub fn handle(&self) -> Handle {
        Handle { shared: self.shared.clone() }
    }

    /// Serves until told to end. Handlers that still run then are left to their threads, and cannot answer any more.
    ///
    /// # Errors
    /// When start-up work fails, or the system refuses what the server cannot do without. What happens on one connection is no error.
    pub fn run(self) -> Result<Ended, ServerError> {
        let transport = match self.address {
            Address::Unix(_) => TransportKind::Unix,
            Address::Tcp(_) => TransportKind::Tcp,
        };
        self.shared.service.start(transport).map_err(ServerError::Start)?;
        self.shared.supervise().map_err(|kind| io::Error::from(kind).into())
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        lock(&self.shared.listener).take();
    }
}

/// Ends a server from another thread, and tells how it does.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    /// Ends the server at once. Connections are closed in the middle of what they do.
    pub fn stop(&self) {
        self.shared.end(&mut lock(&self.shared.state), Ok(Ended::Stopped));
    }

    /// Ends the server in good order: it listens no more, closes connections between calls, lets each call and
    /// open stream come to its end, and stops at the latest after `within`.
    pub fn drain(&self, within: Duration) {
        let mut state = lock(&self.shared.state);
        let deadline = Instant::now() + within;
        state.drain_by = Some(state.drain_by.map_or(deadline, |earlier| earlier.min(deadline)));
        state.supervisor_rests = false;
        self.shared.supervisor.notify_all();
    }

    /// Connections that are being served.
    pub fn connections(&self) -> usize {
        lock(&self.shared.state).connections.len()
    }

    /// Threads that serve them, the one that calls [`Bound::run`] aside.
    pub fn threads(&self) -> usize {
        lock(&self.shared.state).threads
    }
}

/// SIGTERM and SIGINT as readiness of a socket. Dropping it ends that.
#[derive(Debug)]
struct Signals {
    ids: Vec<SigId>,
    _receiver: UnixStream,
}

impl Signals {
    fn watch(shared: &Shared) -> io::Result<Self> {
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
