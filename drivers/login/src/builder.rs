//! Configures a login.

use crate::login::Login;
use crate::methods::SignInMethods;
use crate::requests::Outside;
use crate::store::{MemoryTokenStore, TokenStore};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use vgi_rpc_effects::Perform;
use vgi_rpc_external::{FetcherOptions, HttpFetcher, TlsConfigError};
use vgi_rpc_protocol::OneLine;
use vgi_rpc_protocol::external::{Location, UrlPolicy};
use vgi_rpc_protocol::http::login::{DevicePrompt, LoginError, LoginSettings, SavedLogin};
use zeroize::Zeroizing;

/// A login could not be built.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The server's URL is not an `http` or `https` URL, or has a user, a query or a fragment.
    #[error("expected an http or https URL of the server, without a user, a query or a fragment")]
    Url,
    /// The server's URL is an `http` URL of another machine: tokens and calls would be sent unencrypted. See
    /// [`LoginBuilder::allow_plain_http`].
    #[error("expected an https URL of the server, or http to this machine, got http to another machine")]
    PlainHttp,
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(TlsConfigError),
    /// The store cannot be read, or other users can read it.
    #[error("the token store cannot be read: {}", OneLine(_0))]
    Store(io::Error),
    /// The stored data is not a login at this server.
    #[error(transparent)]
    Saved(LoginError),
}

/// Configures how clients sign in; made by [`Login::builder`].
pub struct LoginBuilder {
    url: String,
    settings: LoginSettings,
    ways: SignInMethods,
    store: Box<dyn TokenStore>,
    fetcher: Option<HttpFetcher>,
    policy: Option<UrlPolicy>,
    perform: Option<Box<dyn Perform>>,
    allows_plain_http: bool,
}

impl Login {
    /// Begins to configure the login at the server with this URL: the one to which calls are made, with its prefix.
    pub fn builder(url: impl Into<String>) -> LoginBuilder {
        LoginBuilder::new(url.into())
    }
}

impl LoginBuilder {
    fn new(url: String) -> Self {
        let ways = SignInMethods { browser: None, device_code: None, time_limit: Duration::from_secs(300) };
        let store = Box::new(MemoryTokenStore::default());
        let settings = LoginSettings::default();
        Self {
            url,
            settings,
            ways,
            store,
            fetcher: None,
            policy: None,
            perform: None,
            allows_plain_http: false,
        }
    }

    /// Signs users in with a browser on this machine (RFC 8252), for example with [`open_browser`](crate::open_browser). `open`
    /// receives the URL, and opens or prints it. It runs on its own thread, and may wait for the user. If it fails, a device code
    /// is used if possible.
    #[must_use]
    pub fn browser(mut self, open: impl Fn(&str) -> io::Result<()> + Send + Sync + 'static) -> Self {
        self.ways.browser = Some(Arc::new(open));
        self
    }

    /// Signs users in with a code (RFC 8628): `show` asks the user to enter it at a URL. If a browser is set too, this is used
    /// for authorization servers and machines that do not support it.
    #[must_use]
    pub fn device_code(
        mut self,
        show: impl Fn(&DevicePrompt) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.ways.device_code = Some(Arc::new(show));
        self
    }

    /// Sets how long a user may take. Default 5 min.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.ways.time_limit = limit;
        self
    }

    /// Sets where tokens are stored between runs. Default: they are not stored. A stored login is not used if `issuer`,
    /// `client_id` or `scopes` have changed, or if it uses a token endpoint of the server and
    /// [`use_published_token_endpoint`](Self::use_published_token_endpoint) is not set.
    #[must_use]
    pub fn store(mut self, store: impl TokenStore + 'static) -> Self {
        self.store = Box::new(store);
        self
    }

    /// Sets the client id for signing in. Default: the one that the server publishes.
    #[must_use]
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.settings.client_id = Some(id.into());
        self
    }

    /// Sets the client secret, for an authorization server that also requires one of native programs.
    #[must_use]
    pub fn client_secret(mut self, secret: impl Into<String>) -> Self {
        self.settings.client_secret = Some(Zeroizing::new(secret.into()));
        self
    }

    /// Sets the scopes to request. Default: those that the server names, or `openid` if it names none. Many authorization servers
    /// issue a refresh token only for the scope `offline_access`.
    #[must_use]
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.settings.scopes = Some(scopes.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the only permitted authorization server, by its issuer. Default: the first one that the server names.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.settings.issuer = Some(issuer.into());
        self
    }

    /// Uses a client secret that the server publishes, as some do for providers that require one of every client. Default: it is
    /// not sent. A public secret proves nothing.
    #[must_use]
    pub fn accept_published_secret(mut self) -> Self {
        self.settings.accept_published_secret = true;
        self
    }

    /// Exchanges codes and refresh tokens at the token endpoint that the server publishes, if any: such a server adds a secret
    /// that its clients do not have. It then sees each refresh token. Default: the authorization server exchanges them.
    #[must_use]
    pub const fn use_published_token_endpoint(mut self) -> Self {
        self.settings.use_published_token_endpoint = true;
        self
    }

    /// Omits the parameter `resource` (RFC 8707) from all requests, for authorization servers that refuse it. Default: it names
    /// the server that the token is for, so that the authorization server can restrict the token to it.
    #[must_use]
    pub const fn omit_resource(mut self) -> Self {
        self.settings.omit_resource = true;
        self
    }

    /// Sets the HTTP client for requests to the authorization server, for example one that trusts a private authority.
    #[must_use]
    pub fn fetcher(mut self, fetcher: HttpFetcher) -> Self {
        self.fetcher = Some(fetcher);
        self
    }

    /// Allows an `http` URL of a server on another machine, for private networks. Anyone on the network path can then read the
    /// tokens, and can name another authorization server. Default: `http` only to this machine.
    #[must_use]
    pub const fn allow_plain_http(mut self) -> Self {
        self.allows_plain_http = true;
        self
    }

    /// Sets where the authorization server may be. Default: `https` at public addresses, and also this machine if the called
    /// server is there. The called server itself may be anywhere.
    #[must_use]
    pub fn policy(mut self, policy: UrlPolicy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Sets the performer of the requests, instead of an HTTP client: it answers
    /// [`LoadDocument`](vgi_rpc_protocol::http::documents::LoadDocument) and
    /// [`PostForm`](vgi_rpc_protocol::http::documents::PostForm).
    #[must_use]
    pub fn perform(mut self, perform: impl Perform) -> Self {
        self.perform = Some(Box::new(perform));
        self
    }

    /// Builds the login, with the tokens in the store. No request is sent yet.
    ///
    /// # Errors
    /// See [`SetupError`].
    pub fn build(self) -> Result<Login, SetupError> {
        let server = Location::parse(&self.url).map_err(|_| SetupError::Url)?;
        let url = server.url();
        let is_plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !is_plain || !matches!(url.scheme(), "http" | "https") {
            return Err(SetupError::Url);
        }
        if url.scheme() == "http" && !is_local(&server) && !self.allows_plain_http {
            return Err(SetupError::PlainHttp);
        }
        let saved = match self.store.load().map_err(SetupError::Store)? {
            Some(document) => Some(SavedLogin::parse(&document, &server).map_err(SetupError::Saved)?),
            None => None,
        };
        // A login made with other settings is not used.
        let saved = saved.filter(|saved| saved.parameters.are_allowed_by(&self.settings));
        let outside = match self.perform {
            Some(perform) => perform,
            None => {
                let fetcher = match self.fetcher {
                    Some(fetcher) => fetcher,
                    None => HttpFetcher::new(FetcherOptions::default()).map_err(SetupError::Tls)?,
                };
                let policy = self.policy.unwrap_or_else(|| default_policy(&server));
                Box::new(Outside::new(&server, fetcher, policy))
            }
        };
        Ok(Login::new(server, self.settings, self.ways, self.store, outside, saved))
    }
}

/// Whether this is an `http` URL of this machine.
fn is_local(server: &Location) -> bool {
    server.url().scheme() == "http" && UrlPolicy::https_or_http_loopback().check(server).is_ok()
}

/// Returns where this server's authorization server may be if the application does not set it.
fn default_policy(server: &Location) -> UrlPolicy {
    if is_local(server) { UrlPolicy::https_or_http_loopback() } else { UrlPolicy::https_public() }
}

impl fmt::Debug for LoginBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn only_a_local_server_may_have_a_local_authorization_server() {
        let at = |url| Location::parse(url).unwrap();
        let is_allowed = |server, issuer| default_policy(&at(server)).check(&at(issuer)).is_ok();
        let local = ["http://127.0.0.1:8080", "http://localhost/vgi", "http://[::1]"];
        let other = ["https://reports.example", "http://192.0.2.1", "http://reports.corp"];
        for issuer in ["http://127.0.0.1:9090", "https://127.0.0.1:9090", "http://localhost"] {
            assert!(local.iter().all(|server| is_allowed(server, issuer)), "{issuer}");
            assert!(!other.iter().any(|server| is_allowed(server, issuer)), "{issuer}");
        }
        for issuer in ["http://192.0.2.2", "https://192.168.0.1"] {
            assert!(!local.iter().chain(&other).any(|server| is_allowed(server, issuer)), "{issuer}");
        }
    }
}
