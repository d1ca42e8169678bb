//! Serves over HTTP as the flags say.

use crate::discovery::announce;
use crate::error::WorkerError;
use crate::options::Flags;
use crate::recording::Recording;
#[cfg(feature = "record")]
use crate::replay_error::WorkerReplayError;
use crate::token_keys;
use std::error::Error;
use std::io::Write;
#[cfg(feature = "record")]
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::sync::Arc;
#[cfg(feature = "record")]
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use vgi_rpc_access_log::AccessLog;
use vgi_rpc_effects::Performer;
use vgi_rpc_http::{Address, HttpServer};
use vgi_rpc_metrics::Metrics;
use vgi_rpc_protocol::OneLine;
use vgi_rpc_protocol::http::{Endpoint, EndpointBuilder, EndpointError};
use vgi_rpc_protocol::service::{Service, TransportKind};
#[cfg(feature = "record")]
use vgi_rpc_recorder::{
    Capture,
    replay::{Player, Replayed},
};

type EndpointChange = dyn FnOnce(EndpointBuilder) -> Result<EndpointBuilder, Box<dyn Error + Send + Sync>>;
type ServerChange = dyn FnOnce(HttpServer, &Arc<Endpoint>) -> HttpServer;

/// The access log, the metrics and the recorder.
pub(crate) struct Observers<'a> {
    pub(crate) log: Option<AccessLog>,
    pub(crate) metrics: Option<&'a Metrics>,
    pub(crate) recording: &'a Recording,
}

/// The settings of HTTP without a flag.
#[derive(Default)]
pub(crate) struct HttpSettings {
    pub(crate) endpoint: Option<Box<EndpointChange>>,
    pub(crate) server: Option<Box<ServerChange>>,
}

impl HttpSettings {
    /// Listens on an address and serves until the end.
    pub(crate) fn serve(
        self,
        address: &str,
        flags: &Flags,
        service: Arc<Service>,
        performer: Performer,
        observers: Observers<'_>,
    ) -> Result<(), WorkerError> {
        let Observers { log, metrics, recording } = observers;
        let entropy = vgi_rpc_http::system_entropy;
        #[cfg(feature = "record")]
        let server = match recording.recorder() {
            Some(recorder) => {
                let entropy = recorder.entropy(entropy);
                self.server(flags, service, performer, log, metrics, entropy)?.clock(recorder.clock(now))
            }
            None => self.server(flags, service, performer, log, metrics, entropy)?,
        };
        #[cfg(not(feature = "record"))]
        let server = self.server(flags, service, performer, log, metrics, entropy)?;
        let bound = match recording.layer(TransportKind::Http) {
            Some(layer) => server.bind_tcp_with(address, layer)?,
            None => server.bind_tcp(address)?,
        };
        crate::metrics::add_server(metrics, "http", &bound.handle());
        let port = match bound.address() {
            Address::Tcp(address) | Address::Tls(address) => address.port().to_string(),
            other => other.to_string(),
        };
        announce("PORT", port.as_ref()).map_err(WorkerError::Announce)?;
        bound.run()?;
        Ok(())
    }

    /// Replays the requests of a capture to the server that the flags describe.
    #[cfg(feature = "record")]
    pub(crate) fn replay(
        self,
        flags: &Flags,
        service: Arc<Service>,
        capture: Capture,
    ) -> Result<Replayed, WorkerReplayError> {
        let player = Player::new(capture)?;
        let server = self.server(flags, service, Performer::none(), None, None, player.entropy());
        let server = server.map_err(WorkerReplayError::worker)?.clock(player.clock());
        let acceptor =
            server.acceptor(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).map_err(WorkerReplayError::worker)?;
        Ok(player.to_server(&acceptor)?)
    }

    /// Returns the server that the flags describe, with the application's changes.
    fn server(
        self,
        flags: &Flags,
        service: Arc<Service>,
        performer: Performer,
        log: Option<AccessLog>,
        metrics: Option<&Metrics>,
        entropy: impl Fn(&mut [u8]) + Send + Sync + 'static,
    ) -> Result<HttpServer, WorkerError> {
        let endpoint = endpoint(flags, service, log.is_some(), entropy)?;
        let endpoint = endpoint.operator_page(crate::metrics::page(&flags.metrics_flags, metrics));
        let endpoint = match self.endpoint {
            Some(change) => change(endpoint).map_err(WorkerError::EndpointSettings)?,
            None => endpoint,
        };
        let endpoint = endpoint.build().map_err(|error| match error {
            EndpointError::PageForNobody(path)
                if flags.metrics_flags.metrics_path.as_ref() == Some(&path) =>
            {
                WorkerError::MetricsForNobody
            }
            error => error.into(),
        })?;
        let (budget, proxies) = (flags.budget(), flags.connections.proxy_protocol());
        crate::metrics::add_budget(metrics, &budget);
        crate::metrics::add_proxies(metrics, proxies.as_ref());
        crate::metrics::add_sessions(metrics, &endpoint);
        let mut server = HttpServer::new(endpoint.clone())
            .budget(budget)
            .max_connections(flags.connections.max_connections)
            .allowed_hosts(flags.http_flags.allowed_hosts.clone().unwrap_or_default())
            .access_log(log)
            .effects(performer)
            .proxy_protocol(proxies)
            .on_start_failure(|error| {
                let _ = writeln!(std::io::stderr(), "the service could not be started: {}", OneLine(error));
            })
            .drain_timeout(flags.connections.drain_timeout)
            .end_on_signals(true);
        if let Some(threads) = flags.connections.threads() {
            server = server.threads(threads);
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = flags.tls()? {
            crate::metrics::add_tls(metrics, Some(&tls));
            server = server.tls(tls);
        }
        Ok(match self.server {
            Some(change) => change(server, &endpoint),
            None => server,
        })
    }
}

/// Returns the time since the Unix epoch.
#[cfg(feature = "record")]
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Returns the endpoint that the flags describe.
fn endpoint(
    flags: &Flags,
    service: Arc<Service>,
    record_calls: bool,
    entropy: impl Fn(&mut [u8]) + Send + Sync + 'static,
) -> Result<EndpointBuilder, WorkerError> {
    let http = &flags.http_flags;
    let endpoint = Endpoint::builder(service, entropy)
        .limits(flags.limits())
        .prefix(&http.prefix)
        .record_calls(record_calls)
        .max_request_bytes(http.max_request_bytes.map(NonZeroU64::get))
        .max_response_bytes(http.max_response_bytes())
        .max_externalized_response_bytes(http.max_externalized_response_bytes())
        .compress(!http.no_compression)
        .cors(http.cors());
    #[cfg(feature = "storage")]
    let endpoint = match flags.storage_flags.url() {
        Some(_) => endpoint.upload_urls(None),
        None => endpoint,
    };
    Ok(match token_keys::read(http.token_key_file.as_deref())? {
        Some(keys) => endpoint.token_keys(keys),
        None => endpoint,
    })
}
