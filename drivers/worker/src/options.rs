//! The flags of every worker, and their settings.

mod access_log;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
mod metrics;
mod numbers;
#[cfg(feature = "record")]
mod record;
#[cfg(feature = "storage")]
mod storage;
#[cfg(feature = "tls")]
mod tls;
#[cfg(any(feature = "unix", feature = "http"))]
mod values;

pub(crate) use access_log::AccessLogFlags;
use clap::builder::NonEmptyStringValueParser;
use clap::{ArgAction, Args};
#[cfg(feature = "http")]
pub(crate) use http::HttpFlags;
#[cfg(feature = "http")]
pub(crate) use metrics::MetricsFlags;
#[cfg(feature = "record")]
pub(crate) use record::RecordFlags;
use std::num::NonZeroUsize;
#[cfg(all(feature = "unix", unix))]
use std::path::PathBuf;
#[cfg(any(feature = "unix", feature = "http"))]
use std::time::Duration;
#[cfg(feature = "storage")]
pub(crate) use storage::{StorageFlags, StorageValue};
#[cfg(feature = "tls")]
pub(crate) use tls::TlsFlags;
#[cfg(feature = "unix")]
use values::tcp_address;
#[cfg(any(feature = "unix", feature = "http"))]
use values::{proxies, seconds};
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::memory::Budget;
#[cfg(any(feature = "unix", feature = "http"))]
use vgi_rpc_proxy_protocol::ProxyProtocol;
use vgi_rpc_stdio::ShmServer;

// Not a doc comment, because clap would show it as the program's description. Each flag of a transport is in the group
// `vgi_rpc_transport`, so that at most one is given.
#[derive(Clone, Debug, Args)]
#[group(skip)]
pub(crate) struct Flags {
    /// Serve on stdin and stdout; the default
    #[arg(long, group = "vgi_rpc_transport")]
    pipe: bool,

    /// Listen on an AF_UNIX socket; prints UNIX:PATH
    #[cfg(all(feature = "unix", unix))]
    #[arg(long, value_name = "PATH", group = "vgi_rpc_transport")]
    unix: Option<PathBuf>,

    /// Listen on a TCP socket, on 127.0.0.1 unless a host is given; prints TCP:HOST:PORT
    ///
    /// This transport has neither encryption nor authentication without TLS. For port 0 the system chooses a port.
    #[cfg(feature = "unix")]
    #[arg(long, value_name = "[HOST:]PORT", group = "vgi_rpc_transport", value_parser = tcp_address)]
    tcp: Option<String>,

    /// Serve HTTP; prints PORT:N
    #[cfg(feature = "http")]
    #[arg(long, value_name = "PORT", num_args = 0..=1, group = "vgi_rpc_transport", value_parser = numbers::port)]
    http: Option<Option<u16>>,

    /// Name this instance in logs, errors and reflection [default: 12 random hex digits]
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) server_id: Option<String>,

    /// The id of this instance if `--server-id` is not given.
    #[arg(skip = crate::server_id::generate())]
    pub(crate) generated_id: String,

    /// Host the reflection protocol; the default
    #[arg(long, overrides_with = "no_describe")]
    describe: bool,

    /// Do not host the reflection protocol
    #[arg(long = "no-describe", id = "no_describe", action = ArgAction::SetFalse, overrides_with = "describe")]
    pub(crate) reflection: bool,

    /// Do not let clients share memory, on pipes and unix sockets
    #[arg(long = "no-shared-memory", id = "no_shared_memory", action = ArgAction::SetFalse)]
    pub(crate) shared_memory: bool,

    /// Send outputs of at least this size through the memory that a client shares [default: the variable
    /// VGI_RPC_SHM_MIN_BATCH_BYTES, or 131072]
    #[arg(long, value_name = "BYTES", value_parser = numbers::bytes)]
    shm_min_batch_bytes: Option<u64>,

    /// Limit the memory that clients can make this process hold [default: a quarter of the available memory]
    #[arg(long, value_name = "BYTES", env = "VGI_RPC_MEMORY_BUDGET", value_parser = numbers::positive_bytes::<NonZeroUsize>)]
    memory_budget: Option<NonZeroUsize>,

    /// Refuse record batches that are larger than this after decompression
    #[arg(
        long,
        value_name = "BYTES",
        env = "VGI_RPC_MAX_MESSAGE_BYTES",
        value_parser = numbers::nonzero_bytes,
        default_value_t = Limits::default().max_body_bytes
    )]
    max_message_bytes: u64,

    #[cfg(any(feature = "unix", feature = "http"))]
    #[command(flatten)]
    pub(crate) connections: ConnectionFlags,

    #[cfg(feature = "unix")]
    #[command(flatten)]
    pub(crate) sockets: SocketFlags,

    #[cfg(feature = "tls")]
    #[command(flatten)]
    pub(crate) tls_flags: TlsFlags,

    #[cfg(feature = "http")]
    #[command(flatten)]
    pub(crate) http_flags: HttpFlags,

    #[cfg(feature = "storage")]
    #[command(flatten)]
    pub(crate) storage_flags: StorageFlags,

    #[cfg(feature = "http")]
    #[command(flatten)]
    pub(crate) metrics_flags: MetricsFlags,

    #[command(flatten)]
    pub(crate) access_log: AccessLogFlags,

    /// Write what happens to the server to stderr, up to this level: error, warn, info, debug or trace [default: nothing]
    #[arg(long, value_name = "LEVEL", env = "VGI_RPC_LOG_LEVEL", ignore_case = true, value_parser = log_level)]
    pub(crate) log_level: Option<tracing::Level>,

    #[cfg(feature = "record")]
    #[command(flatten)]
    pub(crate) record: RecordFlags,
}

fn log_level(text: &str) -> Result<tracing::Level, String> {
    text.parse().map_err(|_| "expected error, warn, info, debug or trace".to_owned())
}

/// The limits of clients and threads. Pipes have one of each.
#[cfg(any(feature = "unix", feature = "http"))]
#[derive(Clone, Debug, Args)]
#[group(skip)]
#[command(next_help_heading = "Unix and TCP sockets, and HTTP")]
pub(crate) struct ConnectionFlags {
    /// Limit the number of connections served at a time, 0 for no limit; further clients wait
    ///
    /// Each connection needs a descriptor, and processes are commonly limited to 1024.
    #[arg(long, value_name = "N", env = "VGI_RPC_MAX_CONNECTIONS", default_value_t = 1024, value_parser = numbers::count::<usize>)]
    pub(crate) max_connections: usize,

    /// Limit the number of threads that run handlers [default: 1024 on sockets, 64 for HTTP]
    #[arg(long, value_name = "N", env = "VGI_RPC_THREADS", value_parser = numbers::positive_count::<NonZeroUsize>)]
    threads: Option<NonZeroUsize>,

    /// Give calls and open streams this long to end after SIGTERM or SIGINT, 0 to end at once; a second signal ends at once
    #[arg(long, value_name = "SECONDS", env = "VGI_RPC_DRAIN_TIMEOUT", default_value = "5", value_parser = seconds)]
    pub(crate) drain_timeout: Duration,

    /// Require every connection to come from a proxy with one of these IP addresses, and to begin with its PROXY protocol
    /// header of version 2, which names the client
    ///
    /// With --tcp and --http. All other connections are closed. Only the proxies must be able to connect from these addresses:
    /// any other peer there could pretend to be any client.
    #[arg(long, value_name = "ADDRESS,...", value_parser = proxies)]
    proxy_protocol: Option<ProxyProtocol>,
}

/// The flags of unix and TCP sockets only.
#[cfg(feature = "unix")]
#[derive(Clone, Debug, Args)]
#[group(skip)]
#[command(next_help_heading = "Unix and TCP sockets")]
pub(crate) struct SocketFlags {
    /// Serve connections concurrently; the default
    #[arg(long, overrides_with = "no_threaded")]
    threaded: bool,

    /// Serve one connection after another
    #[arg(long = "no-threaded", id = "no_threaded", action = ArgAction::SetFalse, overrides_with = "threaded")]
    pub(crate) concurrent: bool,

    /// Exit after this long without a connection, 0 to never exit
    ///
    /// The first client has at least a minute to connect.
    #[arg(long, value_name = "SECONDS", env = "VGI_RPC_IDLE_TIMEOUT", default_value = "300", value_parser = seconds)]
    idle_timeout: Duration,
}

/// The transport of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Stdin and stdout.
    Pipe,
    /// An AF_UNIX socket with this path.
    #[cfg(all(feature = "unix", unix))]
    Unix(PathBuf),
    /// A TCP socket with this address.
    #[cfg(feature = "unix")]
    Tcp(String),
    /// HTTP on a TCP socket with this address.
    #[cfg(feature = "http")]
    Http(String),
}

impl Flags {
    /// Returns the transport. `--pipe` is not checked: it excludes the flags of other transports, and is the default.
    pub(crate) fn transport(&self) -> Transport {
        #[cfg(all(feature = "unix", unix))]
        if let Some(path) = &self.unix {
            return Transport::Unix(path.clone());
        }
        #[cfg(feature = "unix")]
        if let Some(address) = &self.tcp {
            return Transport::Tcp(address.clone());
        }
        #[cfg(feature = "http")]
        if let Some(port) = self.http {
            return Transport::Http(self.http_flags.address(port));
        }
        Transport::Pipe
    }

    /// Returns the id of this instance.
    pub(crate) fn server_id(&self) -> &str {
        self.server_id.as_deref().unwrap_or(&self.generated_id)
    }

    /// Returns the TLS settings, which are reloaded on SIGHUP; `None` if TLS is not served.
    #[cfg(feature = "tls")]
    pub(crate) fn tls(&self) -> Result<Option<vgi_rpc_tls::ServerTls>, crate::WorkerError> {
        let tls = match self.transport() {
            Transport::Tcp(_) => self.tls_flags.load()?,
            #[cfg(feature = "http")]
            Transport::Http(_) => self.tls_flags.load()?,
            _ => None,
        };
        if let Some(tls) = &tls {
            crate::reload::reload_on_hangup(tls.clone()).map_err(crate::WorkerError::Reload)?;
        }
        Ok(tls)
    }

    /// Returns how clients share memory, if they may.
    pub(crate) fn shared_memory_of(&self, shared_memory: ShmServer) -> Option<ShmServer> {
        let shared_memory = match self.shm_min_batch_bytes {
            Some(bytes) => shared_memory.min_batch_bytes(bytes),
            None => shared_memory,
        };
        self.shared_memory.then_some(shared_memory)
    }

    /// Returns how much memory clients may use in this process.
    pub(crate) fn budget(&self) -> Budget {
        self.memory_budget.map_or_else(vgi_rpc_memory::default_budget, |bytes| Budget::new(bytes.get()))
    }

    /// Returns the limits of what a connection accepts.
    pub(crate) fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        limits.max_body_bytes = self.max_message_bytes;
        limits
    }
}

#[cfg(any(feature = "unix", feature = "http"))]
impl ConnectionFlags {
    /// Returns the number of threads that run handlers, if the command line sets it.
    pub(crate) fn threads(&self) -> Option<usize> {
        self.threads.map(NonZeroUsize::get)
    }

    /// Returns the proxies that connections must come through, if the command line sets them. Refused connections are reported
    /// on stderr.
    pub(crate) fn proxy_protocol(&self) -> Option<ProxyProtocol> {
        let report = crate::refused::Report::default();
        self.proxy_protocol.clone().map(|setting| setting.on_refusal(move |refusal| report.refused(refusal)))
    }
}

#[cfg(feature = "unix")]
impl SocketFlags {
    /// Returns how long to listen without a connection.
    pub(crate) fn idle_timeout(&self) -> Option<Duration> {
        (!self.idle_timeout.is_zero()).then_some(self.idle_timeout)
    }
}
