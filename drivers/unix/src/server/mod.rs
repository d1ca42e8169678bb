//! The server: how a service is set up on sockets and run. The event loop is `vgi-rpc-reactor`'s.
//!
//! | file | subject |
//! | --- | --- |
//! | `conversation` | one connection's protocol, as the event loop drives it |
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
    /// The unix socket cannot have that name.
    #[cfg(unix)]
    #[error(transparent)]
    SocketFile(#[from] SocketFileError),
    /// The TCP address cannot be bound.
    #[error("{address}: {error}")]
    Bind {
        /// The address as it was given.
        address: String,
        /// Why.
        error: io::Error,
    },
    /// The PROXY protocol is required on a unix socket, whose peers have no addresses to trust.
    #[error("expected a TCP address with the PROXY protocol, got a unix socket")]
    ProxyOnUnix,
    /// Start-up work of a protocol failed; nothing was served.
    #[error("the service could not be started: {0}")]
    Start(RpcError),
    /// The system refused something else that a server needs.
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
    /// What attaches the segments of clients on unix sockets.
    shared_memory: Option<ShmServer>,
    /// The time that records count from.
    started: Instant,
}

/// How a service is served over sockets.
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
    /// As it was set.
    first_byte_timeout: Option<Option<Duration>>,
}

impl SocketServer {
    /// Serves with the defaults that each setting names.
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

    /// Sets the bounds of what a connection accepts and holds.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how much memory the peers of all connections together may make the process hold. Servers may share a
    /// budget. Default: a quarter of what the process may use.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Lets clients on unix sockets share memory, so that large batches do not pass through the socket. Default: they cannot. Those
    /// on TCP never can. WIRE_PROTOCOL 11.
    ///
    /// A client can name a segment of its own user only, which a server of another user can open if it runs as root.
    pub fn shared_memory(mut self, shared_memory: impl Into<Option<ShmServer>>) -> Self {
        self.shared_memory = shared_memory.into();
        self
    }

    /// Has every call written to an access log, before its answer is sent.
    pub fn access_log(mut self, log: impl Into<Option<AccessLog>>) -> Self {
        self.access_log = log.into();
        self
    }

    /// Sets what performs the effects of calls, such as the questions of
    /// [admission](vgi_rpc_protocol::service::ServiceBuilder::admit). Servers may share one. Default: nothing does, and an
    /// effect fails.
    pub fn effects(mut self, performer: Performer) -> Self {
        self.performer = performer;
        self
    }

    /// Requires of every connection that it comes from a trusted proxy and begins with a header of the PROXY protocol, version
    /// 2, which says where the client is: that becomes the client's
    /// [address](vgi_rpc_protocol::service::Peer::remote_address), and the proxy's own is beside it. A connection that does not
    /// is closed without an answer. Only on TCP. Default: connections have no such header.
    pub fn proxy_protocol(mut self, setting: impl Into<Option<ProxyProtocol>>) -> Self {
        self.proxy_protocol = setting.into();
        self
    }

    /// Sets how many threads may run handlers, at least 1. The thread that calls [`BoundSocketServer::run`] is not one of them.
    ///
    /// Default 1,024, as many as connections, so that a handler that blocks never keeps another from running. A
    /// thread is started only when those that there are have not kept up for a millisecond, and ends after 10 s
    /// without work: a server of quick handlers has one. Where the system refuses a thread, the server goes on with
    /// those it has.
    pub fn threads(mut self, threads: usize) -> Self {
        self.options.threads = threads.max(1);
        self
    }

    /// Sets how many connections are served at a time; 0 for any number. The rest wait in the listener's backlog.
    ///
    /// Default 1,024, as many as the descriptors that a process commonly may have. Clients hold a connection for as
    /// long as they like, so this is also how many clients there may be. When one more comes, a connection that has
    /// never sent a byte is closed for it: the oldest one of the user, or on TCP of the address, that holds the most
    /// connections. Connections that have sent something are not closed for others, since clients do not
    /// connect again by themselves.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.options.max_connections = connections;
        self
    }

    /// Sets whether connections are served at the same time, or one after another. Default true.
    ///
    /// One after another, the next client waits until the one before it has closed its connection: no connection is
    /// closed for another, and there is no [`first_byte_timeout`](Self::first_byte_timeout) unless it is set.
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

    /// Has every connection on TCP carry TLS; on unix sockets, which do not leave the machine, none does. The
    /// certificate of a client is in [`Peer::tls`](vgi_rpc_protocol::service::Peer::tls). Keep a clone of the settings to [load
    /// them anew](ServerTls::reload). Default: no TLS.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: impl Into<Option<ServerTls>>) -> Self {
        self.tls = tls.into();
        self
    }

    /// Sets how long a TLS handshake may take, from its first byte. Default 10 s. A client that says nothing after it has
    /// the [`first_byte_timeout`](Self::first_byte_timeout) to begin.
    #[cfg(feature = "tls")]
    pub fn handshake_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.handshake.whole = timeout;
        self
    }

    /// Sets how long a new connection may send nothing at all. Default 30 s, and never where connections are
    /// [served one after another](Self::threaded).
    pub fn first_byte_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.first_byte_timeout = Some(timeout);
        self
    }

    /// Sets how long a connection may wait for its next call. Default: never, since clients do not connect again by
    /// themselves. It holds for new connections too.
    pub fn connection_idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.idle.no_progress = timeout;
        self
    }

    /// Sets how long a peer may send nothing in the middle of a request. Default 30 s. Like the other timeouts of
    /// connections it may take 250 ms longer, and ends in the connection being closed; the peer is told why where the protocol has
    /// a place for it.
    pub fn message_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.body.no_progress = timeout;
        self
    }

    /// Sets how long a peer may take to send a whole request. Default 15 min, in which a slow line carries a large
    /// batch, and a peer that sends a byte now and then comes to an end.
    pub fn request_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.body.whole = timeout;
        self
    }

    /// Sets how long an open stream may wait for its next input. Default: for ever, since a client may well think
    /// between two batches.
    pub fn stream_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.stream.no_progress = timeout;
        self
    }

    /// Sets how long a call may wait for its effects. Default 5 min; the answer is an error.
    pub fn waiting_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.waiting.whole = timeout;
        self
    }

    /// Sets how long a peer may read nothing of an answer that waits for it. Default 60 s.
    pub fn write_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.output.no_progress = timeout;
        self
    }

    /// Sets whether SIGTERM and SIGINT end the server. The first signal [drains](Handle::drain) it for
    /// [`drain_timeout`](Self::drain_timeout), a second one ends it at once; then [`BoundSocketServer::run`] returns, and a unix
    /// socket's file is gone. Default false.
    ///
    /// This holds from binding on. After the server has ended the two signals do nothing, because their former
    /// handling cannot be brought back: the process is expected to end.
    pub fn end_on_signals(mut self, end: bool) -> Self {
        self.options.end_on_signals = end;
        self
    }

    /// Sets how long calls and open streams may take to come to their end after SIGTERM or SIGINT, with
    /// [`end_on_signals`](Self::end_on_signals). Default 5 s. With zero a signal ends the server at once.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.options.drain_timeout = timeout;
        self
    }

    /// Listens on an AF_UNIX path, for connections of this user only. A socket there that no server listens on is
    /// replaced. A lock on the file `PATH.owner`, which is removed at the end, keeps two servers from doing so at
    /// once. Only on Unix.
    ///
    /// # Errors
    /// When something else has the name, another server listens there, or the system refuses, be it a first thread; or the
    /// [PROXY protocol](Self::proxy_protocol) is required.
    #[cfg(unix)]
    pub fn bind_unix(&self, path: impl AsRef<Path>) -> Result<BoundSocketServer, SocketServerError> {
        self.bind_unix_with(path, NoLayer)
    }

    /// As [`bind_unix`](Self::bind_unix), with a layer around the protocol of each connection, such as a recorder.
    ///
    /// # Errors
    /// As there.
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

    /// Listens on `[HOST:]PORT`; the host is 127.0.0.1 when left out, and port 0 lets the system choose.
    ///
    /// There is neither encryption nor authentication on this transport, unless TLS is set, with the feature `tls`.
    ///
    /// # Errors
    /// When the address cannot be resolved or bound, or the system refuses a first thread.
    pub fn bind_tcp(&self, address: &str) -> Result<BoundSocketServer, SocketServerError> {
        self.bind_tcp_with(address, NoLayer)
    }

    /// As [`bind_tcp`](Self::bind_tcp), with a layer around the protocol of each connection, such as a recorder: inside TLS, and
    /// behind the header of the [PROXY protocol](Self::proxy_protocol).
    ///
    /// # Errors
    /// As there.
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

/// A server that listens. Clients may connect already; they are answered once it runs.
///
/// Dropping it closes the listener and removes a unix socket's file.
#[derive(Debug)]
pub struct BoundSocketServer {
    server: AnyReactor,
    service: Arc<Service>,
    budget: Budget,
}

impl BoundSocketServer {
    /// Where it listens.
    pub fn address(&self) -> &Address {
        self.server.address()
    }

    /// How much memory clients may make the process hold, and how much of it they do.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Ends it from another thread.
    pub fn handle(&self) -> Handle {
        self.server.handle()
    }

    /// Serves until told to end. Handlers that still run then are left to their threads, and cannot answer any more.
    ///
    /// # Errors
    /// When start-up work fails, or the system refuses what the server cannot do without. What happens on one
    /// connection is no error.
    pub fn run(self) -> Result<Ended, SocketServerError> {
        let transport = match self.address() {
            Address::Tcp(_) => TransportKind::Tcp,
            _ => TransportKind::Unix,
        };
        self.service.start(transport).map_err(SocketServerError::Start)?;
        Ok(self.server.run()?)
    }
}
