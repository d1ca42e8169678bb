//! Parses the flags, and refuses invalid combinations.

use crate::error::WorkerError;
use crate::options::{AccessLogFlags, Flags};
#[cfg(feature = "http")]
use crate::options::{HttpFlags, MetricsFlags, Transport};
#[cfg(feature = "storage")]
use crate::options::{StorageFlags, StorageValue};
#[cfg(feature = "storage")]
use crate::storage::Effects;
use crate::worker::Worker;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches};
#[cfg(feature = "http")]
use std::num::NonZeroU64;
use std::sync::Arc;
#[cfg(feature = "storage")]
use vgi_rpc_effects::Performer;
#[cfg(feature = "storage")]
use vgi_rpc_external::{ObjectStorage, StorageEffects};
#[cfg(feature = "http")]
use vgi_rpc_metrics::Metrics;
use vgi_rpc_protocol::external::Externalisation;
#[cfg(feature = "storage")]
use vgi_rpc_protocol::external::FetchOptions;
#[cfg(feature = "http")]
use vgi_rpc_protocol::identity::{Identity, grants::GrantKeys};
use vgi_rpc_protocol::service::{Service, ServiceBuilder};

/// The flags of every worker: a [`clap::Args`], to flatten into a parser.
///
/// Flags of HTTP are refused if HTTP is not served, since they would have no effect; environment variables are not, because
/// they may be set for many workers.
///
/// ```
/// use clap::Parser;
/// use vgi_rpc_protocol::service::Protocol;
/// use vgi_rpc_worker::WorkerOptions;
///
/// #[derive(Parser)]
/// struct Options {
///     #[command(flatten)]
///     worker: WorkerOptions,
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let options = Options::try_parse_from(["my-worker", "--tcp", "9000"])?;
/// assert_eq!(options.worker.server_id().len(), 12, "generated, since there is no --server-id");
/// let service = options.worker.service().protocol(Protocol::new("demo.Deep.v1")).build()?;
/// assert_eq!(&**service.server_id(), options.worker.server_id());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    flags: Flags,
    #[cfg(feature = "storage")]
    storage: Option<Effects>,
    /// The metrics, if enabled.
    #[cfg(feature = "http")]
    metrics: Option<Metrics>,
    /// The grant keys from the environment.
    #[cfg(feature = "http")]
    grant_keys: Option<GrantKeys>,
}

impl WorkerOptions {
    /// Returns the id of this instance: that of `--server-id`, or else 12 random hexadecimal digits, generated when the command
    /// line was parsed.
    pub fn server_id(&self) -> &str {
        self.flags.server_id()
    }

    /// Creates a builder for a service with this instance's id, which hosts reflection unless `--no-describe` was given. With
    /// `--storage` it stores large outputs there, and fetches what clients have stored. If HTTP is served and the environment
    /// has grant keys, it [hosts](Identity::host) an identity that seals grants.
    pub fn service(&self) -> ServiceBuilder {
        let service = Service::builder(self.server_id()).reflection(self.flags.reflection);
        #[cfg(feature = "storage")]
        let service = match &self.storage {
            Some(effects) => {
                let options =
                    FetchOptions { policy: effects.storage.fetch_policy(), ..FetchOptions::default() };
                service.externalise(self.externalisation()).fetch_external(options)
            }
            None => service,
        };
        #[cfg(feature = "http")]
        let service = match &self.metrics {
            Some(metrics) => service.hook(metrics.hook()),
            None => service,
        };
        #[cfg(feature = "http")]
        if let (Some(keys), Transport::Http(_)) = (&self.grant_keys, self.flags.transport()) {
            // Only a resolver could cause an error.
            let identity =
                Identity::builder().sealed_grants(keys.clone(), vgi_rpc_http::system_entropy).build();
            if let Ok(identity) = identity {
                return identity.host(service);
            }
        }
        service
    }

    /// Returns the performer of effects for the store of `--storage`. [`worker`](Self::worker) uses it unless
    /// [`Worker::effects`] replaces it: an application with effects of its own delegates those of storage to this.
    #[cfg(feature = "storage")]
    pub fn storage(&self) -> Option<StorageEffects<Arc<dyn ObjectStorage>>> {
        self.storage.clone()
    }

    /// Returns the metrics, if `--metrics` or `--metrics-path` is given: a hook of the [service](Self::service) counts calls,
    /// and the [worker](Self::worker) the rest. An application may add counters of its own refusals.
    #[cfg(feature = "http")]
    pub fn metrics(&self) -> Option<&Metrics> {
        self.metrics.as_ref()
    }

    /// Returns how outputs are externalised: as the storage flags say, and within the limit of
    /// `--max-externalized-response-bytes`; otherwise the default. For [`ServiceBuilder::externalise`].
    pub fn externalisation(&self) -> Externalisation {
        #[cfg(feature = "storage")]
        let settings = self.flags.storage_flags.externalisation();
        #[cfg(not(feature = "storage"))]
        let settings = Externalisation::default();
        #[cfg(feature = "http")]
        let settings = Externalisation {
            max_externalized_response_bytes: self.flags.http_flags.max_externalized_response_bytes(),
            ..settings
        };
        settings
    }

    /// Returns the limit of HTTP request bodies in bytes, if the command line or the environment sets it.
    #[cfg(feature = "http")]
    pub fn max_request_bytes(&self) -> Option<u64> {
        self.flags.http_flags.max_request_bytes.map(NonZeroU64::get)
    }

    /// Serves until the client closes the connection (on pipes), or until `--idle-timeout`, SIGTERM or SIGINT.
    ///
    /// # Errors
    /// See [`Worker::serve`].
    pub fn serve(self, service: impl Into<Arc<Service>>) -> Result<(), WorkerError> {
        self.worker(service).serve()
    }

    /// Creates a worker that serves as the flags say. It has further settings without a flag.
    pub fn worker(self, service: impl Into<Arc<Service>>) -> Worker {
        let worker = Worker::new(self.flags, service.into());
        #[cfg(feature = "http")]
        let worker = worker.metrics(self.metrics);
        #[cfg(feature = "storage")]
        if let Some(effects) = self.storage {
            return worker.effects(Performer::new(effects));
        }
        worker
    }
}

impl Args for WorkerOptions {
    fn augment_args(command: Command) -> Command {
        Flags::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args_for_update(command)
    }
}

impl FromArgMatches for WorkerOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Self::from_arg_matches_mut(&mut matches.clone())
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        check(matches)?;
        #[cfg(any(feature = "unix", feature = "http"))]
        check_proxies(matches)?;
        #[cfg(feature = "storage")]
        check_storage(matches)?;
        #[cfg(feature = "tls")]
        check_tls(matches)?;
        #[cfg(not(feature = "tls"))]
        check_no_tls(matches, |name| std::env::var_os(name).is_some())?;
        if !AccessLogFlags::is_log_named(matches) {
            refuse_given::<AccessLogFlags>(matches, "'--access-log'")?;
        }
        let flags = Flags::from_arg_matches_mut(matches)?;
        flags.access_log.check()?;
        Ok(Self {
            #[cfg(feature = "http")]
            metrics: flags.metrics_flags.is_on().then(Metrics::new),
            #[cfg(feature = "storage")]
            storage: open_storage(&flags)?,
            flags,
            #[cfg(feature = "http")]
            grant_keys: crate::grant_keys::read()
                .map_err(|error| Error::raw(ErrorKind::ValueValidation, error.to_string()))?,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.update_from_arg_matches_mut(&mut matches.clone())
    }

    fn update_from_arg_matches_mut(&mut self, matches: &mut ArgMatches) -> Result<(), Error> {
        // Not checked: the transport may have been given before.
        self.flags.update_from_arg_matches_mut(matches)?;
        #[cfg(feature = "storage")]
        {
            self.storage = open_storage(&self.flags)?;
        }
        Ok(())
    }
}

/// Refuses flags that have no effect with the others. The flags themselves declare which transports exclude each other.
#[cfg(feature = "http")]
fn check(matches: &ArgMatches) -> Result<(), Error> {
    let is_given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let refuse = |message: String| Err(Error::raw(ErrorKind::ArgumentConflict, message));
    if is_given("http") {
        return match matches.get_one::<u16>("http") {
            Some(_) if is_given("port") => {
                refuse("the port of '--http' cannot be given by '--port' as well".into())
            }
            _ => Ok(()),
        };
    }
    let flags = HttpFlags::augment_args(Command::new("http"));
    let metrics = MetricsFlags::augment_args(Command::new("metrics"));
    let metrics = metrics.get_arguments().filter(|flag| flag.get_id() != "metrics");
    match flags.get_arguments().chain(metrics).find(|flag| is_given(flag.get_id().as_str())) {
        Some(flag) => refuse(format!(
            "the argument '--{}' cannot be used without '--http'",
            flag.get_long().unwrap_or_default()
        )),
        None => Ok(()),
    }
}

#[cfg(not(feature = "http"))]
fn check(_: &ArgMatches) -> Result<(), Error> {
    Ok(())
}

/// Refuses trusted proxies on transports without addresses.
#[cfg(any(feature = "unix", feature = "http"))]
fn check_proxies(matches: &ArgMatches) -> Result<(), Error> {
    let is_given = |id: &str| {
        matches.try_contains_id(id).is_ok() && matches.value_source(id) == Some(ValueSource::CommandLine)
    };
    if !is_given("proxy_protocol") || is_given("tcp") || is_given("http") {
        return Ok(());
    }
    let message = "the argument '--proxy-protocol' cannot be used without '--tcp' or '--http'";
    Err(Error::raw(ErrorKind::ArgumentConflict, message))
}

/// Opens the store that the flags name.
#[cfg(feature = "storage")]
fn open_storage(flags: &Flags) -> Result<Option<Effects>, Error> {
    flags.storage_flags.effects().map_err(|error| {
        Error::raw(ErrorKind::ValueValidation, format!("invalid value for '--storage': {error}"))
    })
}

/// Refuses flags of this group on the command line if what they need is missing.
fn refuse_given<F: Args>(matches: &ArgMatches, needed: &str) -> Result<(), Error> {
    let flags = F::augment_args(Command::new("flags"));
    let is_given = |id: &str| {
        matches!(matches.try_contains_id(id), Ok(true))
            && matches.value_source(id) == Some(ValueSource::CommandLine)
    };
    match flags.get_arguments().find(|flag| is_given(flag.get_id().as_str())) {
        Some(flag) => {
            let name = flag.get_long().unwrap_or_default();
            let message = format!("the argument '--{name}' cannot be used without {needed}");
            Err(Error::raw(ErrorKind::ArgumentConflict, message))
        }
        None => Ok(()),
    }
}

/// Refuses storage flags without a store.
#[cfg(feature = "storage")]
fn check_storage(matches: &ArgMatches) -> Result<(), Error> {
    match matches.get_one::<StorageValue>("storage").is_some_and(|value| value.url().is_some()) {
        true => Ok(()),
        false => refuse_given::<StorageFlags>(matches, "'--storage'"),
    }
}

/// Refuses TLS flags on transports that cannot use TLS.
#[cfg(feature = "tls")]
fn check_tls(matches: &ArgMatches) -> Result<(), Error> {
    let is_given = |id: &str| {
        matches!(matches.try_contains_id(id), Ok(true))
            && matches.value_source(id) == Some(ValueSource::CommandLine)
    };
    if is_given("tcp") || is_given("http") {
        return Ok(());
    }
    refuse_given::<crate::options::TlsFlags>(matches, "'--tcp' or '--http'")
}

/// Refuses to serve without TLS if the environment requests it and the worker was built without it.
#[cfg(any(test, not(feature = "tls")))]
fn check_no_tls(matches: &ArgMatches, is_set: impl Fn(&str) -> bool) -> Result<(), Error> {
    let is_given = |id: &str| matches!(matches.try_contains_id(id), Ok(true));
    if !is_given("tcp") && !is_given("http") {
        return Ok(());
    }
    match ["VGI_RPC_TLS_CERT", "VGI_RPC_TLS_KEY", "VGI_RPC_TLS_CLIENT_CA"]
        .into_iter()
        .find(|name| is_set(name))
    {
        Some(name) => {
            let message = format!(
                "the environment variable '{name}' is set, but this worker was built without the feature 'tls'"
            );
            Err(Error::raw(ErrorKind::ValueValidation, message))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(not(feature = "http"))]
    use crate::options::Transport;
    use clap::Parser;
    use vgi_rpc_protocol::service::Protocol;

    #[derive(Debug, Parser)]
    struct CommandLine {
        #[command(flatten)]
        worker: WorkerOptions,
    }

    fn parse(flags: &[&str]) -> Result<WorkerOptions, Error> {
        CommandLine::try_parse_from([&["worker"], flags].concat()).map(|line| line.worker)
    }

    fn transport(flags: &[&str]) -> Transport {
        parse(flags).unwrap().flags.transport()
    }

    #[test]
    fn stdin_and_stdout_are_the_default() {
        assert_eq!(transport(&[]), Transport::Pipe);
        assert_eq!(transport(&["--pipe", "--describe"]), Transport::Pipe);
    }

    #[cfg(feature = "unix")]
    #[test]
    fn sockets_have_an_address_and_a_time_without_clients() {
        use std::time::Duration;
        #[cfg(unix)]
        assert_eq!(transport(&["--unix", "/tmp/x"]), Transport::Unix("/tmp/x".into()));
        for (given, address) in [
            ("80", "127.0.0.1:80"),
            (":80", "127.0.0.1:80"),
            ("example.org:80", "example.org:80"),
            ("[::1]:80", "[::1]:80"),
            ("::1:80", "[::1]:80"),
        ] {
            assert_eq!(transport(&["--tcp", given]), Transport::Tcp(address.into()), "{given}");
        }
        let sockets = |flags: &[&str]| parse(flags).unwrap().flags.sockets;
        assert_eq!(
            sockets(&["--idle-timeout", "600.5"]).idle_timeout(),
            Some(Duration::from_millis(600_500))
        );
        assert_eq!(sockets(&["--idle-timeout", "0"]).idle_timeout(), None);
        assert_eq!(sockets(&[]).idle_timeout(), Some(Duration::from_secs(300)));
        // The last one wins.
        assert!(sockets(&[]).concurrent && sockets(&["--no-threaded", "--threaded"]).concurrent);
        assert!(
            !sockets(&["--no-threaded"]).concurrent && !sockets(&["--threaded", "--no-threaded"]).concurrent
        );
    }

    #[cfg(feature = "http")]
    #[test]
    fn http_has_a_host_and_a_port() {
        for (flags, address) in [
            (&["--http"][..], "127.0.0.1:0"),
            (&["--http", "80"], "127.0.0.1:80"),
            (&["--http", "--port", "80", "--host", "example.org"], "example.org:80"),
            (&["--http", "80", "--host", "::"], "[::]:80"),
            (&["--http", "80", "--host", "[::1]"], "[::1]:80"),
        ] {
            assert_eq!(transport(flags), Transport::Http(address.into()), "{flags:?}");
        }
    }

    #[test]
    fn the_server_id_is_given_or_random() {
        let me = parse(&["--server-id", "me"]).unwrap();
        assert_eq!(me.server_id(), "me");
        let service = me.service().protocol(Protocol::new("demo.Empty.v1")).build().unwrap();
        assert_eq!(&**service.server_id(), "me");
        let (one, other) = (parse(&[]).unwrap(), parse(&[]).unwrap());
        assert_ne!(one.server_id(), other.server_id());
        assert_eq!(one.server_id(), one.clone().server_id(), "drawn once");
    }

    #[test]
    fn reflection_is_hosted_unless_it_is_refused() {
        let hosts = |flags: &[&str]| {
            let service = parse(flags).unwrap().service().protocol(Protocol::new("demo.Empty.v1"));
            service.build().unwrap().protocols().any(|info| info.name == "vgi_rpc.Reflection.v1")
        };
        assert!(hosts(&[]) && hosts(&["--describe"]) && hosts(&["--no-describe", "--describe"]));
        assert!(!hosts(&["--no-describe"]) && !hosts(&["--describe", "--no-describe"]));
    }

    #[test]
    fn memory_is_limited() {
        let flags = |flags: &[&str]| parse(flags).unwrap().flags;
        assert_eq!(flags(&["--memory-budget", "1000"]).budget().limit(), 1000);
        assert_eq!(flags(&[]).budget().limit() as u64, vgi_rpc_memory::available() / 4);
        assert_eq!(flags(&["--max-message-bytes", "1000"]).limits().max_body_bytes, 1000);
        assert_eq!(flags(&[]).limits(), vgi_rpc_protocol::Limits::default());
    }

    #[cfg(feature = "http")]
    #[test]
    fn what_a_response_externalises_is_limited_by_the_flag() {
        let limited = ["--http", "--max-externalized-response-bytes", "7", "--max-request-bytes", "9"];
        let worker = parse(&limited).unwrap();
        let settings =
            Externalisation { max_externalized_response_bytes: Some(7), ..Externalisation::default() };
        assert_eq!((worker.externalisation(), worker.max_request_bytes()), (settings, Some(9)));
        let worker = parse(&["--http"]).unwrap();
        assert_eq!(
            (worker.externalisation(), worker.max_request_bytes()),
            (Externalisation::default(), None)
        );
    }

    #[test]
    fn a_worker_without_tls_does_not_serve_in_the_clear_where_tls_is_asked_for() {
        use clap::CommandFactory;
        let check = |flags: &[&str], set: &str| {
            let matches = CommandLine::command().try_get_matches_from([&["worker"], flags].concat()).unwrap();
            check_no_tls(&matches, |name| name == set)
        };
        let transports: &[&[&str]] = &[
            #[cfg(feature = "unix")]
            &["--tcp", "80"],
            #[cfg(feature = "http")]
            &["--http"],
        ];
        for flags in transports {
            let error = check(flags, "VGI_RPC_TLS_CERT").unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let text = error.to_string();
            assert!(text.contains("VGI_RPC_TLS_CERT") && text.contains("the feature 'tls'"), "{text}");
            assert!(check(flags, "VGI_RPC_OTHER").is_ok());
        }
        assert!(check(&[], "VGI_RPC_TLS_CERT").is_ok(), "pipes carry no TLS");
    }

    #[test]
    fn invalid_flags_are_refused_with_status_2() {
        let error = parse(&["--no-such-flag"]).unwrap_err();
        assert_eq!((error.kind(), error.exit_code()), (ErrorKind::UnknownArgument, 2));
        #[cfg(feature = "http")]
        {
            let error = parse(&["--pipe", "--prefix", "/vgi"]).unwrap_err();
            assert_eq!((error.kind(), error.exit_code()), (ErrorKind::ArgumentConflict, 2));
        }
    }
}
