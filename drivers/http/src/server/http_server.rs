//! Setting a server up, and running it.

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

/// How an endpoint is served over HTTP/1.1.
///
/// Connections are not encrypted unless TLS is [set](Self::tls), with the feature `tls`: without it, put the server behind a
/// proxy that has it, or on a loopback address.
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
    /// Serves with the defaults that each setting names.
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

    /// Has every connection carry TLS, with `http/1.1` as the application protocol unless the settings name others.
    /// The certificate of a client is in [`Peer::tls`](vgi_rpc_protocol::service::Peer::tls). Keep a clone
    /// of the settings to [load them anew](ServerTls::reload). Default: no TLS.
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

    /// Sets the bounds of a request's head. Those of its body are the endpoint's.
    pub fn limits(mut self, limits: http1::Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how much memory the clients of all connections together may make the process hold. A request that does not
    /// fit is answered with 503. Servers may share a budget. Default: a quarter of what the process may use.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Has every call written to an access log, before its response is sent. The endpoint must
    /// [record calls](vgi_rpc_protocol::http::EndpointBuilder::record_calls).
    pub fn access_log(mut self, log: impl Into<Option<AccessLog>>) -> Self {
        self.access_log = log.into();
        self
    }

    /// Sets what performs the effects of requests, such as the questions of an
    /// [authenticator](vgi_rpc_protocol::http::auth::AuthRequest::ask) and making upload URLs. Servers may share one. Default:
    /// nothing does, and an effect fails.
    pub fn effects(mut self, performer: Performer) -> Self {
        self.performer = performer;
        self
    }

    /// Sets the clock that gives requests their time since the Unix epoch. A recorder and its replay set one.
    /// Default: the system's.
    pub fn clock(mut self, clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.clock = Clock::Other(Arc::new(clock));
        self
    }

    /// Has a function called when the service's start-up work fails. The work is done at the first request, which is then
    /// answered with 500 and does not say why; it is tried again at the next one. Default: nothing is called.
    pub fn on_start_failure(mut self, report: impl Fn(&RpcError) + Send + Sync + 'static) -> Self {
        self.on_start_failure = Some(Arc::new(report));
        self
    }

    /// Answers some requests beside the endpoint's: those that the function gives a response to. It sees a
    /// request's head, and is asked first; it must not take long.
    pub fn route(
        mut self,
        route: impl Fn(&Parts) -> Option<Response<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        self.route = Some(Arc::new(route));
        self
    }

    /// Sets which hosts a request may name in `Host`, or in a target in absolute form. Any other is refused with 421
    /// before anything else is done with it, whatever its path. Default: [`AllowedHosts::Default`].
    pub fn allowed_hosts(mut self, hosts: AllowedHosts) -> Self {
        self.allowed_hosts = hosts;
        self
    }

    /// Requires of every connection that it comes from a trusted proxy and begins with a header of the PROXY protocol, version
    /// 2, which says where the client is: that becomes the client's
    /// [address](vgi_rpc_protocol::service::Peer::remote_address), and the proxy's own is beside it. A connection that does not
    /// is closed without an answer. Default: connections have no such header.
    ///
    /// A proxy that forwards bytes does not change what the client says in HTTP. So headers that only a proxy may set are to be
    /// trusted by the client's address here, never because the connection came through a proxy.
    pub fn proxy_protocol(mut self, setting: impl Into<Option<ProxyProtocol>>) -> Self {
        self.proxy_protocol = setting.into();
        self
    }

    /// Sets how many threads may run handlers, at least 1. Default 64. A thread is started only when those that
    /// there are have not kept up for a millisecond, and ends after 10 s without work. While all of them are at work,
    /// requests that need no handler are still answered, such as those for the server's health.
    pub fn threads(mut self, threads: usize) -> Self {
        self.options.threads = threads.max(1);
        self
    }

    /// Sets how many connections are served at a time; 0 for any number. The rest wait in the listener's backlog.
    /// Default 1,024.
    ///
    /// When one more comes, a connection is closed for it that has never sent a byte, or else one that has waited for
    /// its next request for a second or more: the oldest one of the address that holds the most connections.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.options.max_connections = connections;
        self
    }

    /// Sets how long a new connection may send nothing at all. Default 30 s.
    pub fn first_byte_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.fresh.whole = timeout;
        self
    }

    /// Sets how long a connection may wait for its next request. Default 75 s. Like the other timeouts it may take
    /// 250 ms longer, and ends in the connection being closed.
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.idle.no_progress = timeout;
        self
    }

    /// Sets how long a client may take to send a request's head, from its first byte. Default 30 s; the answer is
    /// 408.
    pub fn head_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.head.whole = timeout;
        self
    }

    /// Sets how long a client may send nothing in the middle of a body. Default 30 s; the answer is 408.
    pub fn body_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.body.no_progress = timeout;
        self
    }

    /// Sets how long a client may take to send a whole body. Default 15 min; the answer is 408.
    pub fn whole_body_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.body.whole = timeout;
        self
    }

    /// Sets how long a request may wait for its effects, and for its sticky session while other calls have it. Default 5
    /// min; the answer is 503.
    pub fn waiting_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.waiting.whole = timeout;
        self
    }

    /// Sets how long a client may read nothing of a response that waits for it. Default 60 s.
    pub fn write_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeouts.output.no_progress = timeout;
        self
    }

    /// Sets whether SIGTERM and SIGINT end the server. The first signal [drains](Handle::drain) it for
    /// [`drain_timeout`](Self::drain_timeout), a second one ends it at once; then [`BoundHttpServer::run`] returns. Default false.
    /// After the server has ended the two signals do nothing: the process is expected to end.
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

    /// Listens on `[HOST:]PORT`; the host is 127.0.0.1 when left out, and port 0 lets the system choose.
    ///
    /// # Errors
    /// When the address cannot be resolved or bound, the system refuses a first thread, an allowed host is not one, or
    /// there is an access log and the endpoint does not record calls.
    pub fn bind_tcp(&self, address: &str) -> Result<BoundHttpServer, HttpServerError> {
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

    /// Makes the machines of the connections that this server would have on an address, for an event loop or a replay of your
    /// own. There is no TLS around them.
    ///
    /// # Errors
    /// When an allowed host is not one, or there is an access log and the endpoint does not record calls.
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
    /// What performs effects. An endpoint that brings the answers to its own questions needs threads in any case.
    fn performer_of_endpoint(&self) -> Performer {
        match self.performer.is_none() && self.endpoint.asks_itself() {
            true => Performer::own_answers(),
            false => self.performer.clone(),
        }
    }
}

/// A server that listens. Clients may connect already; they are answered once it runs.
#[derive(Debug)]
pub struct BoundHttpServer {
    address: Address,
    budget: Budget,
    server: AnyReactor,
    unfinished: UnfinishedCalls,
}

impl BoundHttpServer {
    /// Where it listens. It prints as a URL.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// How much memory clients may make the process hold, and how much of it they do.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Ends it from another thread: at once, or in good order. The endpoint's sticky sessions are not its matter:
    /// see [`Endpoint::set_draining`].
    pub fn handle(&self) -> Handle {
        self.server.handle()
    }

    /// Serves until the server is stopped. Handlers that still run then keep their threads, but their answers are dropped: for hooks
    /// and the access log their calls end with the code `CANCELLED`.
    ///
    /// # Errors
    /// When the system refuses what the server cannot do without. What happens on one connection is no error.
    pub fn run(self) -> Result<Ended, HttpServerError> {
        let ended = self.server.run();
        self.unfinished.cut_off_all();
        Ok(ended?)
    }
}
