//! The exchange of codes for pages of other origins, and for programs: they may not have the client's secret, which this server adds.

use super::login::Login;
use super::provider::ProviderUrls;
use crate::effect::{Completion, Question};
use crate::http::auth::{AuthError, AuthRequest};
use crate::http::documents::FormAnswer;
use crate::http::headers::{is_media_type, vary};
use crate::http::response_draft::ResponseDraft;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONTENT_TYPE, ORIGIN,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;
use std::ops::ControlFlow;
use std::sync::Arc;
use url::form_urlencoded;

/// The most bytes of a form.
pub(crate) const MAX_FORM_BYTES: u64 = 16 << 10;

/// What a page may ask for. Anything else would let it act as the client itself.
const GRANT_TYPES: [&str; 2] = ["authorization_code", "refresh_token"];
/// The members of a form that are passed on.
const PASSED_ON: [&str; 5] = ["code", "code_verifier", "redirect_uri", "refresh_token", "scope"];

/// The error of a token endpoint. RFC 6749, section 5.2.
fn error(status: StatusCode, error: &str, description: &str) -> ResponseDraft {
    let body = json!({"error": error, "error_description": description});
    let draft = ResponseDraft::new(status, "application/json", body.to_string());
    draft.with(CACHE_CONTROL, HeaderValue::from_static("no-store"))
}

impl Login {
    /// Looks at the head of an exchange. It goes on with the authorization server, or breaks off with an answer.
    ///
    /// # Errors
    /// When the authorization server is to be asked for its metadata first.
    pub(crate) fn admit_exchange(
        &self,
        request: &AuthRequest<'_>,
    ) -> Result<ControlFlow<ResponseDraft, Arc<ProviderUrls>>, AuthError> {
        let headers = &request.parts.headers;
        if !is_media_type(headers, "application/x-www-form-urlencoded") {
            let text = "expected the content type application/x-www-form-urlencoded";
            return Ok(ControlFlow::Break(error(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "invalid_request",
                text,
            )));
        }
        // A browser names the origin of the page. A program, which could name any, is a client that has signed a person in by itself.
        if headers.contains_key(ORIGIN) && self.granted_origin(headers).is_none() {
            let text = "expected a page of an origin that this server knows";
            return Ok(ControlFlow::Break(error(StatusCode::FORBIDDEN, "invalid_request", text)));
        }
        match self.provider.urls(request) {
            Ok(urls) => Ok(ControlFlow::Continue(urls)),
            Err(AuthError::Ask(ask)) => Err(AuthError::Ask(ask)),
            Err(_) => Ok(ControlFlow::Break(unreachable())),
        }
    }

    /// What the driver is asked for a form.
    ///
    /// # Errors
    /// When the form is none that is passed on: the answer.
    pub(crate) fn exchange_of(
        &self,
        urls: &ProviderUrls,
        form: &[u8],
    ) -> Result<Question, Box<ResponseDraft>> {
        let bad = |kind, text: &str| Box::new(error(StatusCode::BAD_REQUEST, kind, text));
        if form.len() as u64 > MAX_FORM_BYTES {
            let text = "expected a form of at most 16384 bytes";
            return Err(Box::new(error(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", text)));
        }
        let pairs: Vec<_> = form_urlencoded::parse(form).collect();
        let once = |name: &str| {
            let mut values = pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| &**value);
            let value = values.next().filter(|value| !value.is_empty());
            match values.next() {
                None => Ok(value),
                Some(_) => Err(bad("invalid_request", "a parameter is there twice")),
            }
        };
        let grant_type = once("grant_type")?.unwrap_or_default();
        if !GRANT_TYPES.contains(&grant_type) {
            let text = "expected the grant type authorization_code or refresh_token";
            return Err(bad("unsupported_grant_type", text));
        }
        if once("client_id")?.is_some_and(|id| id != self.client_id) {
            return Err(bad("invalid_client", "expected the client id of this server"));
        }
        let mut members = vec![("grant_type", grant_type), ("client_id", &self.client_id)];
        members.extend(self.client_secret.as_ref().map(|secret| ("client_secret", secret.as_str())));
        for name in PASSED_ON {
            members.extend(once(name)?.map(|value| (name, value)));
        }
        Ok(urls.exchange(&members))
    }

    /// Adds to an answer that the page of a known origin may read it.
    pub(crate) fn expose_exchange(&self, request: &HeaderMap, response: &mut HeaderMap) {
        vary(response, &[&ORIGIN]);
        if let Some(origin) = self.granted_origin(request) {
            response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        }
    }

    /// Adds to the answer to an `OPTIONS` request that the page of a known origin may send a form.
    pub(crate) fn preflight_exchange(&self, request: &HeaderMap, response: &mut HeaderMap) {
        self.expose_exchange(request, response);
        if self.granted_origin(request).is_some() {
            response.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST, OPTIONS"));
            response.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("content-type"));
            response.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
        }
    }

    fn granted_origin<'a>(&self, request: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let origin = request.get(ORIGIN)?;
        self.return_origins.iter().any(|known| known.as_bytes() == origin.as_bytes()).then_some(origin)
    }
}

/// The answer to an exchange: that of the authorization server, as it is.
pub(crate) fn proxied(completion: &Completion) -> ResponseDraft {
    let answer = match completion {
        Completion::Value(value) => value.downcast_ref::<FormAnswer>(),
        _ => None,
    };
    let answer = answer.and_then(|answer| {
        let status = StatusCode::from_u16(answer.status).ok()?;
        // A redirect, or the beginning of an answer, is none of this server's.
        let is_answer = status.is_success() || status.is_client_error() || status.is_server_error();
        is_answer.then_some((status, answer))
    });
    let Some((status, answer)) = answer else { return unreachable() };
    let mut draft = ResponseDraft::new(status, "application/json", answer.body.clone());
    // Of another type only if it says so: nothing but JSON is to be rendered as a page of this origin.
    if answer
        .content_type
        .as_deref()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("application/x-www-form-urlencoded"))
    {
        draft.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    }
    draft.with(CACHE_CONTROL, HeaderValue::from_static("no-store"))
}

fn unreachable() -> ResponseDraft {
    error(StatusCode::BAD_GATEWAY, "server_error", "the authorization server could not be asked")
}
