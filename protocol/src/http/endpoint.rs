//! The endpoint: a service with its HTTP settings, and the parts common to all requests.

use super::auth::{AuthError, Authenticator};
use super::coding::{self, Codecs, Coding, DecodeError};
use super::cors::Cors;
use super::headers;
#[cfg(feature = "oauth-pkce")]
use super::oauth::Login;
use super::operator_page::OperatorPage;
use super::pages::Pages;
use super::refusal::Refusal;
use super::request_context::RequestContext;
use super::response_draft::ResponseDraft;
use super::sticky::Sessions;
use super::token::{Binding, CallCache, KeyRing};
use super::unauthorized::Refuser;
use crate::ipc::{EncodedSchema, KnownSchemas};
use crate::memory::{Account, OverBudget, Reservation};
use crate::peer_identity::PeerAuthentication;
use crate::server::ResponseWriter;
use crate::service::context::{Bounds, RequestId};
use crate::service::{CallerHeaders, Peer, ProxyPeer, ResponseBudget, Service, TlsPeer, TransportKind};
use crate::wire::error::RpcError;
use crate::wire::text;
use crate::{IdSource, Limits};
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The default limit of a request body in bytes, equal to the response size that clients accept by default. A small compressed
/// body can decode to this size, which takes memory.
pub(super) const DEFAULT_BODY_BYTES: u64 = 256 << 20;

/// The maximum size in bytes of a handler's call state for the call to be cached. The memory budget does not count cached
/// calls: the default of 4,096 calls takes at most 64 MiB, excluding their schemas.
const MAX_CACHED_STATE_BYTES: usize = 16 << 10;

/// The `Retry-After`, in seconds, of a request that was refused for lack of memory.
const RETRY_SECONDS: &str = "1";

/// Fills a buffer with cryptographically random bytes. Tests use repeatable ones.
pub type Entropy = dyn Fn(&mut [u8]) + Send + Sync;

/// Called with the reason if a request is not authenticated.
pub(super) type OnAuthFailure = dyn Fn(&AuthError) + Send + Sync;

/// Serves a [`Service`] over HTTP, with any number of concurrent requests. It stores no streams: clients send the sealed state
/// of a stream with each request.
///
/// It ignores `Host`, because it does not know its own host name. A driver that serves it on a loopback address without
/// authentication must refuse foreign hosts; otherwise pages of other sites can call it by DNS rebinding.
///
/// It is created by [`Endpoint::builder`](super::EndpointBuilder) and shared by all connections.
pub struct Endpoint {
    pub(super) service: Arc<Service>,
    pub(super) entropy: Box<Entropy>,
    pub(super) request_ids: Mutex<IdSource>,
    pub(super) settings: Settings,
    pub(super) keys: KeyRing,
    pub(super) calls: CallCache<ResolvedCall>,
    /// Unused writers.
    pub(super) writers: Mutex<Vec<ResponseWriter>>,
    /// The schemas of requests.
    pub(super) schemas: Arc<KnownSchemas>,
    pub(super) sessions: Option<Sessions>,
    pub(super) authenticator: Option<Box<dyn Authenticator>>,
    pub(super) peers: Option<PeerAuthentication>,
    /// Whether the deployment authenticates callers, apart from the service's identity.
    pub(super) authenticates: bool,
    /// Whether authentication asks questions that bring their answer.
    pub(super) has_own_answers: bool,
    pub(super) on_auth_failure: Vec<Box<OnAuthFailure>>,
    pub(super) refuser: Refuser,
    /// Whether clients may request upload URLs.
    pub(super) vends_upload_urls: bool,
    pub(super) codecs: Codecs,
    /// Headers of every response.
    pub(super) capabilities: Vec<(HeaderName, HeaderValue)>,
    pub(super) pages: Pages,
    pub(super) operator_page: Option<OperatorPage>,
    /// The metadata that tells clients how to sign in.
    pub(super) resource_metadata: Option<Bytes>,
    #[cfg(feature = "oauth-pkce")]
    pub(super) login: Option<Login>,
}

/// The settings of a builder, without derived values.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) prefix: String,
    pub(super) limits: Arc<Limits>,
    pub(super) record_calls: bool,
    pub(super) token_lifetime: Option<Duration>,
    pub(super) max_request_bytes: Option<u64>,
    pub(super) max_response_bytes: Option<u64>,
    pub(super) preferred_response_bytes: Option<u64>,
    pub(super) compress: bool,
    pub(super) cors: Option<Cors>,
    pub(super) session_lifetime: Duration,
    pub(super) session_quotas: SessionQuotas,
    pub(super) echo_headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) human_pages: bool,
}

/// The limits on the open sticky sessions of one caller.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SessionQuotas {
    pub(super) per_principal: usize,
    pub(super) per_anonymous_address: Option<usize>,
}

/// The fixed properties of a stream, from its call token.
pub(super) struct ResolvedCall {
    pub(super) output: EncodedSchema,
    pub(super) input: EncodedSchema,
    pub(super) stream_id: String,
    pub(super) response_limit: Option<u64>,
    pub(super) is_producer: bool,
    pub(super) call_state: Bytes,
}

/// When and from where a request came.
#[derive(Clone, Debug, Default)]
pub struct RequestOrigin {
    /// The time since the Unix epoch.
    pub now: Duration,
    /// The client's address, as `IP:PORT`. Behind a [`proxy`](Self::proxy) this is the address that the proxy reports.
    pub remote_address: Option<String>,
    /// The client's identity from the TLS handshake; `None` on connections without TLS.
    pub tls: Option<Arc<TlsPeer>>,
    /// The data that a proxy sends by the PROXY protocol; `None` if there is none.
    pub proxy: Option<Arc<ProxyPeer>>,
    /// The account for the memory of the request. The default reserves nothing.
    pub account: Account,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("service", &self.service)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Getters.
impl Endpoint {
    /// Returns the service.
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// Returns the maximum size of a request body in bytes, both as sent and after decoding.
    pub fn max_body_bytes(&self) -> u64 {
        self.settings.max_request_bytes.unwrap_or(DEFAULT_BODY_BYTES)
    }

    /// Whether callers are authenticated. An authenticator may still accept anonymous ones. This is false if only the bearer
    /// tokens of the service's identity are accepted, because callers without a token are served. Peer evidence does not count:
    /// a page in a browser on a trusted proxy's host has the same evidence.
    pub fn authenticates(&self) -> bool {
        self.authenticates
    }

    /// Whether requests have effects that [bring their answer](crate::effect::Request::own_answer). A driver performs these
    /// even if the application performs no effects.
    pub fn has_own_answers(&self) -> bool {
        self.has_own_answers
    }

    /// Returns the number of open sticky sessions.
    pub fn session_count(&self) -> usize {
        self.sessions.as_ref().map_or(0, Sessions::len)
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    pub(super) fn shared_limits(&self) -> Arc<Limits> {
        self.settings.limits.clone()
    }

    /// Whether a record is made of every call: see
    /// [`EndpointBuilder::record_calls`](super::EndpointBuilder::record_calls).
    pub fn records_calls(&self) -> bool {
        self.settings.record_calls
    }

    pub(super) fn token_lifetime(&self) -> Option<Duration> {
        self.settings.token_lifetime
    }

    pub(super) fn session_lifetime(&self) -> Duration {
        self.settings.session_lifetime
    }

    pub(super) fn echo_headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.settings.echo_headers
    }

    pub(super) fn keys(&self) -> &KeyRing {
        &self.keys
    }

    pub(super) fn sessions(&self) -> Option<&Sessions> {
        self.sessions.as_ref()
    }
}

/// Commands.
impl Endpoint {
    /// Sets whether the endpoint refuses to open sticky sessions. Open sessions continue. WIRE_PROTOCOL 17.
    pub fn set_draining(&self, draining: bool) {
        if let Some(sessions) = &self.sessions {
            sessions.set_draining(draining);
        }
    }

    /// Drops expired sticky sessions, as every request does too. Call it periodically on an idle server, so that expired
    /// sessions release their resources.
    pub fn expire_sessions(&self, now: Duration) {
        if let Some(sessions) = &self.sessions {
            sessions.expire(now);
        }
    }

    /// Drops all sticky sessions.
    pub fn shut_down(&self) {
        if let Some(sessions) = &self.sessions {
            sessions.shutdown();
        }
    }
}

/// Requests.
impl Endpoint {
    /// Creates the context of a request from its head.
    pub(super) fn request_context(&self, head: Parts, origin: RequestOrigin) -> RequestContext {
        let RequestOrigin { now, remote_address, tls, proxy, account } = origin;
        let mut peer = Peer::new(TransportKind::Http, self.service.server_id().clone());
        peer.headers = self.caller_headers(&head.headers);
        peer.remote_address = remote_address;
        peer.tls = tls;
        peer.proxy = proxy;
        let mut request = RequestContext {
            now,
            request_id: RequestId::default(),
            peer: Arc::new(peer),
            budget: ResponseBudget::default(),
            coding: None,
            request_bytes: 0,
            bounds: Arc::new(Bounds::new(self.shared_limits(), account.clone())),
            account,
            head,
        };
        request.request_id = self.request_id(&request);
        request
    }
}

impl Endpoint {
    /// Returns the caller's headers that hooks, records and handlers use.
    fn caller_headers(&self, sent: &HeaderMap) -> Option<Box<CallerHeaders>> {
        // Of several values, none is preferable.
        let only = |name: HeaderName| {
            let mut values = sent.get_all(name).iter();
            values.next().filter(|_| values.next().is_none())?.to_str().ok()
        };
        let mut said = CallerHeaders::default();
        if let Some(traceparent) = only(headers::TRACEPARENT) {
            said.traceparent = Some(traceparent.to_owned());
            // It may be split over several header fields.
            let states = sent.get_all(headers::TRACESTATE).iter().map(HeaderValue::to_str);
            let states: Result<Vec<_>, _> = states.collect();
            said.tracestate = states.ok().filter(|states| !states.is_empty()).map(|states| states.join(","));
        }
        if self.service.has_hooks() {
            said.sentry_trace = only(headers::SENTRY_TRACE).map(ToOwned::to_owned);
        }
        if self.service.has_hooks() || self.settings.record_calls {
            said.user_agent = only(USER_AGENT).map(|agent| text::NAME.cut(agent));
        }
        (!said.is_empty()).then(|| Box::new(said))
    }
}

/// Responses.
impl Endpoint {
    /// Returns the response to a refused request: an Arrow stream with the error, and this status.
    pub(super) fn refusal(
        &self,
        request: &RequestContext,
        status: StatusCode,
        error: &RpcError,
    ) -> ResponseDraft {
        let mut writer = self.writer(request, "", "");
        writer.error_stream(&EncodedSchema::empty(), error);
        let draft = ResponseDraft::arrow(status, writer.take_segments());
        match status {
            StatusCode::SERVICE_UNAVAILABLE => {
                draft.with(RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS))
            }
            _ => draft,
        }
    }

    /// Returns the response to a request that exceeds the memory budget. No handler has run.
    pub(super) fn over_budget(&self, request: &RequestContext, error: OverBudget) -> ResponseDraft {
        self.refusal(request, StatusCode::SERVICE_UNAVAILABLE, &error.into())
    }

    /// Returns a response that reports a failure like an error of the call: in the body.
    pub(super) fn failure(&self, request: &RequestContext, error: &RpcError) -> ResponseDraft {
        self.refusal(request, StatusCode::OK, error).failed()
    }

    pub(super) fn too_large(&self, request: &RequestContext) -> ResponseDraft {
        self.refusal(request, StatusCode::PAYLOAD_TOO_LARGE, &self.body_too_large())
    }

    fn body_too_large(&self) -> RpcError {
        let text = format!("expected a request body of at most {} bytes, got more", self.max_body_bytes());
        RpcError::value_error(text).with_code(crate::wire::code::Code::ResourceExhausted)
    }

    pub(super) fn writer(&self, request: &RequestContext, protocol: &str, method: &str) -> ResponseWriter {
        let kept = self.writers().pop();
        let mut writer = match kept {
            Some(writer) => writer.with_account(&request.account),
            None => {
                let id = self.service.server_id().clone();
                ResponseWriter::new(id, self.service.include_tracebacks(), &request.account)
            }
        };
        writer.request_id.push_str(request.request_id.as_str());
        writer.set_origin(protocol, method);
        writer
    }

    /// Keeps a writer for the next request: it is small, and creating one takes several allocations.
    pub(super) fn keep_writer(&self, mut writer: ResponseWriter) {
        const MOST: usize = 64;
        if writer.is_open() {
            return;
        }
        writer.forget_call();
        let writer = writer.with_account(&Account::default());
        let mut writers = self.writers();
        if writers.len() < MOST {
            writers.push(writer);
        }
    }

    fn writers(&self) -> MutexGuard<'_, Vec<ResponseWriter>> {
        // Pushing and popping cannot leave an inconsistent state.
        self.writers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decodes a body's content coding. The limit also applies to the decoded body.
    pub(super) fn decode(&self, request: &RequestContext, body: Bytes) -> Result<Bytes, Refusal> {
        let Some(coding) = request.coding else { return Ok(body) };
        let decoded = self.codecs.decode_into(coding, &body, self.max_body_bytes(), &request.account);
        decoded.map_err(|error| match error {
            DecodeError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, self.body_too_large()),
            DecodeError::OverBudget(error) => (StatusCode::SERVICE_UNAVAILABLE, error.into()),
            error => (StatusCode::BAD_REQUEST, RpcError::value_error(error.to_string())),
        })
    }

    /// Adds the common header fields, and applies the content coding that the client prefers.
    pub(super) fn finish(
        &self,
        request: &RequestContext,
        mut draft: ResponseDraft,
    ) -> (Response<Vec<Bytes>>, Reservation) {
        if self.settings.compress && draft.is_arrow() && draft.len() > 0 {
            headers::vary(&mut draft.headers, &[&ACCEPT_ENCODING, &headers::ACCEPT_ENCODING]);
            if let Some((coding, header)) = coding::choose(&request.head.headers, Coding::ALL)
                // A coded body is no larger than the body. If there is no memory for it, the body is sent unencoded.
                && let Ok(_room) = request.account.reserve_u64(draft.len())
                && let Some(encoded) = self.codecs.encode(coding, &draft.body)
            {
                // Shrinking cannot fail.
                let _ = draft.memory.resize(encoded.len().min(draft.memory.bytes()));
                draft.body = vec![encoded.into()];
                draft.headers.insert(header, HeaderValue::from_static(coding.as_str()));
            }
        }
        if let Ok(id) = HeaderValue::from_maybe_shared(request.request_id.as_bytes().clone()) {
            draft.headers.insert(headers::REQUEST_ID, id);
        }
        for (name, value) in &self.capabilities {
            draft.headers.insert(name.clone(), value.clone());
        }
        if let Some(cors) = &self.settings.cors {
            cors.expose(&request.head.headers, &mut draft.headers);
        }
        draft.into_response()
    }
}

/// Identifiers, and the cache of calls.
impl Endpoint {
    /// Returns a response with a status only.
    pub(super) fn bare(&self, status: StatusCode) -> Response<Vec<Bytes>> {
        ResponseDraft::empty(status).into_response().0
    }

    /// Returns the client's request id if it is acceptable, otherwise a new one.
    fn request_id(&self, request: &RequestContext) -> RequestId {
        const LONGEST: usize = 256;
        match request.header(headers::REQUEST_ID) {
            Some(id) if !id.is_empty() && id.len() <= LONGEST => RequestId::new(id),
            _ => {
                let mut id = String::with_capacity(16);
                // Drawing an id cannot leave an inconsistent state.
                self.request_ids.lock().unwrap_or_else(PoisonError::into_inner).next_into(&mut id);
                RequestId::new(id)
            }
        }
    }

    pub(super) fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.entropy)(&mut bytes);
        bytes
    }

    /// Returns 32 random lowercase hex digits.
    pub(super) fn random_hex(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.random()))
    }

    /// Caches a call for its next turn, unless its state is large: the client has the same contents in a token.
    pub(super) fn remember(&self, id: [u8; 16], binding: &Binding, call: Arc<ResolvedCall>, now: Duration) {
        if call.call_state.len() <= MAX_CACHED_STATE_BYTES {
            self.calls.insert(id, binding, call, now);
        }
    }

    pub(super) fn recall(&self, id: [u8; 16], binding: &Binding, now: Duration) -> Option<Arc<ResolvedCall>> {
        self.calls.get(id, binding, now)
    }
}
