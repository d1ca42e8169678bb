//! Connects to an address of any supported transport.

use crate::error::ConnectError;
use std::process::Command;
use std::time::Duration;
use vgi_rpc_client::{Client, Timeouts};
#[cfg(feature = "http")]
use vgi_rpc_http::client::HttpOptions;
#[cfg(feature = "tls")]
use vgi_rpc_tls::ClientTls;
use vgi_rpc_unix::SocksProxy;

/// The prefixes of the addresses that this build supports.
const SCHEMES: &str = match (cfg!(unix), cfg!(feature = "http"), cfg!(feature = "tls")) {
    (true, true, true) => "cmd:, unix:, tcp:, tls:, http:// or https://",
    (true, true, false) => "cmd:, unix:, tcp: or http://",
    (true, false, _) => "cmd:, unix: or tcp:",
    (false, true, true) => "cmd:, tcp:, tls:, http:// or https://",
    (false, true, false) => "cmd:, tcp: or http://",
    (false, false, _) => "cmd: or tcp:",
};

/// Whether a TCP address is a port, or ends with one.
fn has_port(address: &str) -> bool {
    match address.rsplit_once(':') {
        Some((host, port)) => !host.is_empty() && port.parse::<u16>().is_ok(),
        None => address.parse::<u16>().is_ok(),
    }
}

/// Connects to an address with default options. Over HTTP nothing is sent before the first call.
///
/// # Errors
/// See [`ConnectError`].
pub fn connect(address: &str) -> Result<Client, ConnectError> {
    ConnectOptions::default().connect(address)
}

/// How a client connects, and how long it waits.
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    timeouts: Option<Timeouts>,
    connect_timeout: Option<Option<Duration>>,
    socks_proxy: Option<SocksProxy>,
    #[cfg(feature = "http")]
    http: HttpOptions,
    #[cfg(feature = "tls")]
    tls: Option<ClientTls>,
}

impl ConnectOptions {
    /// Sets how long calls wait, on every transport.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = Some(timeouts);
        self
    }

    /// Sets how long connecting to a socket may take; `None` for the system's limit. Default 10 s.
    pub fn connect_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.connect_timeout = Some(timeout.into());
        self
    }

    /// Connects through a SOCKS5 proxy for TCP and HTTP. The proxy resolves host names. Default: directly.
    pub fn socks_proxy(mut self, proxy: SocksProxy) -> Self {
        self.socks_proxy = Some(proxy);
        self
    }

    /// Sets options that only HTTP has, such as credentials. Timeouts and a proxy that are set on this type take precedence over
    /// those in `options`.
    #[cfg(feature = "http")]
    pub fn http(mut self, options: HttpOptions) -> Self {
        self.http = options;
        self
    }

    /// Sets which authorities to trust for `tls:` and `https://`, and which certificate to present there. Default: the web's
    /// authorities, and no certificate. This takes precedence over the setting in [`http`](Self::http).
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Connects to an address. Over HTTP nothing is sent before the first call.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub fn connect(&self, address: &str) -> Result<Client, ConnectError> {
        match address.split_once(':') {
            Some(("cmd", line)) => {
                let words = shlex::split(line).ok_or(ConnectError::Command)?;
                let (program, arguments) = words.split_first().ok_or(ConnectError::Command)?;
                let mut command = Command::new(program);
                command.args(arguments);
                vgi_rpc_stdio::spawn_with(command, self.timeouts.unwrap_or_default())
                    .map_err(ConnectError::Start)
            }
            #[cfg(unix)]
            Some(("unix", "")) => Err(ConnectError::Path),
            #[cfg(unix)]
            Some(("unix", path)) => Ok(self.sockets().unix(path)?),
            Some(("tcp", address)) if !has_port(address) => Err(ConnectError::Port),
            Some(("tcp", address)) => Ok(self.sockets().tcp(address)?),
            #[cfg(feature = "tls")]
            Some(("tls", address)) if !has_port(address) => Err(ConnectError::TlsPort),
            #[cfg(feature = "tls")]
            Some(("tls", address)) => {
                let tls = match &self.tls {
                    Some(tls) => tls.clone(),
                    None => ClientTls::with_web_roots()?,
                };
                Ok(self.sockets().tls(tls).tcp(address)?)
            }
            #[cfg(not(feature = "tls"))]
            Some(("tls", _)) => Err(ConnectError::Feature { scheme: "tls:", feature: "tls" }),
            #[cfg(feature = "http")]
            Some(("http" | "https", _)) => {
                let mut options = self.http.clone();
                #[cfg(feature = "tls")]
                if let Some(tls) = &self.tls {
                    options = options.tls(tls.clone());
                }
                if let Some(timeouts) = self.timeouts {
                    options = options.read_timeout(timeouts.read).call_timeout(timeouts.call);
                }
                if let Some(timeout) = self.connect_timeout {
                    options = options.connect_timeout(timeout);
                }
                if let Some(proxy) = &self.socks_proxy {
                    options = options.socks_proxy(proxy.clone());
                }
                Ok(options.build(address)?.client())
            }
            #[cfg(not(feature = "http"))]
            Some(("http", _)) => Err(ConnectError::Feature { scheme: "http://", feature: "http" }),
            #[cfg(not(feature = "http"))]
            Some(("https", _)) => Err(ConnectError::Feature { scheme: "https://", feature: "tls" }),
            _ => Err(ConnectError::Scheme { expected: SCHEMES }),
        }
    }

    fn sockets(&self) -> vgi_rpc_unix::SocketOptions {
        let timeouts = self.timeouts.unwrap_or_default();
        let options =
            vgi_rpc_unix::SocketOptions::default().read_timeout(timeouts.read).call_timeout(timeouts.call);
        let options = options.socks_proxy(self.socks_proxy.clone());
        match self.connect_timeout {
            Some(timeout) => options.connect_timeout(timeout),
            None => options,
        }
    }
}
