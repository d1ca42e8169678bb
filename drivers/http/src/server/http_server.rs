//! Configures, binds and runs a server.

use super::address::Address;
use super::clock::Clock;
use super::conversation::{Acceptor, OnStartFailure, Route};
use super::date::Date;
use super::error::HttpServerError;
use super::hosts::{AllowedHosts, HostCheck};
use super::unfinished::UnfinishedCalls;
use crate::http1;
use bytes::Bytes;
use http::Response;
use http::request::Parts;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_access_log::AccessLog;
use vgi_rpc_effects::Performer;
use vgi_rpc_protocol::http::Endpoint;
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_proxy_protocol::{ProxyAcceptor, ProxyProtocol};
use vgi_rpc_reactor::{
    AnyReactor, Ended, GiveWay, Handle, Layer, Listener, NoLayer, Options, Reactor, Timeout,
};
#[cfg(feature = "tls")]
use vgi_rpc_tls::{ServerTls, TlsAcceptor};

/// Serves an endpoint over HTTP/1.1.
///
/// Connections are not encrypted unless TLS is [set](Self::tls), which needs the feature `tls`. Without it, put the server behind
/// a proxy that terminates TLS, or bind it to a loopback address.
#[derive(Clone)]
pub struct HttpServer {
    endpoint: Arc<Endpoint>,
    limits: http1::Limits,
    budget: Budget,
    access_log: Option<AccessLog>,
    performer: Performer,
    on_start_failure: Option<Arc<OnStartFailure>>,
    route: Option<Arc<Route>>,
    allowed_hosts: AllowedHosts,
    proxy_protocol: Option<ProxyProtocol>,
    options: Options,
    clock: Clock,
    #[cfg(feature = "tls")]
    tls: Option<ServerTls>,
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl HttpServer {
    /// Creates a server with the default of each setting.
    pub fn new(endpoint: Arc<Endpoint>) -> Self {
        let mut options = Options::default();
        options.threads = 64;
        options.give_way = GiveWay::Idle;
        options.timeouts.idle.no_progress = Some(Duration::from_secs(75));
        Self {
            endpoint,
            limits: http1::Limits::default(),
            budget: vgi_rpc_memory::default_budget(),
            access_log: None,
            performer: Performer::none(),
            on_start_failure: None,
            route: None,
            allowed_hosts: AllowedHosts::Default,
            proxy_protocol: None,
            options,
            clock: Clock::System,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Makes every connection use TLS, with `http/1.1` as the application protocol unless the settings name others.
    /// [`Peer::tls`](vgi_rpc_protocol::service::Peer::tls) has the client's certificate. Keep a clone of the settings to [reload
    /// them](ServerTls::reload). Default: no TLS.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: impl Into<Option<ServerTls>>) -> Self {
        self.tls = tls.into();
        self
    }

    /// Sets how long a TLS handshake may take, from its first byte. Default 10 s.
    #[cfg(feature = "tls")]
    pub fn handshake_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.handshake.whole = timeout;
        self
    }

    /// Sets the limits of a request's head. The endpoint limits its body.
    pub fn limits(mut self, limits: http1::Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how much memory the clients of all connections together may make the process hold. The response to a request that
    /// does not fit is 503. Servers may share a budget. Default: a quarter of the memory that the process may use.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Writes every call to an access log before its response is sent. The endpoint must [record
    /// calls](vgi_rpc_protocol::http::EndpointBuilder::record_calls).
    pub fn access_log(mut self, log: impl Into<Option<AccessLog>>) -> Self {
        self.access_log = log.into();
        self
    }

    /// Sets the performer of requests' effects, such as the questions of an
    /// [authenticator](vgi_rpc_protocol::http::auth::AuthRequest::ask) and making upload URLs. Servers may share one. Default:
    /// none, so every effect fails.
    pub fn effects(mut self, performer: Performer) -> Self {
        self.performer = performer;
        self
    }

    /// Sets the clock that timestamps requests, as the time since the Unix epoch. A recorder and its replay set it. Default: the
    /// system clock.
    pub fn clock(mut self, clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.clock = Clock::Other(Arc::new(clock));
        self
    }

    /// Sets a function to call if the service's start-up work fails. The work runs at the first request. If it fails, the
    /// response is a 500 without the reason, and it is retried at the next request. Default: none.
    pub fn on_start_failure(mut self, report: impl Fn(&RpcError) + Send + Sync + 'static) -> Self {
        self.on_start_failure = Some(Arc::new(report));
        self
    }

    /// Responds to additional requests: those for which the function returns a response. It gets a request's head before the
    /// endpoint does; it must not take long.
    pub fn route(
        mut self,
        route: impl Fn(&Parts) -> Option<Response<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        self.route = Some(Arc::new(route));
        self
    }

    /// Sets which hosts a request may name in `Host`, or in a target in absolute form. The response to any other is 421 before
    /// any further processing, whatever its path. Default: [`AllowedHosts::Default`].
    pub fn allowed_hosts(mut self, hosts: AllowedHosts) -> Self {
        self.allowed_hosts = hosts;
        self
    }

    /// Requires every connection to come from a trusted proxy and to begin with a header of the PROXY protocol, version 2. Its
    /// source address becomes the client's [address](vgi_rpc_protocol::service::Peer::remote_address), and the proxy's own
    /// address is available beside it. Any other connection is closed without a response. Default: connections have no such
    /// header.
    ///
    /// A proxy that forwards bytes does not change the client's HTTP headers. Trust headers that only a proxy may set by the
    /// client's address here, never because the connection came through a proxy.
    pub fn proxy_protocol(mut self, setting: impl Into<Option<ProxyProtocol>>) -> Self {
        self.proxy_protocol = setting.into();
        self
    }

    /// Sets how many threads may run handlers, at least 1. Default 64. A thread is started only if the existing ones have fallen
    /// behind for a millisecond, and ends after 10 s without work. While all threads are busy, requests that need no handler
    /// still get responses, such as those for the server's health.
    pub fn threads(mut self, threads: usize) -> Self {
        self.options.threads = threads.max(1);
        self
    }

    /// Sets how many connections are served at a time; 0 for any number. Further ones wait in the listener's backlog. Default
    /// 1,024.
    ///
    /// If another connection arrives, one is closed for it that has never sent a byte, or else one that has waited for its next
    /// request for a second or more: the oldest one of the address with the most connections.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.options.max_connections = connections;
        self
    }

    /// Sets how long a new connection may send nothing at all. Default 30 s.
    pub fn first_byte_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.fresh.whole = timeout;
        self
    }

    /// Sets how long a connection may wait for its next request. Default 75 s. Like the other timeouts, it may take up to 250 ms
    /// longer, and the connection is then closed.
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.idle.no_progress = timeout;
        self
    }

    /// Sets how long a client may take to send a request's head, from its first byte. Default 30 s; the response is 408.
    pub fn head_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.head.whole = timeout;
        self
    }

    /// Sets how long a client may send nothing in the middle of a body. Default 30 s; the response is 408.
    pub fn body_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.body.no_progress = timeout;
        self
    }

    /// Sets how long a client may take to send a whole body. Default 15 min; the response is 408.
    pub fn whole_body_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.body.whole = timeout;
        self
    }

    /// Sets how long a request may wait for its effects, and for its sticky session while other calls use it. Default 5 min; the
    /// response is 503.
    pub fn waiting_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.waiting.whole = timeout;
        self
    }

    /// Sets how long a client may read nothing of a pending response. Default 60 s.
    pub fn write_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.output.no_progress = timeout;
        self
    }

    /// Sets whether SIGTERM and SIGINT end the server. The first signal [drains](Handle::drain) it for
    /// [`drain_timeout`](Self::drain_timeout), a second one ends it at once; then [`BoundHttpServer::run`] returns. Default
    /// false. After that the two signals have no effect: the process is expected to exit.
    pub fn end_on_signals(mut self, end: bool) -> Self {
        self.options.end_on_signals = end;
        self
    }

    /// Sets how long calls and open streams may take to finish after SIGTERM or SIGINT, with
    /// [`end_on_signals`](Self::end_on_signals). Default 5 s. With zero, a signal ends the server at once.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.options.drain_timeout = timeout;
        self
    }

    /// Listens on `[HOST:]PORT`. The host defaults to 127.0.0.1, and port 0 lets the system choose.
    ///
    /// # Errors
    /// If the address cannot be resolved or bound, the system cannot start a thread, an allowed host is invalid, or there is an
    /// access log and the endpoint does not record calls.
    pub fn bind_tcp(&self, address: &str) -> Result<BoundHttpServer, HttpServerError> {
        self.bind_tcp_with(address, NoLayer)
    }

    /// Like [`bind_tcp`](Self::bind_tcp), with a layer around the protocol of each connection, such as a recorder. The layer is
    /// inside TLS and behind the header of the [PROXY protocol](Self::proxy_protocol).
    ///
    /// # Errors
    /// See [`bind_tcp`](Self::bind_tcp).
    pub fn bind_tcp_with(
        &self,
        address: &str,
        layer: impl Layer,
    ) -> Result<BoundHttpServer, HttpServerError> {
        let listener = Listener::tcp(address)?;
        let acceptor = self.connections(listener.address())?;
        let unfinished = acceptor.unfinished.clone();
        let acceptor = layer.layer(acceptor);
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let acceptor = TlsAcceptor::new(acceptor, tls.clone(), self.budget.clone(), &[b"http/1.1"]);
            return self.serve(listener, acceptor, true, unfinished);
        }
        self.serve(listener, acceptor, false, unfinished)
    }

    /// Returns the acceptor that creates the state machines of this server's connections for an address, for your own event loop
    /// or replay. It does not apply TLS.
    ///
    /// # Errors
    /// If an allowed host is invalid, or there is an access log and the endpoint does not record calls.
    pub fn acceptor(
        &self,
        address: SocketAddr,
    ) -> Result<impl vgi_rpc_reactor::Acceptor + use<>, HttpServerError> {
        self.connections(&vgi_rpc_reactor::Address::Tcp(address))
    }

    fn connections(&self, address: &vgi_rpc_reactor::Address) -> Result<Acceptor, HttpServerError> {
        if self.access_log.is_some() && !self.endpoint.records_calls() {
            return Err(HttpServerError::NoRecords);
        }
        let is_open = !self.endpoint.authenticates();
        let hosts = HostCheck::new(&self.allowed_hosts, address, is_open)?;
        Ok(Acceptor {
            endpoint: self.endpoint.clone(),
            limits: self.limits.clone(),
            budget: self.budget.clone(),
            access_log: self.access_log.clone(),
            unfinished: UnfinishedCalls::new(self.access_log.clone(), self.clock.clone()),
            performer: self.performer_of_endpoint(),
            on_start_failure: self.on_start_failure.clone(),
            route: self.route.clone(),
            hosts: Arc::new(hosts),
            date: Arc::new(Date::default()),
            clock: self.clock.clone(),
        })
    }

    fn serve<A: vgi_rpc_reactor::Acceptor>(
        &self,
        listener: Listener,
        acceptor: A,
        is_tls: bool,
        unfinished: UnfinishedCalls,
    ) -> Result<BoundHttpServer, HttpServerError> {
        let mut options = self.options.clone();
        let server: AnyReactor = match self.proxy_protocol.clone() {
            Some(setting) => {
                options.timeouts.preamble = Timeout { no_progress: None, whole: Some(setting.timeout()) };
                Reactor::new(listener, ProxyAcceptor::new(acceptor, setting), options)?.into()
            }
            None => Reactor::new(listener, acceptor, options)?.into(),
        };
        let address = Address::of(server.address(), is_tls)?;
        Ok(BoundHttpServer { address, budget: self.budget.clone(), server, unfinished })
    }
}

impl HttpServer {
    /// Returns the performer of effects. An endpoint that answers its own questions needs threads in any case.
    fn performer_of_endpoint(&self) -> Performer {
        match self.performer.is_none() && self.endpoint.has_own_answers() {
            true => Performer::own_answers(),
            false => self.performer.clone(),
        }
    }
}

/// A server that is bound to an address. Clients can connect already; their requests are processed once it runs.
#[derive(Debug)]
pub struct BoundHttpServer {
    address: Address,
    budget: Budget,
    server: AnyReactor,
    unfinished: UnfinishedCalls,
}

impl BoundHttpServer {
    /// Returns the address on which it listens. It prints as a URL.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Returns the budget: how much memory clients may make the process hold, and how much they currently do.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Returns a handle that stops the server from another thread, at once or gracefully. It does not affect the endpoint's
    /// sticky sessions: see [`Endpoint::set_draining`].
    pub fn handle(&self) -> Handle {
        self.server.handle()
    }

    /// Serves until the server is stopped. Handlers that are still running then keep their threads, but their results are
    /// dropped: for hooks and the access log, their calls end with the code `CANCELLED`.
    ///
    /// # Errors
    /// If the system refuses a resource that the server needs. A failure of one connection is not an error.
    pub fn run(self) -> Result<Ended, HttpServerError> {
        let ended = self.server.run();
        self.unfinished.cut_off_all();
        Ok(ended?)
    }
}
