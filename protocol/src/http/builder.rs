//! The builder of an endpoint.

use super::auth::{AuthError, Authenticator, accepts_bearers, with_identity_bearers};
use super::budget::tighter;
use super::capabilities::{Capabilities, StickyCapability, UploadCapability};
use super::coding::{CodecSettings, Codecs, Coding};
use super::cors::Cors;
use super::endpoint::{DEFAULT_BODY_BYTES, Endpoint, Entropy, OnAuthFailure, SessionQuotas, Settings};
use super::oauth::ProtectedResource;
#[cfg(feature = "oauth-pkce")]
use super::oauth::{BrowserLogin, BrowserLoginError, Login, WithCookie};
use super::operator_page::OperatorPage;
use super::pages::Pages;
use super::session::echo_header;
use super::sticky::{DEFAULT_MAX_PER_PRINCIPAL, DEFAULT_MAX_SESSIONS, DEFAULT_MAX_WAITING, Sessions};
use super::token::{CallCache, KeyRing, TokenKey};
use super::unauthorized::Refuser;
use crate::identity::Identity;
use crate::peer_identity::PeerAuthentication;
use crate::service::Service;
use crate::{IdSource, Limits};
use http::HeaderName;
use http::header::HeaderValue;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use thiserror::Error;

/// How long a call is cached when tokens never expire.
const UNBOUNDED_CALL: Duration = Duration::from_secs(3600);

/// An invalid setting of an endpoint.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The prefix is not a path.
    #[error("expected a prefix that is empty or begins with a slash, got {0:?}")]
    Prefix(String),
    /// The header name or value is invalid.
    #[error("the header {name:?} cannot be sent: {error}")]
    Header {
        /// The header.
        name: String,
        /// What is wrong with it.
        error: http::Error,
    },
    /// The endpoint cannot have a page at this path.
    #[error(
        "expected the path of a page to be a slash and one name of letters, digits, '-', '_' and '.' that is free, and its content \
         type to be a header's value, got the path {0:?}"
    )]
    Page(String),
    /// The page requires an authenticated caller, but the endpoint has no authenticator.
    #[error(
        "expected an authenticator for the page {0:?}, or one that is open to everyone (`OperatorPage::open`), got neither"
    )]
    PageForNobody(String),
    /// The metadata belongs to another resource.
    #[error("expected the URL of a resource at the root or at the prefix {prefix:?}, got {url:?}")]
    Resource {
        /// The URL of the resource.
        url: String,
        /// The endpoint's prefix.
        prefix: String,
    },
    /// The browser login cannot be set up with these settings.
    #[cfg(feature = "oauth-pkce")]
    #[error(transparent)]
    Login(#[from] BrowserLoginError),
    /// The service's identity accepts bearer tokens, but authentication depends on headers that a proxy adds. As an
    /// alternative, the tokens would bypass the proxy.
    #[error(
        "the service's identity accepts bearer tokens, which would let callers past the proxy that authentication depends on \
         ({0}); compose both with `require_all` and `chain`, and turn `identity_bearers` off"
    )]
    IdentityBesideProxy(
        /// The headers that the proxy adds, separated by commas.
        String,
    ),
}

/// Builds an endpoint. Every setting documents its default.
pub struct EndpointBuilder {
    service: Arc<Service>,
    entropy: Box<Entropy>,
    settings: Settings,
    keys: Option<KeyRing>,
    cached_calls: usize,
    authenticator: Option<Box<dyn Authenticator>>,
    peers: Option<PeerAuthentication>,
    identity_bearers: bool,
    on_auth_failure: Vec<Box<OnAuthFailure>>,
    proxy_headers: Vec<String>,
    challenge: Option<String>,
    resource: Option<ProtectedResource>,
    #[cfg(feature = "oauth-pkce")]
    login: Option<BrowserLogin>,
    proxy_proof_required: bool,
    sticky: Option<Sticky>,
    /// Whether the endpoint vends upload URLs, and the maximum size of an upload in bytes.
    uploads: Option<Option<u64>>,
    max_externalized: Option<u64>,
    operator_page: Option<OperatorPage>,
}

/// The settings of sticky sessions. WIRE_PROTOCOL 17.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sticky {
    /// The lifetime of a session if its method does not set one. Default 5 min, sent to clients in whole seconds.
    pub lifetime: Duration,
    /// The maximum number of open sessions. Default 4,096.
    pub max_sessions: usize,
    /// The maximum number of open sessions of one authenticated principal. Further ones are refused with `RESOURCE_EXHAUSTED`.
    /// Default 256, so that no single caller can use all of them.
    pub max_per_principal: usize,
    /// The maximum number of open sessions of anonymous callers from one address, or one /64 network for IPv6; `None` for no
    /// limit. Further ones are refused with `RESOURCE_EXHAUSTED`. Default none: behind a proxy all callers have the proxy's
    /// address and would share the limit.
    pub max_per_anonymous_address: Option<usize>,
    /// The maximum number of calls that wait while another call of their session runs. Waiting uses no thread. Further calls
    /// are refused with `RESOURCE_EXHAUSTED`, and a teardown with 503. Default 16.
    pub max_waiting: usize,
    /// Headers that clients send with every request of a session: name and value. Default none. A platform that routes by
    /// header can use them to route requests to this worker.
    pub echo_headers: Vec<(String, String)>,
}

impl Default for Sticky {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(300),
            max_sessions: DEFAULT_MAX_SESSIONS,
            max_per_principal: DEFAULT_MAX_PER_PRINCIPAL,
            max_per_anonymous_address: None,
            max_waiting: DEFAULT_MAX_WAITING,
            echo_headers: Vec::new(),
        }
    }
}

impl fmt::Debug for EndpointBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Creates a builder. `entropy` fills a buffer with cryptographically random bytes for nonces and keys of tokens.
    pub fn builder(
        service: Arc<Service>,
        entropy: impl Fn(&mut [u8]) + Send + Sync + 'static,
    ) -> EndpointBuilder {
        let settings = Settings {
            prefix: String::new(),
            limits: Arc::default(),
            record_calls: false,
            token_lifetime: Some(Duration::from_secs(3600)),
            max_request_bytes: None,
            max_response_bytes: None,
            preferred_response_bytes: None,
            compress: true,
            cors: None,
            session_lifetime: Duration::ZERO,
            session_quotas: SessionQuotas::default(),
            echo_headers: Vec::new(),
            human_pages: true,
        };
        EndpointBuilder {
            service,
            entropy: Box::new(entropy),
            settings,
            keys: None,
            cached_calls: 4096,
            authenticator: None,
            peers: None,
            identity_bearers: true,
            on_auth_failure: Vec::new(),
            proxy_headers: Vec::new(),
            challenge: None,
            resource: None,
            #[cfg(feature = "oauth-pkce")]
            login: None,
            proxy_proof_required: false,
            sticky: None,
            uploads: None,
            max_externalized: None,
            operator_page: None,
        }
    }
}

impl EndpointBuilder {
    /// Sets the prefix of all paths: empty, or a path that begins with a slash. Default: empty, the root.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.prefix = prefix.into();
        self
    }

    /// Sets the limits for Arrow streams in requests.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = Arc::new(limits);
        self
    }

    /// Sets whether a record of every call is made, for an access log. Default false.
    pub fn record_calls(mut self, record: bool) -> Self {
        self.settings.record_calls = record;
        self
    }

    /// Sets the keys that seal tokens. Default: a random key, so that no other endpoint can continue its streams. Workers
    /// behind one load balancer must share keys.
    pub fn token_keys(mut self, keys: KeyRing) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Sets the maximum age of a stream's token; `None` for any age. Default 1 h.
    pub fn token_lifetime(mut self, lifetime: Option<Duration>) -> Self {
        self.settings.token_lifetime = lifetime;
        self
    }

    /// Sets how many calls are cached, which avoids opening their tokens at every turn; 0 for none. A call with more than 16
    /// KiB of [call state](crate::service::Stream::with_call_state) is not cached. Default 4,096.
    pub fn cached_calls(mut self, calls: usize) -> Self {
        self.cached_calls = calls;
        self
    }

    /// Limits the size of a request body, both as sent and after decoding. The smallest of several limits applies. Default: 256
    /// MiB, which is not advertised.
    pub fn max_request_bytes(mut self, bytes: Option<u64>) -> Self {
        self.settings.max_request_bytes = tighter(self.settings.max_request_bytes, bytes);
        self
    }

    /// Limits the size of a response body before content coding. The smallest of several limits applies. Default: none.
    pub fn max_response_bytes(mut self, bytes: Option<u64>) -> Self {
        self.settings.max_response_bytes = tighter(self.settings.max_response_bytes, bytes);
        self
    }

    /// Sets the response size that handlers should aim for. Default: none.
    pub fn preferred_response_bytes(mut self, bytes: Option<u64>) -> Self {
        self.settings.preferred_response_bytes = bytes;
        self
    }

    /// Advertises a limit on the bytes that one response stores externally, for a service that stores nothing externally. The
    /// limit of a service that [does](crate::service::ServiceBuilder::externalise) is always advertised and enforced. Default:
    /// none.
    pub fn max_externalized_response_bytes(mut self, bytes: Option<u64>) -> Self {
        self.max_externalized = bytes;
        self
    }

    /// Sets whether responses are compressed for clients that accept it. Default true. Requests may be compressed
    /// either way.
    pub fn compress(mut self, compress: bool) -> Self {
        self.settings.compress = compress;
        self
    }

    /// Lets pages of other origins make calls. Default: none may.
    pub fn cors(mut self, cors: impl Into<Option<Cors>>) -> Self {
        self.settings.cors = cors.into();
        self
    }

    /// Authenticates every request except health checks and preflights. Default: no authentication.
    pub fn authenticate(mut self, authenticator: impl Authenticator + 'static) -> Self {
        self.authenticator = Some(Box::new(authenticator));
        self
    }

    /// Identifies the peer of each authenticated request, after the [authenticator](Self::authenticate) has run. Default: peers
    /// are not identified. A provider's external lookups are [effects](crate::effect::Request::Question).
    ///
    /// If the policy refuses a request, the response is 401; if a provider is unavailable, it is 503. A request without a
    /// credential is passed to a [policy](crate::peer_identity::Policy) that accepts evidence instead; an invalid credential is
    /// always refused.
    pub fn peer_authentication(mut self, peers: PeerAuthentication) -> Self {
        self.peers = Some(peers);
        self
    }

    /// Sets whether the bearer tokens of the service's [identity](crate::identity) are accepted after those of the
    /// [authenticator](Self::authenticate): first its sealed grants, then the tokens that it resolves. Default true.
    ///
    /// Turn it off to compose [`sealed_grants`](super::auth::sealed_grants) and
    /// [`resolved_tokens`](super::auth::resolved_tokens) yourself, for example with a precondition.
    pub fn identity_bearers(mut self, accept: bool) -> Self {
        self.identity_bearers = accept;
        self
    }

    /// Adds a function that is called if a request is not authenticated. It receives details for the operator only: the
    /// diagnosis of a refusal, or why authentication is unavailable or has failed. It must not block. Default: none.
    pub fn on_auth_failure(mut self, report: impl Fn(&AuthError) + Send + Sync + 'static) -> Self {
        self.on_auth_failure.push(Box::new(report));
        self
    }

    /// Adds headers that a proxy must set for authentication to those that the authenticators declare. Every 401 lists them.
    pub fn proxy_headers(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.proxy_headers.extend(names);
        self
    }

    /// Sets the challenge in `WWW-Authenticate` on a 401. Default: the URL of the metadata of the
    /// [resource](Self::protected_resource), if there is one.
    pub fn challenge(mut self, challenge: impl Into<String>) -> Self {
        self.challenge = Some(challenge.into());
        self
    }

    /// Publishes where callers sign in, at `/.well-known/oauth-protected-resource` with and without the prefix appended,
    /// without authentication. Every 401 refers to it. Default: nothing is published.
    pub fn protected_resource(mut self, resource: impl Into<Option<ProtectedResource>>) -> Self {
        self.resource = resource.into();
        self
    }

    /// Redirects browsers that would be refused to the authorization server of the [resource](Self::protected_resource) to sign
    /// in. Default: they are refused.
    #[cfg(feature = "oauth-pkce")]
    pub fn browser_login(mut self, login: impl Into<Option<BrowserLogin>>) -> Self {
        self.login = login.into();
        self
    }

    /// Advertises that requests need a proxy's proof. The authenticator enforces it. Default false.
    pub fn advertise_proxy_proof(mut self, required: bool) -> Self {
        self.proxy_proof_required = required;
        self
    }

    /// Lets handlers open sticky sessions. Default: they may not.
    pub fn sticky(mut self, sticky: impl Into<Option<Sticky>>) -> Self {
        self.sticky = sticky.into();
        self
    }

    /// Vends upload URLs for large inputs of at most this many bytes each. Creating them is an
    /// [effect](crate::effect::Request::UploadUrls). Default: none.
    ///
    /// This is advertised if the service [fetches](crate::service::ServiceBuilder::fetch_external) external data: a client then
    /// uploads a large request and sends a pointer to it.
    pub fn upload_urls(mut self, max_bytes: Option<u64>) -> Self {
        self.uploads = Some(max_bytes);
        self
    }

    /// Adds a page for the operator, for example with metrics. Default: none.
    pub fn operator_page(mut self, page: impl Into<Option<OperatorPage>>) -> Self {
        self.operator_page = page.into();
        self
    }

    /// Sets whether the endpoint serves HTML pages. Default true.
    pub fn human_pages(mut self, pages: bool) -> Self {
        self.settings.human_pages = pages;
        self
    }

    /// Checks the settings and creates the endpoint.
    ///
    /// # Errors
    /// If a setting is invalid.
    pub fn build(self) -> Result<Arc<Endpoint>, EndpointError> {
        let Self { service, entropy, mut settings, authenticator, .. } = self;
        let trimmed = settings.prefix.trim_end_matches('/').len();
        settings.prefix.truncate(trimmed);
        if !settings.prefix.is_empty() && !settings.prefix.starts_with('/') {
            return Err(EndpointError::Prefix(settings.prefix));
        }
        if let Some(page) = &self.operator_page {
            if !page.has_valid_path() {
                return Err(EndpointError::Page(page.path().into()));
            }
            if !page.is_open() && authenticator.is_none() && self.peers.is_none() {
                return Err(EndpointError::PageForNobody(page.path().into()));
            }
        }
        let mut sessions = None;
        let mut sticky_capability = None;
        if let Some(sticky) = self.sticky {
            let Sticky { lifetime, max_sessions, max_waiting, echo_headers, .. } = sticky;
            settings.session_quotas = SessionQuotas {
                per_principal: sticky.max_per_principal,
                per_anonymous_address: sticky.max_per_anonymous_address,
            };
            let mut names = Vec::new();
            for (name, value) in &echo_headers {
                let error = |error| EndpointError::Header { name: name.clone(), error };
                settings.echo_headers.push(echo_header(name, value).map_err(error)?);
                names.push(HeaderName::from_bytes(name.as_bytes()).map_err(|invalid| error(invalid.into()))?);
            }
            settings.session_lifetime = lifetime;
            sessions = Some(Sessions::new(max_sessions, max_waiting));
            sticky_capability = Some(StickyCapability { default_ttl: Some(lifetime), echo_headers: names });
        }
        let externalisation = service.externalisation();
        let mut capabilities = Capabilities {
            max_request_bytes: settings.max_request_bytes,
            max_response_bytes: settings.max_response_bytes,
            max_externalized_response_bytes: match externalisation {
                Some(settings) => settings.max_externalized_response_bytes,
                None => self.max_externalized,
            },
            externalization: externalisation.is_some(),
            proxy_proof_required: self.proxy_proof_required,
            sticky: sticky_capability,
            upload: self
                .uploads
                .filter(|_| service.fetch.is_some())
                .map(|max_bytes| UploadCapability { max_bytes }),
            ..Capabilities::default()
        };
        capabilities.encodings = if settings.compress { Coding::ALL.to_vec() } else { Vec::new() };
        let mut proxy_headers = self.proxy_headers;
        if let Some(authenticator) = &authenticator {
            proxy_headers.extend(authenticator.proxy_headers());
        }
        let peers = self.peers;
        let authenticates = authenticator.is_some();
        let bearers = Identity::hosted_by(&service).filter(|_| self.identity_bearers);
        let mut authenticator = authenticator;
        if let Some(identity) = bearers.filter(|identity| accepts_bearers(identity)) {
            if !proxy_headers.is_empty() {
                return Err(EndpointError::IdentityBesideProxy(proxy_headers.join(", ")));
            }
            authenticator = with_identity_bearers(authenticator, identity);
        }
        // Peer evidence is required in addition to every credential, so no token bypasses the proxy.
        proxy_headers.extend(peers.iter().flat_map(PeerAuthentication::proxy_headers));
        let has_own_answers =
            authenticator.as_ref().is_some_and(|authenticator| authenticator.has_own_answers())
                || peers.as_ref().is_some_and(PeerAuthentication::has_own_answers);
        if let Some(elsewhere) = self.resource.as_ref().filter(|resource| !resource.is_at(&settings.prefix)) {
            return Err(EndpointError::Resource { url: elsewhere.url().into(), prefix: settings.prefix });
        }
        #[cfg(feature = "oauth-pkce")]
        let login = match self.login {
            Some(login) => Some(Login::new(login, self.resource.as_ref(), &settings.prefix, authenticates)?),
            None => None,
        };
        #[cfg(feature = "oauth-pkce")]
        if let Some(login) = &login {
            let with_cookie = |inner| -> Box<dyn Authenticator> {
                Box::new(WithCookie { inner, name: login.cookie_name() })
            };
            authenticator = authenticator.map(with_cookie);
        }
        #[cfg(feature = "oauth-pkce")]
        let token_endpoint = login.as_ref().and_then(Login::token_endpoint);
        #[cfg(not(feature = "oauth-pkce"))]
        let token_endpoint = None::<String>;
        let metadata = self.resource.as_ref().map(|resource| resource.document(token_endpoint.as_deref()));
        let challenge = self.challenge.or_else(|| Some(self.resource.as_ref()?.challenge()));
        let challenge = challenge.map(|text| {
            HeaderValue::from_str(&text).map_err(|error| EndpointError::Header {
                name: "WWW-Authenticate".into(),
                error: error.into(),
            })
        });
        let mut seed = [0; 8];
        entropy(&mut seed);
        let keys = self.keys.unwrap_or_else(|| {
            let mut key = [0; 32];
            entropy(&mut key);
            KeyRing::new(TokenKey::new(key), [])
        });
        let origin = self.resource.as_ref().map(ProtectedResource::origin);
        let pages = Pages::new(&service, &settings.prefix, origin);
        // The limit of a body also applies to its decompressed Arrow data.
        let max_body_bytes = settings.max_request_bytes.unwrap_or(DEFAULT_BODY_BYTES);
        let limits = Arc::make_mut(&mut settings.limits);
        limits.max_body_bytes = limits.max_body_bytes.min(max_body_bytes);
        Ok(Arc::new(Endpoint {
            keys,
            calls: CallCache::new(self.cached_calls, settings.token_lifetime.unwrap_or(UNBOUNDED_CALL)),
            writers: Mutex::default(),
            schemas: Arc::default(),
            sessions,
            authenticator,
            peers,
            authenticates,
            has_own_answers,
            on_auth_failure: self.on_auth_failure,
            refuser: Refuser::new(proxy_headers, challenge.transpose()?),
            vends_upload_urls: self.uploads.is_some(),
            codecs: Codecs::new(CodecSettings::default()),
            capabilities: capabilities.to_headers(),
            pages,
            operator_page: self.operator_page,
            request_ids: Mutex::new(IdSource::seeded(u64::from_le_bytes(seed))),
            resource_metadata: metadata.map(Into::into),
            #[cfg(feature = "oauth-pkce")]
            login,
            service,
            entropy,
            settings,
        }))
    }
}
