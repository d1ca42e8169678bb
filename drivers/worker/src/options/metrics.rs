//! The flags of metrics.

use super::values::tcp_address;
use clap::Args;

/// Where metrics are served, if anywhere.
#[derive(Clone, Debug, Args)]
#[group(skip)]
#[command(next_help_heading = "Metrics")]
pub(crate) struct MetricsFlags {
    /// Serve metrics for Prometheus at http://HOST:PORT/metrics, to everyone who can connect
    ///
    /// The default host is 127.0.0.1. A line on stderr shows the address.
    #[arg(long, value_name = "[HOST:]PORT", env = "VGI_RPC_METRICS", value_parser = tcp_address)]
    pub(crate) metrics: Option<String>,

    /// Serve metrics at this path of HTTP as well, for example /metrics, to authenticated callers
    ///
    /// Without authentication the worker does not start unless --metrics-open is given too.
    #[arg(long, value_name = "PATH")]
    pub(crate) metrics_path: Option<String>,

    /// Serve metrics at the path of --metrics-path to everyone
    #[arg(long, requires = "metrics_path")]
    pub(crate) metrics_open: bool,
}

impl MetricsFlags {
    /// Whether metrics are enabled.
    pub(crate) fn is_on(&self) -> bool {
        self.metrics.is_some() || self.metrics_path.is_some()
    }
}
