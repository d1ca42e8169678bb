//! Settings of a fetcher.

use std::fmt;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_tls::ClientTls;

/// Resolves the name of a host to addresses. It may block; it is called on a thread for blocking work.
pub type Lookup = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Settings for fetching and storing objects. The limits of a single object are in its effect.
#[derive(Clone)]
#[non_exhaustive]
pub struct FetcherOptions {
    /// The time limit for connecting: the look-up of the name, TCP to all of its addresses, and TLS. Default 10 s.
    pub connect_timeout: Duration,
    /// How long a connected server may neither send nor accept bytes. Default 30 s.
    pub read_timeout: Duration,
    /// How often a failed transfer is retried, if that may help. Default 2, as in the canonical implementation.
    pub retries: u32,
    /// How long to wait before a retry. Default 0.5 s, as in the canonical implementation.
    pub retry_delay: Duration,
    /// Objects of at least this many bytes are read in several ranges at a time, if their server supports this. Default 64 MiB;
    /// `None` disables ranges.
    pub ranges_from: Option<u64>,
    /// The size of a range in bytes. Default 8 MiB.
    pub range_bytes: u64,
    /// The maximum number of ranges that are requested at a time. Default 4. Each buffers at most 2 MiB while it waits for its
    /// turn.
    pub parallel_ranges: usize,
    /// The maximum number of idle connections. They are kept for at most 30 s. Default 16.
    pub idle_connections: usize,
    /// The trusted certificates. Default: the authorities of the web.
    pub tls: Option<ClientTls>,
    /// Resolves names. Default: the system's resolver.
    pub lookup: Arc<Lookup>,
}

impl Default for FetcherOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            retries: 2,
            retry_delay: Duration::from_millis(500),
            ranges_from: Some(64 << 20),
            range_bytes: 8 << 20,
            parallel_ranges: 4,
            idle_connections: 16,
            tls: None,
            lookup: Arc::new(system_lookup),
        }
    }
}

fn system_lookup(host: &str) -> io::Result<Vec<IpAddr>> {
    Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
}

impl fmt::Debug for FetcherOptions {
    /// Omits the look-up.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetcherOptions")
            .field("connect_timeout", &self.connect_timeout)
            .field("read_timeout", &self.read_timeout)
            .field("retries", &self.retries)
            .field("retry_delay", &self.retry_delay)
            .field("ranges_from", &self.ranges_from)
            .field("range_bytes", &self.range_bytes)
            .field("parallel_ranges", &self.parallel_ranges)
            .field("idle_connections", &self.idle_connections)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
