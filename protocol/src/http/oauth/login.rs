//! Signing in with a browser: how it is set up.

use super::provider::Provider;
use super::resource::{ProtectedResource, origin};
use std::fmt;
use thiserror::Error;
use zeroize::Zeroizing;

/// Has browsers sign in at the authorization server of a [`ProtectedResource`], where they would be refused with 401.
///
/// It needs a [client id](ProtectedResource::client_id), an authenticator that accepts the tokens of the authorization server, and a
/// driver that [loads documents](crate::http::auth::LoadDocument) and [sends forms](crate::http::documents::PostForm). The
/// authorization server must know the URL of the resource, with the prefix and `/_oauth/callback`, as the one that browsers come back
/// to.
///
/// The token is kept in the cookie `_vgi_auth`, which scripts do not see and other sites do not send. A request that has an
/// `Authorization` header is judged by that alone.
#[derive(Clone)]
pub struct BrowserLogin {
    client_secret: Option<Zeroizing<String>>,
    scopes: Vec<String>,
    is_readable: bool,
    return_origins: Vec<String>,
    gives_refresh_tokens: bool,
}

/// A login that cannot be set up as it is.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LoginError {
    /// Nothing says where to sign in.
    #[error("a browser login needs the metadata of a protected resource")]
    NoResource,
    /// Nothing says as which client.
    #[error("a browser login needs a client id in the metadata of the resource")]
    NoClientId,
    /// Nobody would be refused.
    #[error("a browser login needs an authenticator, which accepts the tokens of the authorization server")]
    NoAuthenticator,
    /// The issuer has no URL.
    #[error("expected an http or https URL of the authorization server, got {0:?}")]
    Issuer(String),
    /// No origin is spelled so.
    #[error("expected an origin such as https://app.example, got {0:?}")]
    Origin(String),
}

impl Default for BrowserLogin {
    fn default() -> Self {
        let scopes = vec!["openid".into(), "email".into()];
        Self {
            client_secret: None,
            scopes,
            is_readable: false,
            return_origins: Vec::new(),
            gives_refresh_tokens: false,
        }
    }
}

impl BrowserLogin {
    /// A login of a public client, for the scopes `openid` and `email`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the secret of the client. It is sent to the authorization server, and to nobody else.
    #[must_use]
    pub fn client_secret(mut self, secret: impl Into<String>) -> Self {
        self.client_secret = Some(Zeroizing::new(secret.into()));
        self
    }

    /// Sets the scopes that are asked for.
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

    /// Lets pages of this origin sign people in by this server. Such a page sends a browser here with its own URL in the parameter
    /// `_vgi_return_to`, is sent the token in the fragment of that URL, and exchanges codes at `/_oauth/token`. Whoever serves
    /// the origin acts for everybody who signs in. Default: none.
    #[must_use]
    pub fn return_origin(mut self, origin: impl Into<String>) -> Self {
        self.return_origins.push(origin.into());
        self
    }

    /// Gives such pages refresh tokens too, which stay valid when a browser has closed the page. Default: they have none.
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
            .field("return_origins", &self.return_origins)
            .finish_non_exhaustive()
    }
}

/// A login as an endpoint has it.
pub(crate) struct Login {
    pub(super) provider: Provider,
    pub(super) client_id: String,
    pub(super) client_secret: Option<Zeroizing<String>>,
    pub(super) scope: String,
    pub(super) uses_id_token: bool,
    pub(super) prefix: String,
    /// The path that the requests of a login have.
    pub(super) path: String,
    /// The origin of this server, as browsers see it.
    pub(super) origin: String,
    pub(super) is_readable: bool,
    pub(super) return_origins: Vec<String>,
    pub(super) gives_refresh_tokens: bool,
}

impl Login {
    pub(crate) fn new(
        settings: BrowserLogin,
        resource: Option<&ProtectedResource>,
        prefix: &str,
        authenticates: bool,
    ) -> Result<Self, LoginError> {
        let resource = resource.ok_or(LoginError::NoResource)?;
        let client_id = resource.client().ok_or(LoginError::NoClientId)?.to_owned();
        if !authenticates {
            return Err(LoginError::NoAuthenticator);
        }
        let issuer = resource.authorization_servers().first().map(String::as_str).unwrap_or_default();
        if origin(issuer).is_none() {
            return Err(LoginError::Issuer(issuer.into()));
        }
        let BrowserLogin { client_secret, scopes, is_readable, return_origins, gives_refresh_tokens } =
            settings;
        if let Some(wrong) = return_origins.iter().find(|text| origin(text).as_ref() != Some(text)) {
            return Err(LoginError::Origin(wrong.clone()));
        }
        Ok(Self {
            provider: Provider::new(issuer),
            client_id,
            client_secret,
            scope: scopes.join(" "),
            uses_id_token: resource.uses_id_token(),
            prefix: prefix.to_owned(),
            path: format!("{prefix}/_oauth/"),
            origin: resource.origin().to_owned(),
            is_readable,
            return_origins,
            gives_refresh_tokens,
        })
    }

    /// Where browsers come back to.
    pub(super) fn redirect_uri(&self) -> String {
        format!("{}{}/_oauth/callback", self.origin, self.prefix)
    }

    /// Where pages of other origins exchange codes, if there may be any.
    pub(crate) fn token_endpoint(&self) -> Option<String> {
        self.has_token_endpoint().then(|| format!("{}{}/_oauth/token", self.origin, self.prefix))
    }

    pub(crate) fn has_token_endpoint(&self) -> bool {
        !self.return_origins.is_empty()
    }
}
