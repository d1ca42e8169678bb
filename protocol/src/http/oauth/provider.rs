//! The authorization server: its metadata, and requests to its token endpoint. OpenID Connect Discovery 1.0; RFC 6749, section
//! 4.1.3.

use crate::effect::Question;
use crate::http::auth::{AuthError, AuthRequest};
use crate::http::documents::{FormResponse, LoadDocument, PostForm, openid_configuration, whole};
use crate::location::Location;
use serde::Deserialize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use url::form_urlencoded::Serializer;

/// The maximum size of an authorization server's response, in bytes.
const MAX_ANSWER: usize = 64 << 10;
/// The time limit of a request to an authorization server.
const TIME_LIMIT: Duration = Duration::from_secs(15);
/// How long metadata is used before it is loaded again. After a failed load, the next request loads it again.
const KEPT: Duration = Duration::from_secs(600);
/// How long metadata is used while it cannot be loaded again.
const KEPT_IN_OUTAGES: Duration = Duration::from_secs(24 * 3600);

/// The authorization server of a login.
pub(super) struct Provider {
    issuer: String,
    known: Mutex<Option<(Arc<ProviderUrls>, Duration)>>,
}

/// The endpoints of an authorization server.
#[derive(Debug)]
pub(crate) struct ProviderUrls {
    /// The authorization endpoint, where users sign in.
    pub(super) authorization: Location,
    /// The token endpoint, where codes are exchanged.
    pub(super) token: Location,
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
}

impl Provider {
    pub(super) fn new(issuer: impl Into<String>) -> Self {
        Self { issuer: issuer.into(), known: Mutex::default() }
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the endpoints. Asks for the metadata if none was loaded recently.
    pub(super) fn urls(&self, request: &AuthRequest<'_>) -> Result<Arc<ProviderUrls>, AuthError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = known.as_ref().map(|(urls, at)| (urls.clone(), request.now.saturating_sub(*at)));
        if let Some((urls, age)) = &kept
            && *age < KEPT
        {
            return Ok(urls.clone());
        }
        let url = openid_configuration(&self.issuer);
        let key = format!("vgi_rpc.oauth {url}");
        let question = || {
            Question::new(LoadDocument { url: url.clone(), max_bytes: MAX_ANSWER })
                .shared_as(&key)
                .time_limit(TIME_LIMIT)
        };
        let loaded = request.ask(&key, question).and_then(|answer| {
            let document = whole(answer, MAX_ANSWER).map_err(|text| self.unusable(&text))?;
            self.read(&document).map(Arc::new)
        });
        match (loaded, kept) {
            (Ok(urls), _) => {
                *known = Some((urls.clone(), request.now));
                Ok(urls)
            }
            (Err(AuthError::Unavailable { .. }), Some((urls, age))) if age < KEPT_IN_OUTAGES => Ok(urls),
            (Err(error), _) => Err(error),
        }
    }

    fn read(&self, document: &[u8]) -> Result<ProviderUrls, AuthError> {
        let metadata: Metadata =
            serde_json::from_slice(document).map_err(|error| self.unusable(&error.to_string()))?;
        if metadata.issuer != self.issuer {
            return Err(self.unusable("expected the metadata of this issuer, got another's"));
        }
        let url = |text: &str| {
            let location =
                Location::parse(text).map_err(|_| self.unusable("expected a URL, got another text"))?;
            let scheme = location.url().scheme();
            // Secrets are sent to these URLs: an https issuer must not name an http URL.
            match scheme == "https" || (scheme == "http" && self.issuer.starts_with("http:")) {
                true => Ok(location),
                false => Err(self.unusable("expected an https URL, got another")),
            }
        };
        Ok(ProviderUrls {
            authorization: url(&metadata.authorization_endpoint)?,
            token: url(&metadata.token_endpoint)?,
        })
    }

    fn unusable(&self, detail: &str) -> AuthError {
        let detail = crate::OneLine(format_args!("{}: {detail}", self.issuer)).to_string();
        AuthError::Unavailable { retry_after: 5, detail }
    }
}

impl ProviderUrls {
    /// Returns the question that asks the driver to exchange this form for tokens.
    pub(super) fn exchange(&self, members: &[(&str, &str)]) -> Question {
        let form = Serializer::new(String::new()).extend_pairs(members).finish();
        Question::new(PostForm::new(self.token.as_str(), form, MAX_ANSWER)).time_limit(TIME_LIMIT)
    }

    /// Exchanges a form for tokens, once for this request.
    pub(super) fn exchanged<'a>(
        &self,
        request: &AuthRequest<'a>,
        members: &[(&str, &str)],
    ) -> Result<&'a FormResponse, AuthError> {
        let answer = request.ask("vgi_rpc.oauth.exchange", || self.exchange(members))?;
        answer
            .value::<FormResponse>()
            .ok_or_else(|| AuthError::Failed("the driver did not answer a form".into()))
    }
}
