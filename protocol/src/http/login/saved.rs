//! The stored form of a login: the tokens, and what is needed to renew them.

use super::checks::{MAX_DOCUMENT, endpoint, is_client_text, is_loopback, is_token};
use super::error::LoginError;
use super::parameters::{LoginParameters, Start};
use super::tokens::Tokens;
use crate::location::Location;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

/// The version of the document's format. Other versions are not read.
const VERSION: u32 = 1;

/// A login to be stored. It is secret.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SavedLogin {
    /// The URL of the server that the tokens are for.
    pub server: String,
    /// The parameters with which they were obtained.
    pub parameters: LoginParameters,
    /// The tokens.
    pub tokens: Tokens,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    server: String,
    issuer: String,
    token_endpoint: String,
    is_published_endpoint: bool,
    client_id: String,
    client_secret: Option<Zeroed>,
    scope: String,
    resource: Option<String>,
    sends_id: bool,
    access_token: Zeroed,
    refresh_token: Option<Zeroed>,
    id_token: Option<Zeroed>,
    /// When the bearer expires, in seconds since the Unix epoch.
    expires_at: Option<u64>,
}

/// A string that is erased when it is dropped.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Zeroed(String);

impl Drop for Zeroed {
    fn drop(&mut self) {
        use zeroize::Zeroize;
        self.0.zeroize();
    }
}

impl From<&Zeroizing<String>> for Zeroed {
    fn from(text: &Zeroizing<String>) -> Self {
        Self(text.to_string())
    }
}

impl From<Zeroed> for Zeroizing<String> {
    fn from(mut text: Zeroed) -> Self {
        Self::new(std::mem::take(&mut text.0))
    }
}

impl SavedLogin {
    /// Creates a login for the server with this URL.
    pub fn new(server: &Location, parameters: LoginParameters, tokens: Tokens) -> Self {
        Self { server: server.as_str().to_owned(), parameters, tokens }
    }

    /// Returns the document to store: JSON with all tokens.
    pub fn to_json(&self) -> Zeroizing<String> {
        let Self { server, parameters, tokens } = self;
        let document = Document {
            version: VERSION,
            server: server.clone(),
            issuer: parameters.issuer.clone(),
            token_endpoint: parameters.token_endpoint.as_str().to_owned(),
            is_published_endpoint: parameters.is_published_endpoint,
            client_id: parameters.client_id.clone(),
            client_secret: parameters.client_secret.as_ref().map(Zeroed::from),
            scope: parameters.scope.clone(),
            resource: parameters.resource.clone(),
            sends_id: parameters.sends_id,
            access_token: (&tokens.access).into(),
            refresh_token: tokens.refresh.as_ref().map(Zeroed::from),
            id_token: tokens.id.as_ref().map(Zeroed::from),
            expires_at: tokens.expires_at.map(|time| time.as_secs()),
        };
        // All its values can be serialised to JSON.
        Zeroizing::new(serde_json::to_string(&document).unwrap_or_default())
    }

    /// Parses a document for the server at this URL.
    ///
    /// # Errors
    /// If it is not such a document or is for another server: tokens are sent only to the server that they were issued for.
    pub fn parse(document: &[u8], server: &Location) -> Result<Self, LoginError> {
        let refuse = |expected| LoginError::Saved { expected };
        if document.len() > 4 * MAX_DOCUMENT {
            return Err(refuse("at most 262144 bytes"));
        }
        let read: Document =
            serde_json::from_slice(document).map_err(|_| refuse("JSON as this version writes it"))?;
        if read.version != VERSION {
            return Err(refuse("a document of version 1"));
        }
        if read.server != server.as_str() {
            return Err(refuse("a login at this server"));
        }
        let token_endpoint = endpoint("the stored login", &read.token_endpoint, is_loopback(server.url()))?;
        if !is_client_text(&read.client_id) {
            return Err(refuse("a client id"));
        }
        let tokens = Tokens {
            access: read.access_token.into(),
            refresh: read.refresh_token.map(Into::into),
            id: read.id_token.map(Into::into),
            expires_at: read.expires_at.map(Duration::from_secs),
            sends_id: read.sends_id,
        };
        let all = [Some(&tokens.access), tokens.refresh.as_ref(), tokens.id.as_ref()];
        if !all.into_iter().flatten().all(|token| is_token(token)) || (tokens.sends_id && tokens.id.is_none())
        {
            return Err(refuse("tokens that a header can carry"));
        }
        let parameters = LoginParameters {
            issuer: read.issuer,
            client_id: read.client_id,
            client_secret: read.client_secret.map(Into::into),
            scope: read.scope,
            resource: read.resource,
            sends_id: read.sends_id,
            token_endpoint,
            is_published_endpoint: read.is_published_endpoint,
            start: Start::Refresh,
        };
        Ok(Self { server: read.server, parameters, tokens })
    }
}

impl fmt::Debug for SavedLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SavedLogin")
            .field("parameters", &self.parameters)
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}
