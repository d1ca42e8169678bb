//! Setting a client up.

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

/// A client that cannot be set up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The URL leads nowhere.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A setting is invalid.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// How a server is called over HTTP, and how long it is waited for.
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
    /// Sets the bounds of the Arrow streams in responses.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Sets the most bytes that a response may have, content coding undone; `None` for no limit of its own. Default
    /// 256 MiB. With a limit the server is asked once, before the first call, whether it supports that.
    pub fn max_response_bytes(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.settings.max_response_bytes = bytes.into();
        self
    }

    /// Sets the content codings accepted of responses, best first; none for no compression. Default
    /// [`Coding::ALL`].
    pub fn codings(mut self, codings: impl IntoIterator<Item = Coding>) -> Self {
        self.settings.codings = codings.into_iter().collect();
        self
    }

    /// Sets whether requests are compressed for a server that is known to take it. Default true.
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

    /// Sends what `token` gives as a bearer token with every request: it is asked each time, and may give a new one.
    /// Over `http` everybody on the way can read it.
    pub fn bearer(self, token: impl Fn() -> io::Result<String> + Send + Sync + 'static) -> Self {
        self.credentials(Bearer(token))
    }

    /// Sets what gives every request its credential, and another one for a call that is refused with 401. It replaces
    /// [`bearer`](Self::bearer). `Login` of the crate `vgi-rpc-login` signs people in.
    pub fn credentials(mut self, credentials: impl Credentials + 'static) -> Self {
        self.credentials = Some(Arc::new(credentials));
        self
    }

    /// Sets how long connecting may take, to each address that a name stands for. Default 10 s. What the name stands
    /// for is asked of the system, which takes its own time.
    pub fn connect_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.dialer.connect_timeout = timeout.into();
        self
    }

    /// Connects through a SOCKS5 proxy, which resolves host names; never without it. [`connect_timeout`](Self::connect_timeout)
    /// holds for connecting to the proxy, all that it says, and TLS together. Default: directly.
    ///
    /// An error of the proxy is a [`SocksError`](vgi_rpc_socks::SocksError) within the [`io::Error`] of
    /// [`FetchError::Connect`](super::FetchError::Connect).
    pub fn socks_proxy(mut self, proxy: impl Into<Option<SocksProxy>>) -> Self {
        self.dialer.socks_proxy = proxy.into();
        self
    }

    /// Sets how often connecting is tried again when nobody listens, after 50 ms, 100 ms and so on. Default 2.
    pub fn connect_retries(mut self, retries: u32) -> Self {
        self.dialer.retries = retries;
        self
    }

    /// Sets how long the server may send nothing while a response is due, or read nothing of a request; `None` for no
    /// limit. Default 5 min. Logs come with the response, so a method that works for longer needs more.
    pub fn read_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.read_timeout = timeout.into();
        self
    }

    /// Sets how long a unary call may take in all, connecting included; `None` for no limit. On a stream it bounds
    /// each turn. Default `None`: as long as bytes keep coming, an answer is worth waiting for.
    pub fn call_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.call_timeout = timeout.into();
        self
    }

    /// Sets how many idle connections are kept, for 30 s each. Default 8.
    pub fn max_idle_connections(mut self, connections: usize) -> Self {
        self.max_idle = connections;
        self
    }

    /// Sets whom to trust with `https`, and which certificate to present to servers that ask for one. Default: the web's
    /// authorities, and none.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.dialer.tls = Some(tls);
        self
    }

    /// Sets the client up. The URL's path is the server's prefix, such as `http://127.0.0.1:8080/vgi`; there is
    /// none by default. Nothing is
    /// sent yet.
    ///
    /// # Errors
    /// When the URL or a setting is invalid.
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
