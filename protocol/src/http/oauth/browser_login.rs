//! The settings of browser login.

use super::provider::Provider;
use super::resource::{ProtectedResource, origin};
use super::targets;
use crate::http::slots::Slots;
use crate::location::Location;
use std::fmt;
use thiserror::Error;
use zeroize::Zeroizing;

/// Redirects browsers to the authorization server of a [`ProtectedResource`] to sign in, instead of refusing them with 401.
///
/// It needs a [client id](ProtectedResource::client_id), an authenticator that accepts the tokens of the authorization server, and a
/// driver that [loads documents](crate::http::auth::LoadDocument) and [sends forms](crate::http::documents::PostForm). The
/// authorization server must have the origin of the resource, followed by the prefix and `/_oauth/callback`, registered as a redirect
/// URI.
///
/// The token is stored in a cookie that scripts cannot read. Browsers send it with requests from other sites only for top-level
/// navigations; sibling subdomains count as the same site. Its name is `__Host-vgi_auth` if the server is at the root of an
/// https origin, so that no subdomain can set it, and `_vgi_auth` otherwise. A request with an `Authorization` header is
/// authenticated by that header alone. Set `Strict-Transport-Security` where TLS is terminated in front of the server.
///
/// Every login makes this server send requests to the authorization server: give it a
/// [`Performer`](https://docs.rs/vgi-rpc-effects) of its own if untrusted clients can reach it. At most 32 codes of browsers
/// are exchanged at a time. Further browsers receive 503 with `Retry-After` and can load the same page again. For pages of
/// other origins, at most 8 codes are exchanged at a time.
#[derive(Clone)]
pub struct BrowserLogin {
    client_secret: Option<Zeroizing<String>>,
    scopes: Vec<String>,
    is_readable: bool,
    return_pages: Vec<String>,
    gives_refresh_tokens: bool,
}

/// The maximum number of logins that complete at a time. Each one sends a request to the authorization server.
const MAX_LOGINS: usize = 32;
/// The maximum number of concurrent code exchanges for pages of other origins.
const MAX_EXCHANGES: usize = 8;

/// Why the settings of a browser login are invalid.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BrowserLoginError {
    /// There is no protected resource, which names the authorization server.
    #[error("a browser login needs the metadata of a protected resource")]
    NoResource,
    /// The resource's metadata has no client id.
    #[error("a browser login needs a client id in the metadata of the resource")]
    NoClientId,
    /// There is no authenticator, so no request would be refused.
    #[error("a browser login needs an authenticator, which accepts the tokens of the authorization server")]
    NoAuthenticator,
    /// The issuer is not an http or https URL.
    #[error("expected an http or https URL of the authorization server, got {0:?}")]
    Issuer(String),
    /// A token must not be sent to this page URL.
    #[error(
        "expected the https URL of a page such as https://app.example/, without a user and a fragment, got {0:?}"
    )]
    Page(String),
    /// Tokens would cross a network unencrypted.
    #[error("expected an https URL, or http on this machine, for a browser login, got {0:?}")]
    InTheClear(String),
}

impl Default for BrowserLogin {
    fn default() -> Self {
        let scopes = vec!["openid".into(), "email".into()];
        Self {
            client_secret: None,
            scopes,
            is_readable: false,
            return_pages: Vec::new(),
            gives_refresh_tokens: false,
        }
    }
}

impl BrowserLogin {
    /// Creates a login of a public client with the scopes `openid` and `email`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the secret of the client. It is sent to the authorization server only.
    #[must_use]
    pub fn client_secret(mut self, secret: impl Into<String>) -> Self {
        self.client_secret = Some(Zeroizing::new(secret.into()));
        self
    }

    /// Sets the scopes to request.
    #[must_use]
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Lets the scripts of this server's pages read the token. Default: they may not.
    #[must_use]
    pub fn cookie_for_scripts(mut self) -> Self {
        self.is_readable = true;
        self
    }

    /// Lets a page of another origin sign users in through this server: the page at this URL, with any query. The page sends a
    /// browser here with its own URL in the parameter `_vgi_return_to`, receives the token in the fragment of that URL, and
    /// exchanges codes at `/_oauth/token`. The page's operator can act for every user who signs in. The page must keep a state
    /// of its own in its query, because any site can send a browser to it with a token in the fragment. Default: none.
    ///
    /// Such an exchange adds the client's secret. The secret then no longer proves that a request to the authorization server
    /// is this server's own: PKCE does.
    #[must_use]
    pub fn return_page(mut self, url: impl Into<String>) -> Self {
        self.return_pages.push(url.into());
        self
    }

    /// Also sends refresh tokens to such pages. They stay valid after the browser has closed the page. Default: none are sent.
    #[must_use]
    pub fn refresh_tokens_for_pages(mut self) -> Self {
        self.gives_refresh_tokens = true;
        self
    }
}

impl fmt::Debug for BrowserLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrowserLogin")
            .field("scopes", &self.scopes)
            .field("is_readable", &self.is_readable)
            .field("return_pages", &self.return_pages)
            .finish_non_exhaustive()
    }
}

/// The login of an endpoint.
pub(crate) struct Login {
    pub(super) provider: Provider,
    pub(super) client_id: String,
    pub(super) client_secret: Option<Zeroizing<String>>,
    pub(super) scope: String,
    pub(super) uses_id_token: bool,
    pub(super) prefix: String,
    pub(super) is_secure: bool,
    /// The name of the cookie that has the token. Another host cannot set a cookie whose name begins with `__Host-`.
    pub(super) auth_cookie: &'static str,
    /// The name of the cookie that has the state of a pending login.
    pub(super) state_cookie: &'static str,
    /// The origin of this server, as browsers see it.
    pub(super) origin: String,
    pub(super) is_readable: bool,
    pub(super) return_pages: Vec<Location>,
    /// The origins of the return pages, as browsers spell them.
    pub(super) page_origins: Vec<String>,
    /// Limits the concurrent code exchanges for such pages.
    pub(super) exchanges: Slots,
    /// Limits the logins that complete concurrently.
    pub(super) logins: Slots,
    pub(super) gives_refresh_tokens: bool,
}

impl Login {
    pub(crate) fn new(
        settings: BrowserLogin,
        resource: Option<&ProtectedResource>,
        prefix: &str,
        authenticates: bool,
    ) -> Result<Self, BrowserLoginError> {
        let resource = resource.ok_or(BrowserLoginError::NoResource)?;
        let client_id = resource.client().ok_or(BrowserLoginError::NoClientId)?.to_owned();
        if !authenticates {
            return Err(BrowserLoginError::NoAuthenticator);
        }
        let issuer = resource.authorization_servers().first().map(String::as_str).unwrap_or_default();
        if origin(issuer).is_none() {
            return Err(BrowserLoginError::Issuer(issuer.into()));
        }
        if let Some(open) = [resource.url(), issuer].into_iter().find(|url| targets::page(url).is_none()) {
            return Err(BrowserLoginError::InTheClear(open.into()));
        }
        let BrowserLogin { client_secret, scopes, is_readable, return_pages, gives_refresh_tokens } =
            settings;
        let page = |url: &String| targets::page(url).ok_or_else(|| BrowserLoginError::Page(url.clone()));
        let return_pages = return_pages.iter().map(page).collect::<Result<Vec<_>, _>>()?;
        let is_secure = resource.origin().starts_with("https:");
        let (auth_cookie, state_cookie) = match (is_secure, prefix.is_empty()) {
            (true, true) => ("__Host-vgi_auth", "__Host-vgi_login"),
            (true, false) => ("_vgi_auth", "__Host-vgi_login"),
            (false, _) => ("_vgi_auth", "_vgi_login"),
        };
        Ok(Self {
            provider: Provider::new(issuer),
            client_id,
            client_secret,
            scope: scopes.join(" "),
            uses_id_token: resource.uses_id_token(),
            prefix: prefix.to_owned(),
            is_secure,
            auth_cookie,
            state_cookie,
            origin: resource.origin().to_owned(),
            is_readable,
            page_origins: return_pages.iter().map(|page| page.url().origin().ascii_serialization()).collect(),
            return_pages,
            exchanges: Slots::new(MAX_EXCHANGES),
            logins: Slots::new(MAX_LOGINS),
            gives_refresh_tokens,
        })
    }

    /// Returns the name of the cookie that has the token.
    pub(crate) fn cookie_name(&self) -> &'static str {
        self.auth_cookie
    }

    /// Returns the redirect URI, to which browsers return.
    pub(super) fn redirect_uri(&self) -> String {
        format!("{}{}/_oauth/callback", self.origin, self.prefix)
    }

    /// Returns the URL at which pages of other origins exchange codes, if any such page is allowed.
    pub(crate) fn token_endpoint(&self) -> Option<String> {
        self.has_token_endpoint().then(|| format!("{}{}/_oauth/token", self.origin, self.prefix))
    }

    pub(crate) fn has_token_endpoint(&self) -> bool {
        !self.return_pages.is_empty()
    }
}
