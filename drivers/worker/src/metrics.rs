//! Counts what the worker does, and serves the metrics.

use crate::error::WorkerError;
use crate::options::MetricsFlags;
use std::io::Write;
use std::thread;
use tracing::error;
use vgi_rpc_effects::Performer;
use vgi_rpc_http::{Handle, PageServer};
use vgi_rpc_metrics::{CONTENT_TYPE, Metrics};
use vgi_rpc_protocol::OneLine;
use vgi_rpc_protocol::http::{Endpoint, OperatorPage};
use vgi_rpc_protocol::memory::Budget;
use vgi_rpc_proxy_protocol::ProxyProtocol;
use vgi_rpc_stdio::ShmServer;

/// The path of the page on an address of its own.
const PATH: &str = "/metrics";

/// The server of the page, which ends when this is dropped.
pub(crate) struct PageHandle(Handle);

impl Drop for PageHandle {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Serves the page on an address of its own, if the flags request it.
pub(crate) fn serve(flags: &MetricsFlags, metrics: &Metrics) -> Result<Option<PageHandle>, WorkerError> {
    let Some(address) = &flags.metrics else { return Ok(None) };
    let metrics = metrics.clone();
    let server = PageServer::new(PATH, CONTENT_TYPE, move || metrics.snapshot().prometheus());
    let bound = server.bind_tcp(address).map_err(WorkerError::Metrics)?;
    // Stdout belongs to the protocol, and a closed stderr must not end the process.
    let _ = writeln!(std::io::stderr(), "metrics are at {}{PATH}", bound.address());
    let handle = PageHandle(bound.handle());
    thread::Builder::new()
        .name("metrics".into())
        .spawn(move || {
            if let Err(error) = bound.run() {
                error!(target: "vgi_rpc_worker", error = %OneLine(error), "metrics are no longer served");
            }
        })
        .map_err(|error| WorkerError::Metrics(error.into()))?;
    Ok(Some(handle))
}

/// Returns the page of the endpoint, if the flags request it.
pub(crate) fn page(flags: &MetricsFlags, metrics: Option<&Metrics>) -> Option<OperatorPage> {
    let metrics = metrics?.clone();
    let path = flags.metrics_path.as_ref()?;
    let page = OperatorPage::new(path, CONTENT_TYPE, move || metrics.snapshot().prometheus());
    Some(if flags.metrics_open { page.open() } else { page })
}

pub(crate) fn add_budget(metrics: Option<&Metrics>, budget: &Budget) {
    if let Some(metrics) = metrics {
        metrics.budget("clients", budget.clone());
    }
}

/// Adds the segments of a server with shared memory.
pub(crate) fn add_shared_memory(metrics: Option<&Metrics>, user: &str, shared: Option<&ShmServer>) {
    if let (Some(metrics), Some(shared)) = (metrics, shared) {
        metrics.shared_memory(user, shared.counters());
    }
}

pub(crate) fn add_effects(metrics: Option<&Metrics>, performer: &Performer) {
    if let Some(metrics) = metrics {
        metrics.effects("calls", performer);
    }
}

pub(crate) fn add_server(metrics: Option<&Metrics>, name: &str, handle: &Handle) {
    if let Some(metrics) = metrics {
        metrics.server(name, handle.watch());
    }
}

pub(crate) fn add_proxies(metrics: Option<&Metrics>, proxies: Option<&ProxyProtocol>) {
    if let (Some(metrics), Some(proxies)) = (metrics, proxies) {
        let proxies = proxies.clone();
        metrics.refusals("proxy_header", move || proxies.refusals());
    }
}

#[cfg(feature = "tls")]
pub(crate) fn add_tls(metrics: Option<&Metrics>, tls: Option<&vgi_rpc_tls::ServerTls>) {
    if let (Some(metrics), Some(tls)) = (metrics, tls) {
        let tls = tls.clone();
        metrics.refusals("tls_handshake", move || tls.failed_handshakes());
    }
}

/// Counts the sticky sessions of an endpoint for as long as it exists.
pub(crate) fn add_sessions(metrics: Option<&Metrics>, endpoint: &std::sync::Arc<Endpoint>) {
    if let Some(metrics) = metrics {
        // The endpoint may own the page that shows this.
        let endpoint = std::sync::Arc::downgrade(endpoint);
        metrics.sessions(move || endpoint.upgrade().map_or(0, |endpoint| endpoint.session_count()));
    }
}
