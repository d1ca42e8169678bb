//! From a request's head to what the request is for: start-up, routes, authentication, what every call's head must
//! say. What is wrong with a head is answered here.

use super::auth::{AuthError, AuthRequest};
use super::call::Target;
use super::endpoint::{Endpoint, Settings};
use super::reply::Reply;
use super::route::{Part, Route};
use super::visit::Visit;
use super::{budget, coding, headers};
use crate::service::resolve::{built_in, find, not_implemented, not_supported};
use crate::service::{AuthContext, TransportKind};
use crate::wire::error::RpcError;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What is below it is open to everybody, whatever the prefix is.
const WELL_KNOWN: &str = "/.well-known/";

impl Endpoint {
    /// Whether a request is answered without asking who sent it.
    pub(super) fn is_open(&self, head: &Parts) -> bool {
        let path = head.uri.path();
        head.method == Method::OPTIONS
            || path.starts_with(WELL_KNOWN)
            || Route::of(&self.settings.prefix, path) == Route::Health
    }

    /// Says what a request is for, or answers it.
    pub(super) fn admit(&self, visit: &mut Visit) -> Result<Target, Box<Reply>> {
        if self.service.start(TransportKind::Http).is_err() {
            // Nobody is authenticated yet, and why a service does not start is no stranger's business.
            let text = "the service could not be started\n";
            return Err(
                Reply::new(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", text).into()
            );
        }
        let path = visit.head.uri.path().to_owned();
        let method = visit.head.method.clone();
        let route = Route::of(&self.settings.prefix, &path);
        if method == Method::OPTIONS {
            return Err(self.options(visit, route).into());
        }
        if route == Route::Health {
            return Err(self.read_only(&method, || self.health()).into());
        }
        if path.starts_with(WELL_KNOWN) {
            // Nothing is served there, and nothing else may be said to everybody.
            return Err(self.pages.not_found().into());
        }
        self.authenticate(visit)?;
        let posted = method == Method::POST;
        match route {
            Route::Landing if self.settings.human_pages => {
                Err(self.page(&method, || self.pages.landing()).into())
            }
            Route::Describe if self.settings.human_pages => {
                Err(self.page(&method, || self.pages.describe()).into())
            }
            Route::Session if self.sessions.is_some() => match method {
                Method::DELETE => Ok(Target::EndSession),
                _ => Err(not_allowed("DELETE").into()),
            },
            Route::UploadUrl if self.uploads.is_some() => {
                if !posted {
                    return Err(not_allowed("POST").into());
                }
                self.check_request(visit)?;
                Ok(Target::UploadUrl)
            }
            Route::UploadUrl if posted => {
                let error = not_implemented("this server vends no URLs to upload to".into());
                Err(self.refusal(visit, StatusCode::NOT_FOUND, &error).into())
            }
            Route::Reserved(name) if posted => {
                let error = match built_in(name) {
                    Err(error) => error,
                    Ok(_) => RpcError::not_implemented(format!("{name:?} is for byte streams")),
                };
                Err(self.refusal(visit, StatusCode::NOT_FOUND, &error).into())
            }
            Route::Method { protocol, method: name, part } => {
                self.admit_call(visit, posted, protocol, name, part)
            }
            _ => Err(self.pages.not_found().into()),
        }
    }

    fn admit_call(
        &self,
        visit: &mut Visit,
        posted: bool,
        protocol: &str,
        name: &str,
        part: Part,
    ) -> Result<Target, Box<Reply>> {
        if !posted {
            // Any path of two segments looks like a method's. It is one only if the protocol is hosted.
            let hosted = self.service.hosted(protocol).is_some();
            return Err(if hosted { not_allowed("POST") } else { self.pages.not_found() }.into());
        }
        let not_found = |error| Box::new(self.refusal(visit, StatusCode::NOT_FOUND, &error));
        if protocol.contains('%') {
            let shown = "whose name in the path has a percent sign, as no protocol's name has";
            let hosted = self.service.protocols().map(|info| info.name.as_str());
            return Err(not_found(not_supported(shown, hosted)));
        }
        let (_, found) = find(&self.service, protocol, name).map_err(not_found)?;
        self.check_request(visit)?;
        Ok(Target::Method(found, part))
    }

    /// What must hold of the head of every request with an Arrow body.
    fn check_request(&self, visit: &mut Visit) -> Result<(), Box<Reply>> {
        let refuse = |visit: &Visit, status, error: RpcError| Box::new(self.refusal(visit, status, &error));
        let accepted = budget::accepted(&visit.head.headers).map_err(|error| {
            refuse(visit, StatusCode::BAD_REQUEST, RpcError::value_error(error.to_string()))
        })?;
        let Settings { max_response_bytes, preferred_response_bytes, .. } = self.settings;
        visit.budget = budget::effective(max_response_bytes, accepted, preferred_response_bytes);
        if !headers::is_media_type(&visit.head.headers, headers::ARROW_STREAM) {
            let text = format!("expected the content type {:?}", headers::ARROW_STREAM);
            return Err(refuse(visit, StatusCode::UNSUPPORTED_MEDIA_TYPE, RpcError::type_error(text)));
        }
        visit.coding = coding::of_request(&visit.head.headers).map_err(|error| {
            refuse(visit, StatusCode::UNSUPPORTED_MEDIA_TYPE, RpcError::value_error(error.to_string()))
        })?;
        let length = visit.header(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        if length.is_some_and(|length| length > self.max_body_bytes()) {
            return Err(self.too_large(visit).into());
        }
        Ok(())
    }

    fn authenticate(&self, visit: &mut Visit) -> Result<(), Box<Reply>> {
        let Some(authenticator) = &self.authenticator else { return Ok(()) };
        let request = AuthRequest {
            parts: &visit.head,
            remote_address: visit.peer.remote_address.as_deref(),
            now: visit.now,
        };
        // A panic is an authenticator's failure like any other.
        let asked = catch_unwind(AssertUnwindSafe(|| authenticator.authenticate(&request)));
        let auth = asked
            .unwrap_or_else(|_| Err(AuthError::Failed("the authenticator panicked".into())))
            .map_err(|error| self.unauthenticated(visit, error))?;
        if auth != AuthContext::anonymous() {
            Arc::make_mut(&mut visit.peer).auth = auth;
        }
        Ok(())
    }

    fn unauthenticated(&self, visit: &Visit, error: AuthError) -> Box<Reply> {
        let reply = match error {
            AuthError::Refused(failure) | AuthError::Denied(failure) => {
                self.refuser.refuse(&failure, &visit.head.headers).into()
            }
            AuthError::Unavailable { retry_after, .. } => {
                super::unauthorized::unavailable(retry_after).into()
            }
            AuthError::Failed(_) => {
                // What went wrong inside is for the operator, who is told by the authenticator itself.
                let text = "the request could not be authenticated\n";
                Reply::new(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", text)
            }
        };
        reply.into()
    }

    fn options(&self, visit: &Visit, route: Route<'_>) -> Reply {
        let allowed = match route {
            Route::Server if self.sessions.is_some() => "GET, HEAD, POST, DELETE, OPTIONS",
            Route::Server => "GET, HEAD, POST, OPTIONS",
            Route::Health => "GET, HEAD, OPTIONS",
            Route::Landing | Route::Describe if self.settings.human_pages => "GET, HEAD, OPTIONS",
            Route::Session if self.sessions.is_some() => "DELETE, OPTIONS",
            Route::UploadUrl if self.uploads.is_some() => "POST, OPTIONS",
            Route::Reserved(_) | Route::Method { .. } => "POST, OPTIONS",
            _ => return self.pages.not_found(),
        };
        let mut reply = Reply::empty(StatusCode::OK).with(ALLOW, HeaderValue::from_static(allowed));
        if let Some(cors) = &self.settings.cors {
            cors.preflight(&visit.head.headers, allowed, &mut reply.headers);
        }
        reply
    }

    fn read_only(&self, method: &Method, page: impl FnOnce() -> Reply) -> Reply {
        match *method {
            Method::GET | Method::HEAD => page(),
            _ => not_allowed("GET, HEAD, OPTIONS"),
        }
    }

    /// A page. Where callers are authenticated no cache keeps it, because a cache lets anyone in.
    fn page(&self, method: &Method, page: impl FnOnce() -> Reply) -> Reply {
        let reply = self.read_only(method, page);
        match self.authenticator {
            Some(_) => reply.with(CACHE_CONTROL, HeaderValue::from_static("no-store")),
            None => reply,
        }
    }

    fn health(&self) -> Reply {
        let primary = self.service.protocols().next().map(|info| info.name.as_str()).unwrap_or_default();
        let body = serde_json::json!({
            "status": "ok",
            "server_id": &**self.service.server_id(),
            "protocol": primary,
        });
        Reply::new(StatusCode::OK, "application/json", body.to_string())
    }
}

fn not_allowed(allowed: &'static str) -> Reply {
    Reply::empty(StatusCode::METHOD_NOT_ALLOWED).with(ALLOW, HeaderValue::from_static(allowed))
}
