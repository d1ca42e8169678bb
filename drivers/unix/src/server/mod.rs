//! The server: binds a service to sockets and runs it. The event loop is in `vgi-rpc-reactor`.
//!
//! | file | subject |
//! | --- | --- |
//! | `conversation` | one connection's protocol, for the event loop |
//! | `live_logs` | logs that are sent while their handler runs |

mod conversation;
mod live_logs;

use std::io;
#[cfg(unix)]
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;
use vgi_rpc_access_log::AccessLog;
use vgi_rpc_effects::Performer;
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_protocol::service::{Service, TransportKind};
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_proxy_protocol::{ProxyAcceptor, ProxyProtocol};
#[cfg(unix)]
use vgi_rpc_reactor::SocketFileError;
use vgi_rpc_reactor::{
    Address, AnyReactor, BindError, Ended, GiveWay, Handle, Layer, Listener, NoLayer, Options, Reactor,
    Timeout,
};
use vgi_rpc_shm::ShmServer;
#[cfg(feature = "tls")]
use vgi_rpc_tls::{ServerTls, TlsAcceptor};

/// A server could not be bound, or could not continue.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SocketServerError {
    /// The path cannot be used for a unix socket.
    #[cfg(unix)]
    #[error(transparent)]
    SocketFile(#[from] SocketFileError),
    /// The TCP address cannot be bound.
    #[error("{address}: {error}")]
    Bind {
        /// The address as it was given.
        address: String,
        /// The cause.
        error: io::Error,
    },
    /// The PROXY protocol is required on a unix socket, whose peers have no addresses that could be trusted.
    #[error("expected a TCP address with the PROXY protocol, got a unix socket")]
    ProxyOnUnix,
    /// Start-up work of a protocol failed; no connection was served.
    #[error("the service could not be started: {0}")]
    Start(RpcError),
    /// The system reported another error.
    #[error("the server cannot continue: {0}")]
    Io(io::Error),
}

impl From<io::Error> for SocketServerError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<BindError> for SocketServerError {
    fn from(error: BindError) -> Self {
        match error {
            #[cfg(unix)]
            BindError::SocketFile(error) => Self::SocketFile(error),
            BindError::Tcp { address, error } => Self::Bind { address, error },
            other => Self::Io(io::Error::other(other)),
        }
    }
}

/// What the connections of a server share.
#[derive(Debug)]
pub(crate) struct ServiceAcceptor {
    service: Arc<Service>,
    limits: Limits,
    budget: Budget,
    access_log: Option<AccessLog>,
    performer: Performer,
    /// Attaches the segments of clients on unix sockets.
    shared_memory: Option<ShmServer>,
    /// The time from which records count.
    started: Instant,
}

/// Serves a service over sockets.
#[derive(Clone, Debug)]
pub struct SocketServer {
    service: Arc<Service>,
    limits: Limits,
    budget: Budget,
    access_log: Option<AccessLog>,
    performer: Performer,
    shared_memory: Option<ShmServer>,
    proxy_protocol: Option<ProxyProtocol>,
    options: Options,
    threaded: bool,
    #[cfg(feature = "tls")]
    tls: Option<ServerTls>,
    /// The value that was set, if any.
    first_byte_timeout: Option<Option<Duration>>,
}

impl SocketServer {
    /// Creates a server with the default of each setting.
    pub fn new(service: Arc<Service>) -> Self {
        Self {
            service,
            limits: Limits::default(),
            budget: vgi_rpc_memory::default_budget(),
            access_log: None,
            performer: Performer::none(),
            shared_memory: None,
            proxy_protocol: None,
            options: Options::default(),
            threaded: true,
            #[cfg(feature = "tls")]
            tls: None,
            first_byte_timeout: None,
        }
    }

    /// Sets the limits of what a connection accepts and holds.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how much memory the peers of all connections together may use in this process. Servers may share a budget. Default:
    /// a quarter of the memory available to the process.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Allows clients on unix sockets to share memory, so that large batches do not pass through the socket. Default: not
    /// allowed. Clients on TCP can never share memory. WIRE_PROTOCOL 11.
    ///
    /// A client can only name a segment of its own user. A server of another user can open that if it runs as root.
    pub fn shared_memory(mut self, shared_memory: impl Into<Option<ShmServer>>) -> Self {
        self.shared_memory = shared_memory.into();
        self
    }

    /// Writes every call to an access log, before its answer is sent.
    pub fn access_log(mut self, log: impl Into<Option<AccessLog>>) -> Self {
        self.access_log = log.into();
        self
    }

    /// Sets the performer of calls' effects, for example of the questions of
    /// [admission](vgi_rpc_protocol::service::ServiceBuilder::admit). Servers may share a performer. Default: none, so that
    /// effects fail.
    pub fn effects(mut self, performer: Performer) -> Self {
        self.performer = performer;
        self
    }

    /// Requires that every connection comes from a trusted proxy and begins with a header of the PROXY protocol, version 2. The
    /// client's address in the header becomes its [address](vgi_rpc_protocol::service::Peer::remote_address), and the proxy's
    /// own is available beside it. Other connections are closed without an answer. Only on TCP. Default: connections have no
    /// such header.
    pub fn proxy_protocol(mut self, setting: impl Into<Option<ProxyProtocol>>) -> Self {
        self.proxy_protocol = setting.into();
        self
    }

    /// Sets how many threads may run handlers, at least 1. The thread that calls [`BoundSocketServer::run`] is not included.
    ///
    /// Default 1,024, the same as for connections, so that a blocking handler never delays another. A thread is started only if
    /// the existing ones have not kept up for a millisecond, and ends after 10 s without work: a server of quick handlers has
    /// one. If the system refuses a thread, the server continues with the existing ones.
    pub fn threads(mut self, threads: usize) -> Self {
        self.options.threads = threads.max(1);
        self
    }

    /// Sets how many connections are served at a time; 0 for no limit. Further ones wait in the listener's backlog.
    ///
    /// Default 1,024, the usual limit of descriptors per process. Clients may keep a connection for any time, so this also
    /// limits the number of clients. If one more connects, a connection that has never sent a byte is closed for it: the oldest
    /// one of the user, or on TCP of the address, with the most connections. Connections that have sent something are not
    /// closed for others, since clients do not reconnect by themselves.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.options.max_connections = connections;
        self
    }

    /// Sets whether connections are served concurrently, or one after another. Default true.
    ///
    /// If one after another, the next client waits until the previous one has closed its connection: no connection is closed
    /// for another, and there is no [`first_byte_timeout`](Self::first_byte_timeout) unless it is set.
    pub fn threaded(mut self, threaded: bool) -> Self {
        self.threaded = threaded;
        self
    }

    /// Sets how long the server runs without a connection before it ends. The first connection may take a minute, if that is
    /// longer. Default: unlimited.
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.idle_timeout = timeout;
        self
    }

    /// Requires TLS on all TCP connections; unix sockets, which do not leave the machine, never use it. The certificate of a
    /// client is in [`Peer::tls`](vgi_rpc_protocol::service::Peer::tls). Keep a clone of the settings to [reload
    /// them](ServerTls::reload). Default: no TLS.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: impl Into<Option<ServerTls>>) -> Self {
        self.tls = tls.into();
        self
    }

    /// Sets how long a TLS handshake may take, from its first byte. Default 10 s. After it, a client has the
    /// [`first_byte_timeout`](Self::first_byte_timeout) to send its first byte.
    #[cfg(feature = "tls")]
    pub fn handshake_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.handshake.whole = timeout;
        self
    }

    /// Sets how long a new connection may send nothing. Default 30 s, or never if connections are [served one after
    /// another](Self::threaded).
    pub fn first_byte_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.first_byte_timeout = Some(timeout);
        self
    }

    /// Sets how long a connection may wait for its next call. Default: unlimited, since clients do not reconnect by themselves.
    /// It also applies to new connections.
    pub fn connection_idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.idle.no_progress = timeout;
        self
    }

    /// Sets how long a peer may send nothing in the middle of a request. Default 30 s. Like the other timeouts of connections
    /// it may take 250 ms longer, and closes the connection; the peer receives the reason if the protocol allows it at that
    /// point.
    pub fn message_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.body.no_progress = timeout;
        self
    }

    /// Sets how long a peer may take to send a whole request. Default 15 min, which suffices for a large batch on a slow line
    /// and stops a peer that sends a byte now and then.
    pub fn request_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.body.whole = timeout;
        self
    }

    /// Sets how long an open stream may wait for its next input. Default: unlimited, since a client may take any time between
    /// two batches.
    pub fn stream_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.stream.no_progress = timeout;
        self
    }

    /// Sets how long a call may wait for its effects. Default 5 min. After that, the call fails.
    pub fn waiting_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.waiting.whole = timeout;
        self
    }

    /// Sets how long a peer may read nothing of a pending answer. Default 60 s.
    pub fn write_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.output.no_progress = timeout;
        self
    }

    /// Sets whether SIGTERM and SIGINT end the server. The first signal [drains](Handle::drain) it for
    /// [`drain_timeout`](Self::drain_timeout), a second one ends it at once. Then [`BoundSocketServer::run`] returns, and a
    /// unix socket's file is removed. Default false.
    ///
    /// This takes effect when the server is bound. After the server has ended the two signals do nothing, because their former
    /// handling cannot be restored: the process is expected to exit.
    pub fn end_on_signals(mut self, end: bool) -> Self {
        self.options.end_on_signals = end;
        self
    }

    /// Sets how long calls and open streams may take to end after SIGTERM or SIGINT, with
    /// [`end_on_signals`](Self::end_on_signals). Default 5 s. Zero ends the server at once.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.options.drain_timeout = timeout;
        self
    }

    /// Listens on an AF_UNIX path, for connections of this user only. An existing socket that no server listens on is replaced.
    /// A lock on the file `PATH.owner`, which is removed at the end, keeps two servers from doing this at once. Only on Unix.
    ///
    /// # Errors
    /// If the path exists and is not a socket, another server listens there, the system refuses (even the first thread), or the
    /// [PROXY protocol](Self::proxy_protocol) is required.
    #[cfg(unix)]
    pub fn bind_unix(&self, path: impl AsRef<Path>) -> Result<BoundSocketServer, SocketServerError> {
        self.bind_unix_with(path, NoLayer)
    }

    /// Like [`bind_unix`](Self::bind_unix), with a layer around the protocol of each connection, for example a recorder.
    ///
    /// # Errors
    /// See [`bind_unix`](Self::bind_unix).
    #[cfg(unix)]
    pub fn bind_unix_with(
        &self,
        path: impl AsRef<Path>,
        layer: impl Layer,
    ) -> Result<BoundSocketServer, SocketServerError> {
        if self.proxy_protocol.is_some() {
            return Err(SocketServerError::ProxyOnUnix);
        }
        self.bind(Listener::unix(path)?, layer)
    }

    /// Listens on `[HOST:]PORT`; the default host is 127.0.0.1, and for port 0 the system chooses a port.
    ///
    /// This transport has neither encryption nor authentication, unless TLS is set, with the feature `tls`.
    ///
    /// # Errors
    /// If the address cannot be resolved or bound, or the system refuses the first thread.
    pub fn bind_tcp(&self, address: &str) -> Result<BoundSocketServer, SocketServerError> {
        self.bind_tcp_with(address, NoLayer)
    }

    /// Like [`bind_tcp`](Self::bind_tcp), with a layer around the protocol of each connection, for example a recorder: inside
    /// TLS, and after the header of the [PROXY protocol](Self::proxy_protocol).
    ///
    /// # Errors
    /// See [`bind_tcp`](Self::bind_tcp).
    pub fn bind_tcp_with(
        &self,
        address: &str,
        layer: impl Layer,
    ) -> Result<BoundSocketServer, SocketServerError> {
        self.bind(Listener::tcp(address)?, layer)
    }

    fn bind(&self, listener: Listener, layer: impl Layer) -> Result<BoundSocketServer, SocketServerError> {
        let mut options = self.options.clone();
        if !self.threaded {
            options.max_connections = 1;
            options.give_way = GiveWay::Never;
            options.timeouts.fresh = Timeout::NEVER;
        }
        if let Some(timeout) = self.first_byte_timeout {
            options.timeouts.fresh.whole = timeout;
        }
        if let Some(setting) = &self.proxy_protocol {
            options.timeouts.preamble = Timeout { no_progress: None, whole: Some(setting.timeout()) };
        }
        let acceptor = ServiceAcceptor {
            service: self.service.clone(),
            limits: self.limits.clone(),
            budget: self.budget.clone(),
            access_log: self.access_log.clone(),
            performer: self.performer.clone(),
            shared_memory: self.shared_memory.clone(),
            started: Instant::now(),
        };
        let acceptor = layer.layer(acceptor);
        #[cfg(feature = "tls")]
        if let (Some(tls), Address::Tcp(_)) = (&self.tls, listener.address()) {
            let acceptor = TlsAcceptor::new(acceptor, tls.clone(), self.budget.clone(), &[]);
            return self.serve(listener, acceptor, options);
        }
        self.serve(listener, acceptor, options)
    }

    fn serve<A: vgi_rpc_reactor::Acceptor>(
        &self,
        listener: Listener,
        acceptor: A,
        options: Options,
    ) -> Result<BoundSocketServer, SocketServerError> {
        let server: AnyReactor = match self.proxy_protocol.clone() {
            Some(setting) => Reactor::new(listener, ProxyAcceptor::new(acceptor, setting), options)?.into(),
            None => Reactor::new(listener, acceptor, options)?.into(),
        };
        let (service, budget) = (self.service.clone(), self.budget.clone());
        Ok(BoundSocketServer { server, service, budget })
    }
}

/// A listening server. Clients may connect already; they are answered once it runs.
///
/// Dropping it closes the listener and removes a unix socket's file.
#[derive(Debug)]
pub struct BoundSocketServer {
    server: AnyReactor,
    service: Arc<Service>,
    budget: Budget,
}

impl BoundSocketServer {
    /// Returns the address that it listens on.
    pub fn address(&self) -> &Address {
        self.server.address()
    }

    /// Returns the memory budget of the clients, and its use.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Returns a handle that ends the server from another thread.
    pub fn handle(&self) -> Handle {
        self.server.handle()
    }

    /// Serves until the server is ended. Handlers that still run then continue on their threads, but can no longer answer.
    ///
    /// # Errors
    /// If start-up work fails, or the system refuses what the server needs. Failures of a single connection are not errors.
    pub fn run(self) -> Result<Ended, SocketServerError> {
        let transport = match self.address() {
            Address::Tcp(_) => TransportKind::Tcp,
            _ => TransportKind::Unix,
        };
        self.service.start(transport).map_err(SocketServerError::Start)?;
        Ok(self.server.run()?)
    }
}
