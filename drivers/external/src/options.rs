//! Settings of a fetcher.

use std::fmt;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_tls::ClientTls;

/// Resolves the name of a host to addresses. It may block, and is called on a thread that may.
pub type Lookup = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// How objects are fetched and stored, whatever their URL. The limits of one object come with its effect.
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpOptions {
    /// How long connecting may take: the look-up of the name, TCP to all of its addresses, and TLS. Default 10 s.
    pub connect_timeout: Duration,
    /// How long a server may send nothing, or take nothing, once it is connected. Default 30 s.
    pub read_timeout: Duration,
    /// How often a transfer is tried again that may do better then. Default 2, as in the canonical implementation.
    pub retries: u32,
    /// How long to wait before that. Default 0.5 s, as in the canonical implementation.
    pub retry_delay: Duration,
    /// Objects of at least so many bytes are read in several ranges at a time, if their server can do that. Default 64 MiB;
    /// `None` never does.
    pub ranges_from: Option<u64>,
    /// Bytes of a range. Default 8 MiB.
    pub range_bytes: u64,
    /// Most ranges that are requested at a time. Default 4. Each holds at most 2 MiB while it waits for its turn.
    pub parallel_ranges: usize,
    /// Most connections that are kept without a request, for 30 s at most. Default 16.
    pub idle_connections: usize,
    /// Whom to trust. Default: the web's authorities.
    pub tls: Option<ClientTls>,
    /// Resolves names. Default: as the system does.
    pub lookup: Arc<Lookup>,
}

impl Default for HttpOptions {
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

impl fmt::Debug for HttpOptions {
    /// Leaves the look-up out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
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
