//! The authorization server: what it says of itself, and how it is asked for tokens. OpenID Connect Discovery 1.0; RFC 6749,
//! section 4.1.3.

use crate::effect::Question;
use crate::http::auth::{AuthError, AuthRequest};
use crate::http::documents::{FormAnswer, LoadDocument, PostForm, openid_configuration, whole};
use crate::location::Location;
use serde::Deserialize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use url::form_urlencoded::Serializer;

/// The most bytes of what an authorization server says.
const MAX_ANSWER: usize = 64 << 10;
/// How long it may take to say it.
const TIME_LIMIT: Duration = Duration::from_secs(15);
/// For how long what it says of itself is used. What it failed to say is asked for again at once.
const KEPT: Duration = Duration::from_secs(600);
/// For how long it is used while it cannot be asked again.
const KEPT_IN_OUTAGES: Duration = Duration::from_secs(24 * 3600);

/// The authorization server of a login.
pub(super) struct Provider {
    issuer: String,
    known: Mutex<Option<(Arc<ProviderUrls>, Duration)>>,
}

/// Where an authorization server is asked.
#[derive(Debug)]
pub(crate) struct ProviderUrls {
    /// Where people sign in.
    pub(super) authorization: Location,
    /// Where codes are exchanged.
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

    /// Where it is asked. Asks it for that, if it was not asked a while ago.
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
            // Secrets go there: an issuer that is spoken to in secret does not send them elsewhere in the clear.
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
    /// What a driver is asked, to exchange this form for tokens.
    pub(super) fn exchange(&self, members: &[(&str, &str)]) -> Question {
        let form = Serializer::new(String::new()).extend_pairs(members).finish();
        Question::new(PostForm::new(self.token.as_str(), form, MAX_ANSWER)).time_limit(TIME_LIMIT)
    }

    /// Exchanges a form for tokens, once for this request.
    pub(super) fn exchanged<'a>(
        &self,
        request: &AuthRequest<'a>,
        members: &[(&str, &str)],
    ) -> Result<&'a FormAnswer, AuthError> {
        let answer = request.ask("vgi_rpc.oauth.exchange", || self.exchange(members))?;
        answer
            .value::<FormAnswer>()
            .ok_or_else(|| AuthError::Failed("the driver did not give the answer to a form".into()))
    }
}
