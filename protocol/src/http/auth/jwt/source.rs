//! Where an issuer publishes its keys, and the questions that load them.

use super::super::{AuthError, AuthRequest};
use super::cache::DOCUMENT_TIME;
use super::key_set::KeySet;
use crate::effect::Question;
use crate::http::documents::{LoadDocument, openid_configuration, whole};
use serde::Deserialize;
use std::borrow::Cow;
use std::time::Duration;

/// The maximum size of a document, in bytes.
const MAX_DOCUMENT: usize = 256 << 10;

/// Where an issuer publishes its keys.
pub(super) enum Source {
    /// The key set is the document at this URL.
    KeySet(String),
    /// The document at this URL names the URL of the key set.
    Discovery(String),
}

/// The metadata of a provider. OpenID Connect Discovery 1.0, section 3.
#[derive(Deserialize)]
struct Provider {
    issuer: String,
    jwks_uri: String,
}

impl Source {
    pub(super) fn new(issuer: &str, key_set_url: Option<String>) -> Self {
        key_set_url.map_or_else(|| Self::Discovery(openid_configuration(issuer)), Self::KeySet)
    }

    /// Returns when this request asked for the first document, if it has been loaded since or loading has failed.
    pub(super) fn answered_since(&self, request: &AuthRequest<'_>) -> Option<Duration> {
        let (Self::KeySet(first) | Self::Discovery(first)) = self;
        request.answered_since(&key(first))
    }

    /// Returns the keys once the driver has loaded them.
    pub(super) fn load(&self, issuer: &str, request: &AuthRequest<'_>) -> Result<KeySet, AuthError> {
        let url = match self {
            Self::KeySet(url) => Cow::Borrowed(url),
            Self::Discovery(url) => Cow::Owned(discover(issuer, &document(url, request)?)?),
        };
        KeySet::parse(&document(&url, request)?).map_err(|detail| unusable(&url, &detail))
    }
}

/// Returns the URL of the keys from the issuer's metadata.
fn discover(issuer: &str, document: &[u8]) -> Result<String, AuthError> {
    let provider: Provider = serde_json::from_slice(document).map_err(|error| {
        unusable(issuer, &format!("expected the metadata of an OpenID provider: {error}"))
    })?;
    if provider.issuer != issuer {
        let detail = format!("expected the metadata of this issuer, got those of {:?}", provider.issuer);
        return Err(unusable(issuer, &detail));
    }
    if issuer.starts_with("https:") && !provider.jwks_uri.starts_with("https:") {
        return Err(unusable(issuer, "expected an https URL of the keys, got another"));
    }
    Ok(provider.jwks_uri)
}

fn unusable(place: &str, detail: &str) -> AuthError {
    let detail = crate::OneLine(format_args!("{place}: {detail}")).to_string();
    AuthError::Unavailable { retry_after: 5, detail }
}

fn key(url: &str) -> String {
    format!("vgi_rpc.jwt {url}")
}

fn document<'a>(url: &str, request: &AuthRequest<'a>) -> Result<Cow<'a, [u8]>, AuthError> {
    let key = key(url);
    let question = || {
        Question::new(LoadDocument { url: url.to_owned(), max_bytes: MAX_DOCUMENT })
            .shared_as(&*key)
            .time_limit(DOCUMENT_TIME)
    };
    let answer = request.ask(&key, question)?;
    whole(answer, MAX_DOCUMENT).map_err(|text| unusable(url, &text))
}
