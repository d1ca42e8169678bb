//! The exchange of codes for pages of other origins, and for programs: they may not have the client's secret, which this server adds.

use super::login::Login;
use super::provider::ProviderUrls;
use super::targets;
use crate::effect::{Completion, Question};
use crate::http::auth::{AuthError, AuthRequest};
use crate::http::documents::FormAnswer;
use crate::http::headers::{is_media_type, vary};
use crate::http::response_draft::ResponseDraft;
use crate::http::slots::Slot;
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, ORIGIN, RETRY_AFTER,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Map, Value, json};
use std::ops::ControlFlow;
use std::sync::Arc;
use url::form_urlencoded;

/// The most bytes of a form.
pub(crate) const MAX_FORM_BYTES: u64 = 16 << 10;

/// The members of a form that are passed on.
const PASSED_ON: [&str; 6] = ["code", "code_verifier", "redirect_uri", "refresh_token", "resource", "scope"];

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
        headers: &HeaderMap,
        form: &[u8],
    ) -> Result<(Question, Slot), Box<ResponseDraft>> {
        let bad = |kind, text: &str| Box::new(error(StatusCode::BAD_REQUEST, kind, text));
        if form.len() as u64 > MAX_FORM_BYTES {
            return Err(Box::new(form_too_large()));
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
        // Anything else would let a page act as the client itself.
        let grant_type = match once("grant_type")? {
            Some("authorization_code") => "authorization_code",
            Some("refresh_token") if self.gives_refresh_tokens => "refresh_token",
            _ => {
                let text = "expected the grant type authorization_code, or refresh_token where pages are given these";
                return Err(bad("unsupported_grant_type", text));
            }
        };
        if grant_type == "authorization_code" {
            let redirect = once("redirect_uri")?.unwrap_or_default();
            if !self.may_redeem(headers.get(ORIGIN), redirect) {
                let text = "expected the redirect_uri of a known page of this origin, or of a program on its own machine";
                return Err(bad("invalid_request", text));
            }
            if once("code_verifier")?.is_none() {
                return Err(bad("invalid_request", "expected a code_verifier"));
            }
        }
        if once("client_id")?.is_some_and(|id| id != self.client_id) {
            return Err(bad("invalid_client", "expected the client id of this server"));
        }
        let mut members = vec![("grant_type", grant_type), ("client_id", &self.client_id)];
        members.extend(self.client_secret.as_ref().map(|secret| ("client_secret", secret.as_str())));
        for name in PASSED_ON {
            members.extend(once(name)?.map(|value| (name, value)));
        }
        let slot = self.exchanges.take().ok_or_else(|| {
            let text = "too many exchanges are under way";
            let draft = error(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", text);
            Box::new(draft.with(RETRY_AFTER, HeaderValue::from_static("1")))
        })?;
        Ok((urls.exchange(&members), slot))
    }

    /// Whether whoever sends a form may redeem a code that was sent to this URL: a page its own, and a program one of its own machine.
    /// The codes of other pages, and of this server's own login, are for others.
    fn may_redeem(&self, origin: Option<&HeaderValue>, redirect: &str) -> bool {
        let Some(origin) = origin else {
            let own = targets::page(redirect).filter(targets::is_loopback);
            return own.is_some() && redirect != self.redirect_uri();
        };
        let page = targets::external(redirect, &self.return_pages);
        page.is_some_and(|page| page.url().origin().ascii_serialization().as_bytes() == origin.as_bytes())
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
        self.page_origins.iter().any(|known| known.as_bytes() == origin.as_bytes()).then_some(origin)
    }

    /// The answer to an exchange: that of the authorization server.
    pub(crate) fn exchanged(&self, completion: &Completion, report: &dyn Fn(&AuthError)) -> ResponseDraft {
        let answer = match completion {
            Completion::Value(value) => value.downcast_ref::<FormAnswer>(),
            _ => None,
        };
        // A redirect is none of this server's, and a 401 says that the secret of this server is wrong.
        let is_passed_on = |status: &StatusCode| {
            status.is_success()
                || (status.is_client_error() && *status != StatusCode::UNAUTHORIZED)
                || status.is_server_error()
        };
        let passed_on = answer.and_then(|answer| {
            let status = StatusCode::from_u16(answer.status).ok().filter(is_passed_on)?;
            Some((status, self.tokens_of_page(status, &answer.body)?))
        });
        let Some((status, body)) = passed_on else {
            let status = answer.map_or_else(|| "none".to_owned(), |answer| answer.status.to_string());
            let text =
                format!("the authorization server did not exchange the code of a page: status {status}");
            report(&AuthError::Failed(text));
            return unreachable();
        };
        let draft = ResponseDraft::new(status, "application/json", body);
        draft.with(CACHE_CONTROL, HeaderValue::from_static("no-store"))
    }

    /// What a page is given of an answer. `None` if that cannot be read.
    fn tokens_of_page(&self, status: StatusCode, body: &Bytes) -> Option<Bytes> {
        if self.gives_refresh_tokens || !status.is_success() {
            return Some(body.clone());
        }
        let mut tokens: Map<String, Value> = serde_json::from_slice(body).ok()?;
        tokens.remove("refresh_token");
        Some(Value::from(tokens).to_string().into())
    }
}

/// The answer to a form that is too long.
pub(crate) fn form_too_large() -> ResponseDraft {
    error(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", "expected a form of at most 16384 bytes")
}

fn unreachable() -> ResponseDraft {
    error(StatusCode::BAD_GATEWAY, "server_error", "the authorization server could not be asked")
}
