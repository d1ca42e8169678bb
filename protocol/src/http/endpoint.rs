//! The endpoint: a service and all that HTTP adds to it, and what is common to every request.

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

/// The most bytes of a request's body where nothing else is said: what clients accept of a response by default. A
/// compressed body says so many bytes in a few, and memory is taken for all of them.
pub(super) const DEFAULT_BODY_BYTES: u64 = 256 << 20;

/// The most bytes that the handler may keep for the life of a stream if its call is to be cached. No memory budget counts
/// what is cached: the default of 4,096 calls takes 64 MiB at the most beside their schemas.
const MAX_CACHED_STATE_BYTES: usize = 16 << 10;

/// When a request that was refused for want of memory may be tried again, in seconds.
const RETRY_SECONDS: &str = "1";

/// Fills memory with bytes that nobody can guess: the system's entropy, and in tests whatever repeats.
pub type Entropy = dyn Fn(&mut [u8]) + Send + Sync;

/// Is told why a request was not let in.
pub(super) type OnAuthFailure = dyn Fn(&AuthError) + Send + Sync;

/// Serves a [`Service`] over HTTP, one request at a time and any number at once. It keeps no stream: what a stream
/// needs travels with the client, sealed.
///
/// It does not look at `Host`, because it does not know where it is served. A driver that serves it on a loopback address
/// without authentication refuses hosts that are not its own, or pages of other sites can call it by DNS rebinding.
///
/// It is made by [`Endpoint::builder`](super::EndpointBuilder) and shared by all connections.
pub struct Endpoint {
    pub(super) service: Arc<Service>,
    pub(super) entropy: Box<Entropy>,
    pub(super) request_ids: Mutex<IdSource>,
    pub(super) settings: Settings,
    pub(super) keys: KeyRing,
    pub(super) calls: CallCache<ResolvedCall>,
    /// Those that no request has.
    pub(super) writers: Mutex<Vec<ResponseWriter>>,
    /// Of requests.
    pub(super) schemas: Arc<KnownSchemas>,
    pub(super) sessions: Option<Sessions>,
    pub(super) authenticator: Option<Box<dyn Authenticator>>,
    pub(super) peers: Option<PeerAuthentication>,
    /// The deployment authenticates callers, apart from the service's identity.
    pub(super) authenticates: bool,
    /// Authentication asks questions that bring their answer.
    pub(super) asks_itself: bool,
    pub(super) on_auth_failure: Vec<Box<OnAuthFailure>>,
    pub(super) refuser: Refuser,
    /// Whether clients may ask for URLs to upload to.
    pub(super) vends_upload_urls: bool,
    pub(super) codecs: Codecs,
    /// Headers of every answer.
    pub(super) capabilities: Vec<(HeaderName, HeaderValue)>,
    pub(super) pages: Pages,
    pub(super) operator_page: Option<OperatorPage>,
    /// What clients are told of how to sign in.
    pub(super) resource_metadata: Option<Bytes>,
    #[cfg(feature = "oauth-pkce")]
    pub(super) login: Option<Login>,
}

/// What a builder was told, and nothing derived from it.
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

/// How many sticky sessions one caller may have open.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SessionQuotas {
    pub(super) per_principal: usize,
    pub(super) per_anonymous_address: Option<usize>,
}

/// What does not change during a stream, as its call token says it.
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
    /// The client's address, as `IP:PORT`. Behind a [`proxy`](Self::proxy) this is what the proxy says.
    pub remote_address: Option<String>,
    /// What the TLS handshake of the connection says of the client; `None` on connections without TLS.
    pub tls: Option<Arc<TlsPeer>>,
    /// What a proxy says that forwards the connection, by the PROXY protocol; `None` where it says nothing so.
    pub proxy: Option<Arc<ProxyPeer>>,
    /// What the request makes the process hold is reserved in it. The default reserves nothing.
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
    /// What is served.
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// The most bytes that the body of a request may have, content coding included.
    pub fn max_body_bytes(&self) -> u64 {
        self.settings.max_request_bytes.unwrap_or(DEFAULT_BODY_BYTES)
    }

    /// Whether callers are authenticated. An authenticator may still let anonymous ones in. Where the bearer tokens of the
    /// service's identity alone are accepted, this is false: callers without one are served. Evidence of peers does not count: a page in
    /// a browser of a trusted proxy's host has the same.
    pub fn authenticates(&self) -> bool {
        self.authenticates
    }

    /// Whether requests have effects that [bring their answer](crate::effect::Request::own_answer), which a driver performs even
    /// if the application performs none.
    pub fn asks_itself(&self) -> bool {
        self.asks_itself
    }

    /// Sticky sessions that are open now.
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
    /// Sets whether sticky sessions may be opened. Sessions that are open go on. WIRE_PROTOCOL 17.
    pub fn set_draining(&self, draining: bool) {
        if let Some(sessions) = &self.sessions {
            sessions.set_draining(draining);
        }
    }

    /// Drops sticky sessions that have expired, as every request does too. A server without requests does it now
    /// and then, so that what a session holds is not held for long after.
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
    /// What is known of a request from its head.
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
    /// What hooks, records and handlers may want to know of the caller's headers.
    fn caller_headers(&self, sent: &HeaderMap) -> Option<Box<CallerHeaders>> {
        // Of several values none is better than another.
        let only = |name: HeaderName| {
            let mut values = sent.get_all(name).iter();
            values.next().filter(|_| values.next().is_none())?.to_str().ok()
        };
        let mut said = CallerHeaders::default();
        if let Some(traceparent) = only(headers::TRACEPARENT) {
            said.traceparent = Some(traceparent.to_owned());
            // It may be spread over several.
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

/// Replies.
impl Endpoint {
    /// Refuses a request: an Arrow stream with the error, under a status that says whose fault it is.
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

    /// Refuses a request that the memory budget has no room for. No handler has run.
    pub(super) fn over_budget(&self, request: &RequestContext, error: OverBudget) -> ResponseDraft {
        self.refusal(request, StatusCode::SERVICE_UNAVAILABLE, &error.into())
    }

    /// Tells of a failure as a call's own are told: by a body that says so.
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

    /// Keeps a writer for the next request: what it holds is small, and making it anew takes several allocations.
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
        // Pushing and popping leave nothing half done.
        self.writers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Undoes a body's content coding, within the limit that holds for decoded bodies too.
    pub(super) fn decode(&self, request: &RequestContext, body: Bytes) -> Result<Bytes, Refusal> {
        let Some(coding) = request.coding else { return Ok(body) };
        let decoded = self.codecs.decode_into(coding, &body, self.max_body_bytes(), &request.account);
        decoded.map_err(|error| match error {
            DecodeError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, self.body_too_large()),
            DecodeError::OverBudget(error) => (StatusCode::SERVICE_UNAVAILABLE, error.into()),
            error => (StatusCode::BAD_REQUEST, RpcError::value_error(error.to_string())),
        })
    }

    /// Adds what every answer has, and applies the content coding that the client wants.
    pub(super) fn finish(
        &self,
        request: &RequestContext,
        mut draft: ResponseDraft,
    ) -> (Response<Vec<Bytes>>, Reservation) {
        if self.settings.compress && draft.is_arrow() && draft.len() > 0 {
            headers::vary(&mut draft.headers, &[&ACCEPT_ENCODING, &headers::ACCEPT_ENCODING]);
            if let Some((coding, header)) = coding::choose(&request.head.headers, Coding::ALL)
                // A coded body takes no more than the body, and without room for it the body goes as it is.
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

/// Identifiers and what is remembered under them.
impl Endpoint {
    /// A response with nothing but a status.
    pub(super) fn bare(&self, status: StatusCode) -> Response<Vec<Bytes>> {
        ResponseDraft::empty(status).into_response().0
    }

    /// The client's correlation id, unless it is unreasonable; else a new one.
    fn request_id(&self, request: &RequestContext) -> RequestId {
        const LONGEST: usize = 256;
        match request.header(headers::REQUEST_ID) {
            Some(id) if !id.is_empty() && id.len() <= LONGEST => RequestId::new(id),
            _ => {
                let mut id = String::with_capacity(16);
                // Drawing an id leaves nothing half done.
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

    /// 32 lowercase hex digits.
    pub(super) fn random_hex(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.random()))
    }

    /// Keeps a call for its next turn, unless it holds much: its client has all of it in a token.
    pub(super) fn remember(&self, id: [u8; 16], binding: &Binding, call: Arc<ResolvedCall>, now: Duration) {
        if call.call_state.len() <= MAX_CACHED_STATE_BYTES {
            self.calls.insert(id, binding, call, now);
        }
    }

    pub(super) fn recall(&self, id: [u8; 16], binding: &Binding, now: Duration) -> Option<Arc<ResolvedCall>> {
        self.calls.get(id, binding, now)
    }
}
