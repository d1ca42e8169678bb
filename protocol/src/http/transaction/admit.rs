//! Admission: determines a request's target from its head by routes and authentication, and checks the head. Responds to an
//! invalid head.

use crate::effect::Ask;
#[cfg(feature = "oauth-pkce")]
use crate::effect::Completion;
use crate::http::auth::{AuthError, AuthFailure, AuthRequest, Found, Reason};
use crate::http::endpoint::{Endpoint, Settings};
#[cfg(feature = "oauth-pkce")]
use crate::http::oauth::{FlowContext, ProviderUrls};
use crate::http::request_context::RequestContext;
use crate::http::response_draft::ResponseDraft;
use crate::http::routes::{Action, Found as Path, Names, Part};
use crate::http::{budget, coding, headers};
use crate::panics;
use crate::peer_identity::{PeerAuthentication, PolicyError, ProviderStatus, Undecided};
use crate::service::hosting::{built_in, find, not_implemented};
use crate::service::peer::peer_query;
use crate::service::{AuthContext, Method as ServiceMethod};
use crate::wire::error::RpcError;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, HeaderValue};
use http::{Method, StatusCode};
#[cfg(feature = "oauth-pkce")]
use std::ops::ControlFlow;
use std::sync::Arc;

/// The `Retry-After`, in seconds, of a request whose peer could not be identified.
const PEER_RETRY_SECONDS: u32 = 5;

/// The target of a request with a body or a session.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Method(Arc<ServiceMethod>, Part),
    UploadUrls,
    /// Has no body.
    EndSession,
    /// Exchanges the code of a page of another origin.
    #[cfg(feature = "oauth-pkce")]
    ExchangeCode(Arc<ProviderUrls>),
}

impl Target {
    /// Whether it may belong to a session: it is a call, or ends the session.
    pub(super) fn may_have_session(&self) -> bool {
        matches!(self, Self::Method(..) | Self::EndSession)
    }
}

/// The result of admission.
pub(super) enum Admitted {
    /// The response. The body is ignored.
    Draft(ResponseDraft),
    Target(Target),
    /// This question must be answered first.
    Ask(Ask),
}

impl From<ResponseDraft> for Admitted {
    fn from(draft: ResponseDraft) -> Self {
        Self::Draft(draft)
    }
}

impl Endpoint {
    /// Determines the target of a request, or its response. `may_ask` is false if its authenticator has reached its limit of
    /// questions.
    pub(super) fn admit(&self, request: &mut RequestContext, found: &Found, may_ask: bool) -> Admitted {
        // A clone shares the bytes.
        let uri = request.head.uri.clone();
        let place = self.route(uri.path());
        if request.head.method == Method::OPTIONS {
            return self.options(request, &place).into();
        }
        let is_open = match &place {
            Path::Row { is_open, .. } => *is_open,
            Path::NothingOpen => true,
            Path::Server | Path::Nothing => false,
        };
        if !is_open {
            match self.authenticate(request, found) {
                Ok(()) => {}
                Err(AuthError::Ask(ask)) if may_ask => return Admitted::Ask(ask),
                Err(error) => return self.turned_away(request, found, may_ask, error),
            }
        }
        let Path::Row { action, methods, names, .. } = &place else { return self.pages.not_found().into() };
        if !methods.contains(&request.head.method) {
            // Any path of two segments looks like a method. It is one only if the protocol is hosted.
            return match action {
                Action::Call(_) if self.service.hosted(names.protocol).is_none() => self.pages.not_found(),
                _ => self.not_allowed(&place),
            }
            .into();
        }
        #[cfg(feature = "oauth-pkce")]
        if let Some(admitted) = self.act_for_login(request, found, may_ask, *action) {
            return admitted;
        }
        self.act(request, *action, names)
    }

    /// Handles a request that was not authenticated: the user may sign in.
    #[cfg_attr(not(feature = "oauth-pkce"), expect(unused_variables, reason = "used for logins only"))]
    fn turned_away(
        &self,
        request: &RequestContext,
        found: &Found,
        may_ask: bool,
        error: AuthError,
    ) -> Admitted {
        #[cfg(feature = "oauth-pkce")]
        if let (Some(login), AuthError::Refused(failure) | AuthError::Denied(failure)) = (&self.login, &error)
        {
            let report = |error: &AuthError| self.report(error);
            let around = self.surroundings(request, found, &report);
            if login.helps(&around.request, failure.reason) {
                match login.begin(&around) {
                    Ok(draft) => {
                        // A browser without a token is not worth a report to the operator.
                        if failure.reason != Reason::MissingCredential {
                            self.report(&error);
                        }
                        return draft.into();
                    }
                    Err(AuthError::Ask(ask)) if may_ask => return Admitted::Ask(ask),
                    // If the authorization server cannot be reached, the request is refused, and both are reported to the
                    // operator.
                    Err(failed) => self.report(&failed),
                }
            }
        }
        self.unauthenticated(request, error).into()
    }

    #[cfg(feature = "oauth-pkce")]
    fn surroundings<'a>(
        &'a self,
        request: &'a RequestContext,
        found: &'a Found,
        report: &'a dyn Fn(&AuthError),
    ) -> FlowContext<'a> {
        let remote_address = request.peer.remote_address.as_deref();
        let auth = AuthRequest::new(&request.head, remote_address, request.now).with_found(found);
        FlowContext { request: auth, keys: &self.keys, pages: &self.pages, entropy: &*self.entropy, report }
    }

    /// Handles the requests of a login; `None` for all others.
    #[cfg(feature = "oauth-pkce")]
    fn act_for_login(
        &self,
        request: &RequestContext,
        found: &Found,
        may_ask: bool,
        action: Action,
    ) -> Option<Admitted> {
        let login = self.login.as_ref()?;
        let report = |error: &AuthError| self.report(error);
        let around = self.surroundings(request, found, &report);
        let is_login = matches!(action, Action::LoginCallback | Action::LogOut | Action::ExchangeCode);
        if is_login
            && let Err(error @ (AuthError::Denied(_) | AuthError::Ask(_))) = self.judge(&around.request)
        {
            // These requests need no authentication, but preconditions such as a proxy's proof apply to them.
            return Some(match error {
                AuthError::Ask(ask) if may_ask => Admitted::Ask(ask),
                error => self.unauthenticated(request, error).into(),
            });
        }
        let asked = match action {
            Action::LoginCallback => {
                login.callback(&around, |request| self.judge(request)).map(Admitted::Draft)
            }
            Action::LogOut => Ok(login.log_out(&self.pages).into()),
            Action::ExchangeCode => login.admit_exchange(&around.request).map(|admitted| match admitted {
                ControlFlow::Continue(urls) => Admitted::Target(Target::ExchangeCode(urls)),
                ControlFlow::Break(draft) => self.exposed(request, draft).into(),
            }),
            Action::Landing | Action::Describe if login.is_for_page(&around.request) => {
                login.begin(&around).map(Admitted::Draft)
            }
            _ => return None,
        };
        Some(match asked {
            Ok(admitted) => admitted,
            Err(AuthError::Ask(ask)) if may_ask => Admitted::Ask(ask),
            Err(error) => self.unauthenticated(request, error).into(),
        })
    }

    /// Returns the response to a code exchange for a page of another origin.
    #[cfg(feature = "oauth-pkce")]
    pub(super) fn exchanged(&self, request: &RequestContext, completion: &Completion) -> ResponseDraft {
        match &self.login {
            Some(login) => self.exposed(request, login.exchanged(completion, &|error| self.report(error))),
            None => self.pages.not_found(),
        }
    }

    /// Makes the response to a code exchange readable for a page of another origin.
    #[cfg(feature = "oauth-pkce")]
    pub(super) fn exposed(&self, request: &RequestContext, mut draft: ResponseDraft) -> ResponseDraft {
        if let Some(login) = &self.login {
            login.expose_exchange(&request.head.headers, &mut draft.headers);
        }
        draft
    }

    fn act(&self, request: &mut RequestContext, action: Action, names: &Names<'_>) -> Admitted {
        let not_found =
            |request: &RequestContext, error| self.refusal(request, StatusCode::NOT_FOUND, &error).into();
        match action {
            Action::Landing => self.page(self.pages.landing()).into(),
            Action::Describe => self.page(self.pages.describe()).into(),
            Action::Health => self.health().into(),
            Action::OperatorPage => match &self.operator_page {
                Some(page) if !page.is_open() && !request.peer.auth.authenticated => {
                    // Some authenticators accept anonymous callers.
                    let detail = "the page is for authenticated callers";
                    self.unauthenticated(request, AuthError::refused(Reason::MissingCredential, detail))
                        .into()
                }
                Some(page) => page.draft().into(),
                None => self.pages.not_found().into(),
            },
            Action::ResourceMetadata => self.resource_metadata().into(),
            #[cfg(feature = "oauth-pkce")]
            Action::LoginCallback | Action::LogOut | Action::ExchangeCode => self.pages.not_found().into(),
            Action::EndSession => Admitted::Target(Target::EndSession),
            Action::UploadUrls => match self.check_request(request) {
                Ok(()) => Admitted::Target(Target::UploadUrls),
                Err(draft) => (*draft).into(),
            },
            Action::NoUploadUrls => {
                not_found(request, not_implemented("this server vends no upload URLs".into()))
            }
            Action::Reserved => match built_in(&names.method) {
                Err(error) => not_found(request, error),
                Ok(_) => {
                    let text = format!("{:?} is for byte streams", names.method);
                    not_found(request, RpcError::not_implemented(text))
                }
            },
            Action::Call(part) => match find(&self.service, names.protocol, &names.method) {
                Err(error) => not_found(request, error),
                Ok((_, method)) => self.admit_call(request, method, part),
            },
        }
    }

    fn admit_call(
        &self,
        request: &mut RequestContext,
        method: Arc<crate::service::Method>,
        part: Part,
    ) -> Admitted {
        match self.check_request(request) {
            Ok(()) => Admitted::Target(Target::Method(method, part)),
            Err(draft) => (*draft).into(),
        }
    }

    /// Checks the head of a request with an Arrow body.
    fn check_request(&self, request: &mut RequestContext) -> Result<(), Box<ResponseDraft>> {
        let refuse = |request: &RequestContext, status, error: RpcError| {
            Box::new(self.refusal(request, status, &error))
        };
        let accepted = budget::accepted(&request.head.headers).map_err(|error| {
            refuse(request, StatusCode::BAD_REQUEST, RpcError::value_error(error.to_string()))
        })?;
        let Settings { max_response_bytes, preferred_response_bytes, .. } = self.settings;
        request.budget = budget::effective(max_response_bytes, accepted, preferred_response_bytes);
        if !headers::is_media_type(&request.head.headers, headers::ARROW_STREAM) {
            let text = format!("expected the content type {:?}", headers::ARROW_STREAM);
            return Err(refuse(request, StatusCode::UNSUPPORTED_MEDIA_TYPE, RpcError::type_error(text)));
        }
        request.coding = coding::of_request(&request.head.headers).map_err(|error| {
            refuse(request, StatusCode::UNSUPPORTED_MEDIA_TYPE, RpcError::value_error(error.to_string()))
        })?;
        let length = request.header(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        if length.is_some_and(|length| length > self.max_body_bytes()) {
            return Err(self.too_large(request).into());
        }
        Ok(())
    }

    fn authenticate(&self, request: &mut RequestContext, found: &Found) -> Result<(), AuthError> {
        let mut auth = AuthContext::anonymous();
        // The application's error for a request without a credential, which peer evidence may replace.
        let mut missing = None;
        if self.authenticator.is_some() {
            let remote_address = request.peer.remote_address.as_deref();
            let credentials = AuthRequest::new(&request.head, remote_address, request.now).with_found(found);
            match self.judge(&credentials) {
                Ok(caller) => auth = caller,
                Err(AuthError::Refused(failure))
                    if failure.reason == Reason::MissingCredential
                        && self.peers.as_ref().is_some_and(PeerAuthentication::replaces_application_auth) =>
                {
                    missing = Some(failure);
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(peers) = &self.peers {
            let mut query = peer_query(&request.peer).with_answers(&found.answers);
            (query.now, query.headers) = (Some(request.now), Some(&request.head.headers));
            let (evidence, caller) = peers.identify(query, auth).map_err(not_identified)?;
            if let Some(failure) = missing.filter(|_| !caller.authenticated) {
                return Err(AuthError::Refused(failure));
            }
            auth = caller;
            Arc::make_mut(&mut request.peer).evidence = evidence;
        }
        if auth != AuthContext::anonymous() {
            Arc::make_mut(&mut request.peer).auth = auth;
        }
        Ok(())
    }

    /// Authenticates a request.
    fn judge(&self, credentials: &AuthRequest<'_>) -> Result<AuthContext, AuthError> {
        let Some(authenticator) = &self.authenticator else { return Ok(AuthContext::anonymous()) };
        // A panic is treated like any other failure of an authenticator.
        let asked = panics::catch(|| authenticator.authenticate(credentials));
        asked.unwrap_or_else(|| Err(AuthError::Failed("the authenticator panicked".into())))
    }

    fn report(&self, error: &AuthError) {
        for report in &self.on_auth_failure {
            // Its failures do not affect the client.
            panics::catch(|| report(error));
        }
    }

    fn unauthenticated(&self, request: &RequestContext, error: AuthError) -> ResponseDraft {
        self.report(&error);
        match error {
            AuthError::Refused(failure) | AuthError::Denied(failure) => {
                self.refuser.refuse(&failure, &request.head.headers).into()
            }
            AuthError::Unavailable { retry_after, .. } => {
                crate::http::unauthorized::unavailable(retry_after).into()
            }
            AuthError::Failed(_) | AuthError::Ask(_) => {
                // The details are for the operator and are reported separately.
                let text = "the request could not be authenticated\n";
                ResponseDraft::text(StatusCode::INTERNAL_SERVER_ERROR, text)
            }
        }
    }

    fn options(&self, request: &RequestContext, place: &Path<'_>) -> ResponseDraft {
        let Some(allowed) = self.allowed(place) else { return self.pages.not_found() };
        let Ok(allow) = HeaderValue::try_from(&allowed) else { return self.pages.not_found() };
        let mut draft = ResponseDraft::empty(StatusCode::OK);
        if let Some(cors) = &self.settings.cors {
            cors.preflight(&request.head.headers, &allow, &mut draft.headers);
        }
        #[cfg(feature = "oauth-pkce")]
        if let (Path::Row { action: Action::ExchangeCode, .. }, Some(login)) = (place, &self.login) {
            login.preflight_exchange(&request.head.headers, &mut draft.headers);
        }
        draft.with(ALLOW, allow)
    }

    fn not_allowed(&self, place: &Path<'_>) -> ResponseDraft {
        let allow = self.allowed(place).and_then(|allowed| HeaderValue::try_from(allowed).ok());
        let draft = ResponseDraft::empty(StatusCode::METHOD_NOT_ALLOWED);
        match allow {
            Some(allow) => draft.with(ALLOW, allow),
            None => draft,
        }
    }

    /// Returns the response with a page. If callers are authenticated it must not be cached, because a cache would serve it to
    /// any client.
    fn page(&self, page: ResponseDraft) -> ResponseDraft {
        if self.authenticator.is_some() || self.peers.is_some() {
            page.with(CACHE_CONTROL, HeaderValue::from_static("no-store"))
        } else {
            page
        }
    }

    /// Returns the resource metadata. It changes only with the server's settings.
    fn resource_metadata(&self) -> ResponseDraft {
        let document = self.resource_metadata.clone().unwrap_or_default();
        let draft = ResponseDraft::new(StatusCode::OK, "application/json", document);
        draft.with(CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"))
    }

    fn health(&self) -> ResponseDraft {
        let primary = self.service.protocols().next().map(|info| info.name.as_str()).unwrap_or_default();
        let body = serde_json::json!({
            "status": "ok",
            "server_id": &**self.service.server_id(),
            "protocol": primary,
        });
        ResponseDraft::new(StatusCode::OK, "application/json", body.to_string())
    }
}

/// Returns the authentication error for a peer that was not accepted. The caller sees the stage, and the log the finding.
fn not_identified(undecided: Undecided) -> AuthError {
    let error = match undecided {
        Undecided::Ask(ask) => return AuthError::Ask(ask),
        Undecided::Failed(detail) => return AuthError::Failed(detail),
        Undecided::Refused(error) => error,
    };
    let (reason, diagnosis) = match &error {
        PolicyError::Unavailable { .. } => {
            return AuthError::Unavailable { retry_after: PEER_RETRY_SECONDS, detail: error.to_string() };
        }
        PolicyError::NoEvidence { .. } => (Reason::MissingCredential, "no_evidence"),
        PolicyError::NoApplicationAuth => (Reason::MissingCredential, "no_application_auth"),
        PolicyError::Rejected { status: ProviderStatus::UntrustedProxy, .. } => {
            (Reason::ProxyRequired, ProviderStatus::UntrustedProxy.as_str())
        }
        PolicyError::Rejected { status, .. } => (Reason::InvalidCredential, status.as_str()),
        PolicyError::Ambiguous { .. } => (Reason::InvalidCredential, "ambiguous"),
        PolicyError::NoSubject { .. } => (Reason::InsufficientScope, "no_stable_subject"),
        PolicyError::Conflict => (Reason::InsufficientScope, "conflict"),
        PolicyError::Denied => (Reason::InsufficientScope, "denied"),
    };
    let failure = AuthFailure::new(reason, "The peer's identity was not accepted").with_diagnosis(diagnosis);
    AuthError::Denied(failure)
}
