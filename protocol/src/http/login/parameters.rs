//! The settings of a login, and the token requests made with them. RFC 6749, sections 4.1.3 and 6; RFC 8628, section 3.

use super::checks::{MAX_DOCUMENT, is_client_text};
use super::claims::Expected;
use super::discovery::Discovered;
use super::error::LoginError;
use super::tokens::Tokens;
use crate::http::documents::{FormResponse, PostForm};
use crate::location::Location;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;
use url::form_urlencoded::Serializer;
use zeroize::Zeroizing;

/// A way to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flow {
    /// A browser on this machine returns with a code. RFC 8252.
    Code,
    /// The user types in a code on any machine. RFC 8628.
    DeviceCode,
}

/// Settings of the client to sign in as. Values that are not set are taken from the metadata of the resource, and then from the
/// challenge.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct LoginSettings {
    /// The client's id.
    pub client_id: Option<String>,
    /// The client's secret, for an authorization server that requires one of native programs too. It belongs to `client_id`.
    pub client_secret: Option<Zeroizing<String>>,
    /// The scopes to request. Default: those that the resource supports, or `openid` if it names none.
    pub scopes: Option<Vec<String>>,
    /// The issuer of the authorization server, which the resource must name. Default: the first one that the resource names.
    pub issuer: Option<String>,
    /// Accepts a secret that the resource publishes. Default false: a public secret proves nothing, and may have been published
    /// by mistake.
    pub accept_published_secret: bool,
    /// Exchanges codes and refresh tokens at the token endpoint that the resource publishes, if any: such a resource adds a
    /// secret that its clients do not have. The resource then sees each refresh token. Default false: the authorization server
    /// exchanges them.
    pub use_published_token_endpoint: bool,
    /// Omits the parameter `resource` from all requests, for authorization servers that refuse it. Default false: the parameter
    /// names the resource that the token is for, so that the authorization server can restrict the token to it. RFC 8707,
    /// section 2.
    pub omit_resource: bool,
}

impl fmt::Debug for LoginSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginSettings")
            .field("client_id", &self.client_id)
            .field("scopes", &self.scopes)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

/// The server, client and scopes of a login.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginParameters {
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) client_secret: Option<Zeroizing<String>>,
    pub(super) scope: String,
    /// The resource that tokens are requested for. RFC 8707.
    pub(super) resource: Option<String>,
    pub(super) sends_id: bool,
    /// The URL at which codes and refresh tokens are exchanged.
    pub(super) token_endpoint: Location,
    /// Whether the resource publishes that endpoint.
    pub(super) is_published_endpoint: bool,
    pub(super) start: Start,
}

/// The endpoint at which a login begins.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Start {
    Code {
        authorization: Location,
        names_issuer: bool,
    },
    /// Device codes are always exchanged at the authorization server itself.
    DeviceCode {
        device: Location,
        token: Location,
    },
    /// The login has completed: tokens are only refreshed.
    Refresh,
}

impl LoginParameters {
    /// Combines the results of discovery and the settings for one flow.
    ///
    /// # Errors
    /// If the authorization server does not support the flow, or no client is named.
    pub fn new(found: &Discovered, settings: &LoginSettings, flow: Flow) -> Result<Self, LoginError> {
        let (resource, server, challenge) = (&found.resource, &found.server, &found.challenge);
        let no_flow = |flow| LoginError::NoFlow { issuer: server.issuer.clone(), flow };
        let start = match flow {
            Flow::Code => Start::Code {
                authorization: server
                    .code_endpoint()
                    .ok_or_else(|| no_flow("a login with a browser and PKCE"))?
                    .clone(),
                names_issuer: server.names_itself_in_redirects,
            },
            Flow::DeviceCode => Start::DeviceCode {
                device: server
                    .device_authorization_endpoint
                    .clone()
                    .ok_or_else(|| no_flow("a login with a device code"))?,
                token: server.token_endpoint.clone(),
            },
        };
        // An id is used only with the secret of the same client.
        let device = (&resource.device_code_client_id, &resource.device_code_client_secret);
        let device = Some(device).filter(|_| flow == Flow::DeviceCode);
        let published = device.into_iter().chain([(&resource.client_id, &resource.client_secret)]);
        let published = published.filter_map(|(id, secret)| Some((id.clone()?, secret.clone())));
        let challenged = [
            Some(&challenge.device_code_client_id).filter(|_| flow == Flow::DeviceCode),
            Some(&challenge.client_id),
        ];
        let challenged = challenged.into_iter().flatten().filter_map(|id| Some((id.clone()?, None)));
        let (client_id, client_secret) = match &settings.client_id {
            Some(id) => (id.clone(), settings.client_secret.clone()),
            None => {
                let (id, secret) = published.chain(challenged).next().ok_or(LoginError::NoClientId)?;
                let secret = secret.filter(|_| settings.accept_published_secret);
                (id, settings.client_secret.clone().or(secret))
            }
        };
        if !is_client_text(&client_id) || client_secret.as_ref().is_some_and(|secret| !is_client_text(secret))
        {
            return Err(LoginError::NoClientId);
        }
        let scope = match &settings.scopes {
            Some(scopes) => scopes.join(" "),
            None if !resource.scopes_supported.is_empty() => resource.scopes_supported.join(" "),
            None => "openid".to_owned(),
        };
        // The resource has only the secret of this client.
        let is_its_client = [&resource.client_id, &challenge.client_id].contains(&&Some(client_id.clone()));
        let own = resource.token_endpoint.as_ref().filter(|_| client_secret.is_none() && is_its_client);
        let own = own.filter(|_| settings.use_published_token_endpoint);
        Ok(Self {
            issuer: server.issuer.clone(),
            client_id,
            client_secret,
            scope,
            resource: Some(resource.resource.clone()).filter(|_| !settings.omit_resource),
            sends_id: resource.id_token_as_bearer || challenge.id_token_as_bearer,
            is_published_endpoint: own.is_some(),
            token_endpoint: own.unwrap_or(&server.token_endpoint).clone(),
            start,
        })
    }

    /// Returns the issuer of the authorization server.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the id of the client.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Whether these settings allow the parameters: the issuer, the client and the scopes equal those that are set, and the token
    /// endpoint is allowed.
    pub fn are_allowed_by(&self, settings: &LoginSettings) -> bool {
        settings.issuer.as_ref().is_none_or(|issuer| *issuer == self.issuer)
            && settings.client_id.as_ref().is_none_or(|client| *client == self.client_id)
            && settings.scopes.as_ref().is_none_or(|scopes| is_same_scope(&scopes.join(" "), &self.scope))
            && (settings.use_published_token_endpoint || !self.is_published_endpoint)
    }

    /// Returns the form that refreshes the tokens; `None` without a refresh token. RFC 6749, section 6.
    pub fn refresh(&self, tokens: &Tokens) -> Option<PostForm> {
        let token = tokens.refresh.as_ref()?;
        Some(self.form(&self.token_endpoint, &[("grant_type", "refresh_token"), ("refresh_token", token)]))
    }

    /// Returns the tokens in the response to a refresh. The old refresh token is kept if the server does not send a new one.
    ///
    /// # Errors
    /// If the response has no tokens. [`LoginError::is_temporary`] returns whether the refresh token may still be valid.
    pub fn refreshed(
        &self,
        answer: FormResponse,
        before: &Tokens,
        now: Duration,
    ) -> Result<Tokens, LoginError> {
        let secrets = self.secrets(before.refresh.as_ref().map(|token| token.as_str()));
        let mut tokens = Tokens::read(answer, self.sends_id, self.expected(None), now, &secrets)?;
        if tokens.refresh.is_none() {
            tokens.refresh.clone_from(&before.refresh);
        }
        Ok(tokens)
    }

    /// Creates a form of this client.
    pub(super) fn form(&self, url: &Location, members: &[(&str, &str)]) -> PostForm {
        let mut form = Serializer::new(String::new());
        form.extend_pairs(members).append_pair("client_id", &self.client_id);
        if let Some(resource) = &self.resource {
            form.append_pair("resource", resource);
        }
        if let Some(secret) = &self.client_secret {
            form.append_pair("client_secret", secret);
        }
        PostForm::new(url.as_str(), form.finish(), MAX_DOCUMENT)
    }

    /// Returns the required claims of an ID token.
    pub(super) fn expected<'a>(&'a self, nonce: Option<&'a str>) -> Expected<'a> {
        Expected { issuer: &self.issuer, client_id: &self.client_id, nonce }
    }

    /// Returns the secrets that are sent to the server and must not appear in an error.
    pub(super) fn secrets<'a>(&'a self, sent: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        sent.into_iter().chain(self.client_secret.as_ref().map(|secret| secret.as_str())).collect()
    }
}

/// Whether two lists name the same scopes, in any order. RFC 6749, section 3.3.
fn is_same_scope(one: &str, other: &str) -> bool {
    one.split(' ').collect::<BTreeSet<_>>() == other.split(' ').collect()
}

impl fmt::Debug for LoginParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginParameters")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
