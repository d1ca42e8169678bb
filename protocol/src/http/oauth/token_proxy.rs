//! Exchanges codes for pages of other origins and for native programs. They do not know the client's secret; this server adds
//! it.

use super::browser_login::Login;
use super::provider::ProviderUrls;
use super::targets;
use crate::effect::{Completion, Question};
use crate::http::auth::{AuthError, AuthRequest};
use crate::http::documents::FormResponse;
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

/// The maximum size of a form, in bytes.
pub(crate) const MAX_FORM_BYTES: u64 = 16 << 10;

/// The form fields that are forwarded.
const PASSED_ON: [&str; 6] = ["code", "code_verifier", "redirect_uri", "refresh_token", "resource", "scope"];

/// Returns an error response of a token endpoint. RFC 6749, section 5.2.
fn error(status: StatusCode, error: &str, description: &str) -> ResponseDraft {
    let body = json!({"error": error, "error_description": description});
    let draft = ResponseDraft::new(status, "application/json", body.to_string());
    draft.with(CACHE_CONTROL, HeaderValue::from_static("no-store"))
}

impl Login {
    /// Checks the head of an exchange. Returns either the authorization server's endpoints or a response that ends the
    /// exchange.
    ///
    /// # Errors
    /// If the authorization server must be asked for its metadata first.
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
        // A browser sends the page's origin. A program could send any origin; it is a client that has signed its user in by
        // itself.
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

    /// Returns the question that asks the driver to send a form.
    ///
    /// # Errors
    /// If the form must not be forwarded. The error is the response.
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
                Some(_) => Err(bad("invalid_request", "a parameter occurs twice")),
            }
        };
        // Any other grant type would let a page act as the client itself.
        let grant_type = match once("grant_type")? {
            Some("authorization_code") => "authorization_code",
            Some("refresh_token") if self.gives_refresh_tokens => "refresh_token",
            _ => {
                let text = "expected the grant type authorization_code, or refresh_token if pages may use it";
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
            let text = "too many exchanges are in progress";
            let draft = error(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", text);
            Box::new(draft.with(RETRY_AFTER, HeaderValue::from_static("1")))
        })?;
        Ok((urls.exchange(&members), slot))
    }

    /// Whether the sender of a form may redeem a code that was sent to this URL. A page may redeem its own codes, and a program
    /// the codes sent to its own machine, but not those of other pages or of this server's own login.
    fn may_redeem(&self, origin: Option<&HeaderValue>, redirect: &str) -> bool {
        let Some(origin) = origin else {
            let own = targets::page(redirect).filter(targets::is_loopback);
            return own.is_some() && redirect != self.redirect_uri();
        };
        let page = targets::external(redirect, &self.return_pages);
        page.is_some_and(|page| page.url().origin().ascii_serialization().as_bytes() == origin.as_bytes())
    }

    /// Adds the header fields that let a page of a known origin read the response.
    pub(crate) fn expose_exchange(&self, request: &HeaderMap, response: &mut HeaderMap) {
        vary(response, &[&ORIGIN]);
        if let Some(origin) = self.granted_origin(request) {
            response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        }
    }

    /// Adds to the response to a preflight request the header fields that let a page of a known origin send a form.
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

    /// Returns the response to an exchange, made from the authorization server's response.
    pub(crate) fn exchanged(&self, completion: &Completion, report: &dyn Fn(&AuthError)) -> ResponseDraft {
        let answer = match completion {
            Completion::Value(value) => value.downcast_ref::<FormResponse>(),
            _ => None,
        };
        // A redirect is not for this server's client, and a 401 means that this server's client secret is wrong.
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

    /// Returns the part of a token response that a page may have, or `None` if the response cannot be read.
    fn tokens_of_page(&self, status: StatusCode, body: &Bytes) -> Option<Bytes> {
        if self.gives_refresh_tokens || !status.is_success() {
            return Some(body.clone());
        }
        let mut tokens: Map<String, Value> = serde_json::from_slice(body).ok()?;
        tokens.remove("refresh_token");
        Some(Value::from(tokens).to_string().into())
    }
}

/// Returns the response to a form that is too long.
pub(crate) fn form_too_large() -> ResponseDraft {
    error(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", "expected a form of at most 16384 bytes")
}

fn unreachable() -> ResponseDraft {
    error(StatusCode::BAD_GATEWAY, "server_error", "the authorization server could not be reached")
}
