//! From a request's head to what the request is for: routes, authentication, what every call's head must say. What is
//! wrong with a head is answered here.

use crate::effect::Ask;
use crate::http::auth::{AuthError, AuthRequest, Found};
use crate::http::endpoint::{Endpoint, Settings};
use crate::http::reply::Reply;
use crate::http::routes::{Action, Found as Path, Names, Part};
use crate::http::visit::Visit;
use crate::http::{budget, coding, headers};
use crate::panics;
use crate::service::refusals::not_implemented;
use crate::service::resolve::{built_in, find};
use crate::service::{AuthContext, Method as ServiceMethod};
use crate::wire::error::RpcError;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, HeaderValue};
use http::{Method, StatusCode};
use std::sync::Arc;

/// What a request with a body or a session is for.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Method(Arc<ServiceMethod>, Part),
    UploadUrls,
    /// There is no body to this.
    EndSession,
}

/// What a head comes to.
pub(super) enum Admitted {
    /// The body does not matter: this is the answer.
    Reply(Reply),
    Target(Target),
    /// This must be known first.
    Ask(Ask),
}

impl From<Reply> for Admitted {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

impl Endpoint {
    /// Says what a request is for, or answers it. `may_ask` is false when its authenticator has asked enough.
    pub(super) fn admit(&self, visit: &mut Visit, found: &Found, may_ask: bool) -> Admitted {
        // A clone shares the bytes.
        let uri = visit.head.uri.clone();
        let place = self.route(uri.path());
        if visit.head.method == Method::OPTIONS {
            return self.options(visit, &place).into();
        }
        let is_open = match &place {
            Path::Row { is_open, .. } => *is_open,
            Path::NothingOpen => true,
            Path::Server | Path::Nothing => false,
        };
        if !is_open {
            match self.authenticate(visit, found) {
                Ok(()) => {}
                Err(AuthError::Ask(ask)) if may_ask => return Admitted::Ask(ask),
                Err(error) => return self.unauthenticated(visit, error).into(),
            }
        }
        let Path::Row { action, methods, names, .. } = &place else { return self.pages.not_found().into() };
        if !methods.contains(&visit.head.method) {
            // Any path of two segments looks like a method's. It is one only if the protocol is hosted.
            return match action {
                Action::Call(_) if self.service.hosted(names.protocol).is_none() => self.pages.not_found(),
                _ => self.not_allowed(&place),
            }
            .into();
        }
        self.act(visit, *action, names)
    }

    fn act(&self, visit: &mut Visit, action: Action, names: &Names<'_>) -> Admitted {
        let not_found = |visit: &Visit, error| self.refusal(visit, StatusCode::NOT_FOUND, &error).into();
        match action {
            Action::Landing => self.page(self.pages.landing()).into(),
            Action::Describe => self.page(self.pages.describe()).into(),
            Action::Health => self.health().into(),
            Action::EndSession => Admitted::Target(Target::EndSession),
            Action::UploadUrls => match self.check_request(visit) {
                Ok(()) => Admitted::Target(Target::UploadUrls),
                Err(reply) => (*reply).into(),
            },
            Action::NoUploadUrls => {
                not_found(visit, not_implemented("this server vends no URLs to upload to".into()))
            }
            Action::Reserved => match built_in(&names.method) {
                Err(error) => not_found(visit, error),
                Ok(_) => {
                    let text = format!("{:?} is for byte streams", names.method);
                    not_found(visit, RpcError::not_implemented(text))
                }
            },
            Action::Call(part) => match find(&self.service, names.protocol, &names.method) {
                Err(error) => not_found(visit, error),
                Ok((_, method)) => self.admit_call(visit, method, part),
            },
        }
    }

    fn admit_call(&self, visit: &mut Visit, method: Arc<crate::service::Method>, part: Part) -> Admitted {
        match self.check_request(visit) {
            Ok(()) => Admitted::Target(Target::Method(method, part)),
            Err(reply) => (*reply).into(),
        }
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

    fn authenticate(&self, visit: &mut Visit, found: &Found) -> Result<(), AuthError> {
        let Some(authenticator) = &self.authenticator else { return Ok(()) };
        let remote_address = visit.peer.remote_address.as_deref();
        let request = AuthRequest::new(&visit.head, remote_address, visit.now).with_found(found);
        // A panic is an authenticator's failure like any other.
        let asked = panics::catch(|| authenticator.authenticate(&request));
        let auth = asked.unwrap_or_else(|| Err(AuthError::Failed("the authenticator panicked".into())))?;
        if auth != AuthContext::anonymous() {
            Arc::make_mut(&mut visit.peer).auth = auth;
        }
        Ok(())
    }

    fn unauthenticated(&self, visit: &Visit, error: AuthError) -> Reply {
        if let Some(report) = &self.on_auth_failure {
            // What goes wrong in it is not the client's matter.
            panics::catch(|| report(&error));
        }
        match error {
            AuthError::Refused(failure) | AuthError::Denied(failure) => {
                self.refuser.refuse(&failure, &visit.head.headers).into()
            }
            AuthError::Unavailable { retry_after, .. } => {
                crate::http::unauthorized::unavailable(retry_after).into()
            }
            AuthError::Failed(_) | AuthError::Ask(_) => {
                // What went wrong inside is for the operator, who is told by the authenticator itself.
                let text = "the request could not be authenticated\n";
                Reply::text(StatusCode::INTERNAL_SERVER_ERROR, text)
            }
        }
    }

    fn options(&self, visit: &Visit, place: &Path<'_>) -> Reply {
        let Some(allowed) = self.allowed(place) else { return self.pages.not_found() };
        let Ok(allow) = HeaderValue::try_from(&allowed) else { return self.pages.not_found() };
        let mut reply = Reply::empty(StatusCode::OK);
        if let Some(cors) = &self.settings.cors {
            cors.preflight(&visit.head.headers, &allow, &mut reply.headers);
        }
        reply.with(ALLOW, allow)
    }

    fn not_allowed(&self, place: &Path<'_>) -> Reply {
        let allow = self.allowed(place).and_then(|allowed| HeaderValue::try_from(allowed).ok());
        let reply = Reply::empty(StatusCode::METHOD_NOT_ALLOWED);
        match allow {
            Some(allow) => reply.with(ALLOW, allow),
            None => reply,
        }
    }

    /// A page. Where callers are authenticated no cache keeps it, because a cache lets anyone in.
    fn page(&self, page: Reply) -> Reply {
        match self.authenticator {
            Some(_) => page.with(CACHE_CONTROL, HeaderValue::from_static("no-store")),
            None => page,
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
