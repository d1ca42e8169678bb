//! The command line. FIXTURES 2.2 lists the flags, of which those exist here that have an effect.

mod http;

use clap::{Parser, ValueEnum};
pub use http::{HttpOptions, ProofMode};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use vgi_rpc_protocol::access_log::DEFAULT_MAX_RECORD_BYTES;
use vgi_rpc_protocol::memory::Budget;

/// Hosts ConformanceService and conformance.Secondary.v1 for the conformance suite of vgi-rpc.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Options {
    /// Serve on stdin and stdout; the default
    #[arg(long, group = "on")]
    pipe: bool,

    /// Listen on an AF_UNIX socket; prints UNIX:PATH
    #[arg(long, value_name = "PATH", group = "on")]
    unix: Option<PathBuf>,

    /// Listen on a TCP socket, on 127.0.0.1 unless a host is given; prints TCP:HOST:PORT
    #[arg(long, value_name = "[HOST:]PORT", group = "on")]
    tcp: Option<String>,

    /// Serve HTTP; prints PORT:N
    #[arg(long, value_name = "PORT", num_args = 0..=1, group = "on")]
    http: Option<Option<u16>>,

    #[command(flatten)]
    http_options: HttpOptions,

    /// Serve connections at the same time; the default
    #[arg(long, overrides_with = "no_threaded")]
    threaded: bool,

    /// Serve one connection after another
    #[arg(long)]
    no_threaded: bool,

    /// Serve so many connections at a time, 0 for any number; the rest wait
    ///
    /// The reference's worker has no limit, and its command line one of 64. Connections need descriptors, of which a
    /// process commonly may have 1024.
    #[arg(long, value_name = "N", env = "VGI_RPC_MAX_CONNECTIONS", default_value_t = 1024)]
    max_connections: usize,

    /// End after so long without a connection, 0 for never
    #[arg(long, value_name = "SECONDS", env = "VGI_RPC_IDLE_TIMEOUT", default_value = "300", value_parser = seconds)]
    idle_timeout: Duration,

    /// Let clients make this process hold at most so much memory [default: a quarter of what it may use]
    #[arg(long, value_name = "BYTES", env = "VGI_RPC_MEMORY_BUDGET")]
    memory_budget: Option<NonZeroUsize>,

    /// Accepted and ignored: reflection is always hosted
    #[arg(long)]
    describe: bool,

    /// Name this instance in logs, errors and reflection [default: 12 random hex digits]
    #[arg(long, value_name = "ID")]
    server_id: Option<String>,

    /// Append a JSON line per call to this file
    #[arg(long, value_name = "PATH", env = "VGI_ACCESS_LOG")]
    access_log: Option<PathBuf>,

    /// Reduce a record of the access log that has more bytes than this to its required fields
    #[arg(
        long,
        value_name = "BYTES",
        env = "VGI_RPC_ACCESS_LOG_MAX_RECORD_BYTES",
        default_value_t = NonZeroUsize::new(DEFAULT_MAX_RECORD_BYTES).unwrap_or(NonZeroUsize::MIN)
    )]
    access_log_max_record_bytes: NonZeroUsize,

    /// Host a protocol that reports its calls' transport, and nothing else
    #[arg(long, conflicts_with = "hosted_order")]
    transport_kind_probe: bool,

    /// Host a protocol whose one stream method decides its kind for each call, and nothing else
    #[arg(long, conflicts_with_all = ["hosted_order", "transport_kind_probe"])]
    stream_kinds: bool,

    /// Fail the first start-up of the service, and succeed at the next
    #[arg(long)]
    fail_serve_start_once: bool,

    /// Which protocols to host, and in which order
    #[arg(long, value_enum, default_value_t = HostedOrder::Conformance)]
    hosted_order: HostedOrder,
}

/// Sets of protocols whose order of registration a client can tell from a sorted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HostedOrder {
    /// ConformanceService, conformance.Secondary.v1
    Conformance,
    /// zeta.Primary.v1, conformance.Secondary.v1, alpha.Extra.v1
    Reverse,
}

/// What the worker hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosted {
    /// The protocols of the conformance suite.
    Conformance(HostedOrder),
    /// The transport-kind probe.
    TransportKindProbe,
    /// One stream method that decides its kind for each call.
    StreamKinds,
}

/// What the worker serves on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport<'a> {
    /// Stdin and stdout.
    Pipe,
    /// An AF_UNIX socket of this path.
    Unix(&'a Path),
    /// A TCP socket of this address.
    Tcp(&'a str),
    /// HTTP on this port; 0 lets the system choose.
    Http(u16),
}

impl Options {
    /// What to serve on. `--pipe` says what goes without saying as long as no flag names another transport.
    pub fn transport(&self) -> Transport<'_> {
        match (&self.unix, &self.tcp, self.http) {
            (Some(path), ..) => Transport::Unix(path),
            (_, Some(address), _) => Transport::Tcp(address),
            (.., Some(port)) => Transport::Http(port.unwrap_or(self.http_options.port)),
            (None, None, None) => Transport::Pipe,
        }
    }

    /// What there is to say of HTTP.
    pub fn http(&self) -> &HttpOptions {
        &self.http_options
    }

    /// Whether the service's first start-up fails.
    pub fn fail_serve_start_once(&self) -> bool {
        self.fail_serve_start_once
    }

    /// Whether connections are served at the same time.
    pub fn threaded(&self) -> bool {
        !self.no_threaded
    }

    /// How many connections are served at a time, 0 for any number.
    pub fn max_connections(&self) -> usize {
        self.max_connections
    }

    /// How much memory clients may make this process hold.
    pub fn budget(&self) -> Budget {
        self.memory_budget.map_or_else(vgi_rpc_memory::default_budget, |bytes| Budget::new(bytes.get()))
    }

    /// How long to listen without a connection.
    pub fn idle_timeout(&self) -> Option<Duration> {
        (!self.idle_timeout.is_zero()).then_some(self.idle_timeout)
    }

    /// Where and how to log calls, if anywhere.
    pub fn access_log(&self) -> Option<vgi_rpc_access_log::Options> {
        let log = vgi_rpc_access_log::Options::new(self.access_log.as_deref()?);
        Some(log.max_record_bytes(self.access_log_max_record_bytes.get()))
    }

    /// What to host.
    pub fn hosted(&self) -> Hosted {
        if self.transport_kind_probe {
            Hosted::TransportKindProbe
        } else if self.stream_kinds {
            Hosted::StreamKinds
        } else {
            Hosted::Conformance(self.hosted_order)
        }
    }

    /// This instance's id: the one given, or one that differs from process to process.
    pub fn server_id(&self) -> String {
        self.server_id.clone().unwrap_or_else(|| {
            // The standard library seeds its hash maps from the system's generator.
            let bits = RandomState::new().build_hasher().finish();
            format!("{:012x}", bits >> 16)
        })
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("expected a number of seconds, got {text:?}"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::error::ErrorKind;

    fn parse(flags: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from([&["worker"], flags].concat())
    }

    #[test]
    fn stdio_and_the_conformance_protocols_are_the_default() {
        let options = parse(&[]).unwrap();
        assert_eq!(options.transport(), Transport::Pipe);
        assert_eq!(options.hosted(), Hosted::Conformance(HostedOrder::Conformance));
        assert!(parse(&["--pipe", "--describe"]).is_ok());
    }

    #[test]
    fn one_transport_can_be_chosen() {
        let unix = parse(&["--unix", "/tmp/x", "--no-threaded", "--idle-timeout", "600.0"]).unwrap();
        assert_eq!(unix.transport(), Transport::Unix(Path::new("/tmp/x")));
        assert_eq!((unix.threaded(), unix.idle_timeout()), (false, Some(Duration::from_secs(600))));
        let tcp = parse(&["--tcp", "127.0.0.1:0", "--threaded", "--idle-timeout", "0"]).unwrap();
        assert_eq!(tcp.transport(), Transport::Tcp("127.0.0.1:0"));
        assert_eq!((tcp.threaded(), tcp.idle_timeout()), (true, None));
        assert!(parse(&["--tcp", "0", "--unix", "x"]).is_err());
        assert!(parse(&["--idle-timeout", "-1"]).is_err());
    }

    #[test]
    fn the_server_id_is_given_or_random() {
        assert_eq!(parse(&["--server-id", "me"]).unwrap().server_id(), "me");
        let (one, other) = (parse(&[]).unwrap().server_id(), parse(&[]).unwrap().server_id());
        assert_ne!(one, other);
        assert!(one.len() == 12 && one.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one}");
    }

    #[test]
    fn the_memory_budget_is_given_or_a_part_of_what_there_is() {
        assert_eq!(parse(&["--memory-budget", "1000"]).unwrap().budget().limit(), 1000);
        assert_eq!(parse(&[]).unwrap().budget().limit() as u64, vgi_rpc_memory::available() / 4);
        assert!(parse(&["--memory-budget", "0"]).is_err());
    }

    #[test]
    fn records_of_the_access_log_are_bounded() {
        let limit = |flags: &[&str]| parse(flags).map(|options| options.access_log_max_record_bytes.get());
        assert_eq!(limit(&[]).unwrap(), 1_048_576);
        assert_eq!(limit(&["--access-log-max-record-bytes", "4096"]).unwrap(), 4096);
        assert!(limit(&["--access-log-max-record-bytes", "0"]).is_err());
        assert!(parse(&[]).unwrap().access_log().is_none());
        assert!(parse(&["--access-log", "x"]).unwrap().access_log().is_some());
    }

    #[test]
    fn what_is_hosted_can_be_chosen_once() {
        let reverse = parse(&["--hosted-order", "reverse"]).unwrap();
        assert_eq!(reverse.hosted(), Hosted::Conformance(HostedOrder::Reverse));
        assert_eq!(parse(&["--transport-kind-probe"]).unwrap().hosted(), Hosted::TransportKindProbe);
        assert!(parse(&["--transport-kind-probe", "--hosted-order", "reverse"]).is_err());
    }

    #[test]
    fn an_unknown_flag_is_an_error_with_code_2() {
        let error = parse(&["--no-such-flag"]).unwrap_err();
        assert_eq!((error.kind(), error.exit_code()), (ErrorKind::UnknownArgument, 2));
    }
}
