//! The [`Worker`], which serves a service as the flags say.

use crate::error::WorkerError;
#[cfg(feature = "http")]
use crate::http::{HttpSettings, Observers};
use crate::options::{Flags, Transport};
use crate::recording::Recording;
#[cfg(feature = "http")]
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_access_log::AccessLog;
use vgi_rpc_effects::Performer;
#[cfg(feature = "http")]
use vgi_rpc_metrics::Metrics;
#[cfg(feature = "http")]
use vgi_rpc_protocol::http::{Endpoint, EndpointBuilder};
use vgi_rpc_protocol::service::Service;
#[cfg(feature = "unix")]
use vgi_rpc_protocol::service::TransportKind;
use vgi_rpc_stdio::ShmServer;

/// How long records that wait for the reader of a FIFO or a device may delay the end of the process.
const PATIENCE_AT_END: Duration = Duration::from_secs(1);

#[cfg(feature = "unix")]
type SocketServerChange = dyn FnOnce(vgi_rpc_unix::SocketServer) -> vgi_rpc_unix::SocketServer;

type AccessLogChange = dyn FnOnce(vgi_rpc_access_log::Options) -> vgi_rpc_access_log::Options;

/// Serves a service as the command line says, with settings that no flag has. Created by
/// [`WorkerOptions::worker`](crate::WorkerOptions::worker).
pub struct Worker {
    flags: Flags,
    service: Arc<Service>,
    performer: Performer,
    shared_memory: ShmServer,
    #[cfg(feature = "unix")]
    socket_server: Option<Box<SocketServerChange>>,
    #[cfg(feature = "http")]
    http: HttpSettings,
    #[cfg(feature = "http")]
    metrics: Option<Metrics>,
    access_log: Option<Box<AccessLogChange>>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("flags", &self.flags).finish_non_exhaustive()
    }
}

impl Worker {
    pub(crate) fn new(flags: Flags, service: Arc<Service>) -> Self {
        Self {
            flags,
            service,
            performer: Performer::none(),
            shared_memory: ShmServer::new(),
            #[cfg(feature = "unix")]
            socket_server: None,
            #[cfg(feature = "http")]
            http: HttpSettings::default(),
            #[cfg(feature = "http")]
            metrics: None,
            access_log: None,
        }
    }

    /// Sets the performer of calls' effects, on every transport. Default: none, so that effects fail.
    pub fn effects(mut self, performer: Performer) -> Self {
        self.performer = performer;
        self
    }

    /// Changes the [options](vgi_rpc_access_log::Options) of the access log, for example which claims it shows. The function
    /// receives the options of the flags, and is not called if there is no access log. A later call of this replaces the
    /// function.
    pub fn access_log(
        mut self,
        change: impl FnOnce(vgi_rpc_access_log::Options) -> vgi_rpc_access_log::Options + 'static,
    ) -> Self {
        self.access_log = Some(Box::new(change));
        self
    }

    /// Sets the metrics.
    #[cfg(feature = "http")]
    pub(crate) fn metrics(mut self, metrics: Option<Metrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// Sets how clients on pipes and unix sockets share memory. Default: [`ShmServer::new`]. It has no effect with the flag
    /// `--no-shared-memory`; the flag `--shm-min-batch-bytes` overrides [`min_batch_bytes`](ShmServer::min_batch_bytes).
    pub fn shared_memory(mut self, shared_memory: ShmServer) -> Self {
        self.shared_memory = shared_memory;
        self
    }

    /// Changes the server of unix and TCP sockets: timeouts and other settings of [`SocketServer`](vgi_rpc_unix::SocketServer).
    /// The function receives a server configured by the flags, and is not called on other transports. A later call of this
    /// replaces the function.
    #[cfg(feature = "unix")]
    pub fn socket_server(
        mut self,
        change: impl FnOnce(vgi_rpc_unix::SocketServer) -> vgi_rpc_unix::SocketServer + 'static,
    ) -> Self {
        self.socket_server = Some(Box::new(change));
        self
    }

    /// Changes the endpoint of HTTP: authentication, sticky sessions and other settings of [`EndpointBuilder`]. The function
    /// receives a builder configured by the flags, and is not called on other transports. A later call of this replaces the
    /// function.
    #[cfg(feature = "http")]
    pub fn endpoint<E: Into<Box<dyn Error + Send + Sync>>>(
        mut self,
        change: impl FnOnce(EndpointBuilder) -> Result<EndpointBuilder, E> + 'static,
    ) -> Self {
        self.http.endpoint = Some(Box::new(|builder| change(builder).map_err(Into::into)));
        self
    }

    /// Changes the server of HTTP: timeouts, further routes and other settings of [`HttpServer`](vgi_rpc_http::HttpServer). The
    /// function receives a server configured by the flags, and the endpoint that it serves; it is not called on other
    /// transports. A later call of this replaces the function.
    #[cfg(feature = "http")]
    pub fn http_server(
        mut self,
        change: impl FnOnce(vgi_rpc_http::HttpServer, &Arc<Endpoint>) -> vgi_rpc_http::HttpServer + 'static,
    ) -> Self {
        self.http.server = Some(Box::new(change));
        self
    }

    /// Serves until the client closes the connection (on pipes), or until `--idle-timeout`, SIGTERM or SIGINT.
    ///
    /// Over HTTP the service's start-up work is done at the first request; if it fails, a line on stderr shows the error, and
    /// the next request tries again.
    ///
    /// # Errors
    /// If the worker cannot listen, or the system refuses what it needs. Failures of a single connection are not errors.
    pub fn serve(mut self) -> Result<(), WorkerError> {
        if let Some(level) = self.flags.log_level {
            crate::log_lines::write_events(level);
        }
        #[cfg(feature = "record")]
        if let Some(path) = self.flags.record.replay() {
            return crate::replaying::replay(
                path,
                &self.flags,
                self.service,
                #[cfg(feature = "http")]
                self.http,
            );
        }
        let options = self.flags.access_log.options(self.flags.server_id());
        let options = match self.access_log.take() {
            Some(change) => options.map(change),
            None => options,
        };
        let log =
            options.map(vgi_rpc_access_log::Options::open).transpose().map_err(WorkerError::AccessLog)?;
        #[cfg(feature = "http")]
        let _page = match &self.metrics {
            Some(metrics) => {
                metrics.access_log(log.clone());
                crate::metrics::serve(&self.flags.metrics_flags, metrics)?
            }
            None => None,
        };
        let recording = Recording::open(&self.flags)?;
        let served = self.serve_transport(log.clone(), &recording);
        recording.close();
        if let Some(log) = log {
            // Threads of connections that are still open may hold clones.
            log.close(PATIENCE_AT_END);
        }
        served
    }

    fn serve_transport(self, log: Option<AccessLog>, recording: &Recording) -> Result<(), WorkerError> {
        #[cfg(feature = "http")]
        crate::metrics::add_effects(self.metrics.as_ref(), &self.performer);
        match self.flags.transport() {
            Transport::Pipe => {
                let budget = self.flags.budget();
                #[cfg(feature = "http")]
                crate::metrics::add_budget(self.metrics.as_ref(), &budget);
                let shared_memory = self.flags.shared_memory_of(self.shared_memory);
                #[cfg(feature = "http")]
                crate::metrics::add_shared_memory(self.metrics.as_ref(), "stdio", shared_memory.as_ref());
                let server = vgi_rpc_stdio::StdioServer::new(self.service)
                    .limits(self.flags.limits())
                    .budget(budget)
                    .access_log(log)
                    .effects(self.performer)
                    .shared_memory(shared_memory);
                Ok(recording.serve_stdio(server)?)
            }
            #[cfg(all(feature = "unix", unix))]
            Transport::Unix(path) => {
                #[cfg(feature = "http")]
                let metrics = self.metrics.clone();
                let server = self.sockets(log)?;
                let bound = match recording.layer(TransportKind::Unix) {
                    Some(layer) => server.bind_unix_with(&path, layer)?,
                    None => server.bind_unix(&path)?,
                };
                #[cfg(feature = "http")]
                crate::metrics::add_server(metrics.as_ref(), "unix", &bound.handle());
                // Launchers compare the line with the path that they passed, which is absolute.
                let path = std::path::absolute(&path).unwrap_or(path);
                serve_sockets(bound, "UNIX", path.as_os_str())
            }
            #[cfg(feature = "unix")]
            Transport::Tcp(address) => {
                #[cfg(feature = "http")]
                let metrics = self.metrics.clone();
                let server = self.sockets(log)?;
                let bound = match recording.layer(TransportKind::Tcp) {
                    Some(layer) => server.bind_tcp_with(&address, layer)?,
                    None => server.bind_tcp(&address)?,
                };
                #[cfg(feature = "http")]
                crate::metrics::add_server(metrics.as_ref(), "tcp", &bound.handle());
                let place = match bound.address() {
                    vgi_rpc_unix::Address::Tcp(address) => format!("{}:{}", address.ip(), address.port()),
                    other => other.to_string(),
                };
                serve_sockets(bound, "TCP", place.as_ref())
            }
            #[cfg(feature = "http")]
            Transport::Http(address) => {
                let observers = Observers { log, metrics: self.metrics.as_ref(), recording };
                self.http.serve(&address, &self.flags, self.service, self.performer, observers)
            }
        }
    }

    #[cfg(feature = "unix")]
    fn sockets(self, log: Option<AccessLog>) -> Result<vgi_rpc_unix::SocketServer, WorkerError> {
        #[cfg(feature = "tls")]
        let tls = self.flags.tls()?;
        let budget = self.flags.budget();
        let proxies = self.flags.connections.proxy_protocol();
        #[cfg(feature = "http")]
        {
            let metrics = self.metrics.as_ref();
            crate::metrics::add_budget(metrics, &budget);
            crate::metrics::add_proxies(metrics, proxies.as_ref());
            #[cfg(feature = "tls")]
            crate::metrics::add_tls(metrics, tls.as_ref());
        }
        let shared_memory = self.flags.shared_memory_of(self.shared_memory);
        #[cfg(feature = "http")]
        crate::metrics::add_shared_memory(self.metrics.as_ref(), "sockets", shared_memory.as_ref());
        let server = vgi_rpc_unix::SocketServer::new(self.service)
            .limits(self.flags.limits())
            .budget(budget)
            .threaded(self.flags.sockets.concurrent)
            .max_connections(self.flags.connections.max_connections)
            .idle_timeout(self.flags.sockets.idle_timeout())
            .access_log(log)
            .effects(self.performer)
            .shared_memory(shared_memory)
            .proxy_protocol(proxies)
            .drain_timeout(self.flags.connections.drain_timeout)
            .end_on_signals(true);
        let server = match self.flags.connections.threads() {
            Some(threads) => server.threads(threads),
            None => server,
        };
        #[cfg(feature = "tls")]
        let server = server.tls(tls);
        Ok(match self.socket_server {
            Some(change) => change(server),
            None => server,
        })
    }
}

#[cfg(feature = "unix")]
fn serve_sockets(
    bound: vgi_rpc_unix::BoundSocketServer,
    kind: &str,
    place: &std::ffi::OsStr,
) -> Result<(), WorkerError> {
    crate::discovery::announce(kind, place).map_err(WorkerError::Announce)?;
    bound.run()?;
    Ok(())
}
