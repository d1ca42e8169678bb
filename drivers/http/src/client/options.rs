//! Configures a client.

use super::address::{UrlError, parse};
use super::credentials::{Bearer, Credentials};
use super::http_client::{HttpClient, Inner};
use super::pool::Pool;
use super::sender::Sender;
use super::socket::Dialer;
use http::header::{HeaderName, HeaderValue};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use vgi_rpc_client::Timeouts;
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::http::client::{ClientMachine, Settings, SettingsError};
use vgi_rpc_protocol::http::coding::{CodecSettings, Coding};
use vgi_rpc_socks::SocksProxy;
#[cfg(feature = "tls")]
use vgi_rpc_tls::ClientTls;

/// A client that could not be built.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The URL is invalid.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A setting is invalid.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// How a server is called over HTTP, and how long a client waits for it.
#[derive(Clone)]
pub struct HttpOptions {
    settings: Settings,
    dialer: Dialer,
    read_timeout: Option<Duration>,
    call_timeout: Option<Duration>,
    max_idle: usize,
    credentials: Option<Arc<dyn Credentials>>,
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Default for HttpOptions {
    fn default() -> Self {
        let dialer =
            Dialer { connect_timeout: Some(Duration::from_secs(10)), retries: 2, ..Dialer::default() };
        let settings = Settings::default();
        let Timeouts { read, call, .. } = Timeouts::default();
        Self { settings, dialer, read_timeout: read, call_timeout: call, max_idle: 8, credentials: None }
    }
}

impl HttpOptions {
    /// Sets the limits of the Arrow streams in responses.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Sets the maximum size of a response in bytes, after decoding its content coding; `None` for no separate limit. Default 256
    /// MiB. With a limit the server is asked once, before the first call, whether it supports it.
    pub fn max_response_bytes(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.settings.max_response_bytes = bytes.into();
        self
    }

    /// Sets the content codings accepted in responses, in order of preference; none for no compression. Default [`Coding::ALL`].
    pub fn codings(mut self, codings: impl IntoIterator<Item = Coding>) -> Self {
        self.settings.codings = codings.into_iter().collect();
        self
    }

    /// Sets whether requests are compressed for a server that is known to support it. Default true.
    pub fn compress_requests(mut self, compress: bool) -> Self {
        self.settings.compress_requests = compress;
        self
    }

    /// Sets how much effort compressing a request takes.
    pub fn codec(mut self, codec: CodecSettings) -> Self {
        self.settings.codec = codec;
        self
    }

    /// Adds a header to every request.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.settings.headers.append(name, value);
        self
    }

    /// Sends the result of `token` as a bearer token with every request. It is called each time, and may return a new token. Over
    /// `http` anyone on the network path can read it.
    pub fn bearer(self, token: impl Fn() -> io::Result<String> + Send + Sync + 'static) -> Self {
        self.credentials(Bearer(token))
    }

    /// Sets the credentials of every request, and of a call's retry after a 401. This replaces [`bearer`](Self::bearer). `Login`
    /// of the crate `vgi-rpc-login` signs users in.
    pub fn credentials(mut self, credentials: impl Credentials + 'static) -> Self {
        self.credentials = Some(Arc::new(credentials));
        self
    }

    /// Sets how long connecting may take, for each address of a name. Default 10 s. The system resolves the name; that time is
    /// not limited.
    pub fn connect_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.dialer.connect_timeout = timeout.into();
        self
    }

    /// Connects through a SOCKS5 proxy, which resolves host names; they are never resolved locally.
    /// [`connect_timeout`](Self::connect_timeout) then applies to connecting to the proxy, its negotiation, and TLS together.
    /// Default: directly.
    ///
    /// An error of the proxy is a [`SocksError`](vgi_rpc_socks::SocksError) within the [`io::Error`] of
    /// [`FetchError::Connect`](super::FetchError::Connect).
    pub fn socks_proxy(mut self, proxy: impl Into<Option<SocksProxy>>) -> Self {
        self.dialer.socks_proxy = proxy.into();
        self
    }

    /// Sets how often connecting is retried if it is refused, after 50 ms, 100 ms and so on. Default 2.
    pub fn connect_retries(mut self, retries: u32) -> Self {
        self.dialer.retries = retries;
        self
    }

    /// Sets how long the server may send nothing while a response is due, or read nothing of a request; `None` for no limit.
    /// Default 5 min. Logs arrive with the response, so a method that runs for longer needs more.
    pub fn read_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.read_timeout = timeout.into();
        self
    }

    /// Sets how long a unary call may take in total, including connecting; `None` for no limit. On a stream it limits each turn.
    /// Default `None`: a response that keeps arriving is not interrupted.
    pub fn call_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.call_timeout = timeout.into();
        self
    }

    /// Sets how many idle connections are kept, for 30 s each. Default 8.
    pub fn max_idle_connections(mut self, connections: usize) -> Self {
        self.max_idle = connections;
        self
    }

    /// Sets which authorities to trust for `https`, and which certificate to present to servers that request one. Default: the
    /// web's authorities, and no certificate.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.dialer.tls = Some(tls);
        self
    }

    /// Builds the client. The URL's path is the server's prefix, as in `http://127.0.0.1:8080/vgi`; by default there is none. No
    /// request is sent yet.
    ///
    /// # Errors
    /// If the URL or a setting is invalid.
    pub fn build(&self, url: &str) -> Result<HttpClient, SetupError> {
        let (address, uri) = parse(url)?;
        if uri.query().is_some() {
            return Err(UrlError::Query.into());
        }
        let mut settings = self.settings.clone();
        settings.prefix = uri.path().to_owned();
        Ok(HttpClient(Arc::new(Inner {
            caller: ClientMachine::new(settings)?,
            sender: Sender { address, dialer: self.dialer.clone(), pool: Pool::new(self.max_idle) },
            url: url.to_owned(),
            credentials: self.credentials.clone(),
            read_timeout: self.read_timeout,
            call_timeout: self.call_timeout,
        })))
    }
}
