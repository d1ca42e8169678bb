//! The service: all protocols that a server hosts, fixed once it is built. WIRE_PROTOCOL 3.1, "Hosting several
//! application protocols".

use super::admission::{Admission, Stop};
use super::refusals::not_supported;
use crate::content_coding::{CodecSettings, Codecs};
use crate::description::{MethodInfo, ProtocolInfo};
use crate::effect::Answers;
use crate::external::{Externalisation, FetchOptions};
use crate::peer_identity::PeerAuthentication;
use crate::reflection::{self, ProtocolList};
use crate::service::context::CallContext;
use crate::service::declare::{Hosted, Method, Protocol, ServiceError};
use crate::service::handler::guard;
use crate::service::peer::TransportKind;
use crate::service::record::CallHook;
use crate::wire::error::RpcError;
use arrow_schema::DataType;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How objects are compressed. As in the canonical implementation, they are written once and may be read often.
const OBJECT_CODECS: CodecSettings = CodecSettings { zstd_level: 3, gzip_level: 6 };

/// Everything that a server hosts. Built once, shared by its connections, never changed.
pub struct Service {
    pub(crate) protocols: Vec<Hosted>,
    pub(crate) hooks: Vec<Box<dyn CallHook>>,
    pub(crate) admission: Option<Box<Admission>>,
    /// How the peers of byte streams are identified.
    pub(crate) peers: Option<PeerAuthentication>,
    /// How external batches are fetched. `None` if they are not.
    pub(crate) fetch: Option<FetchOptions>,
    /// Which outputs are stored externally.
    pub(crate) externalisation: Option<Externalisation>,
    pub(crate) codecs: Arc<Codecs>,
    /// A bit for each transport whose start-up work is done.
    started: AtomicU8,
    /// Held while start-up work runs.
    starting: Mutex<()>,
    server_id: Arc<str>,
    server_version: Arc<str>,
    include_tracebacks: bool,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("protocols", &self.protocols).finish_non_exhaustive()
    }
}

impl fmt::Debug for ServiceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceBuilder").field("protocols", &self.protocols).finish_non_exhaustive()
    }
}

/// Builds a [`Service`].
pub struct ServiceBuilder {
    protocols: Vec<Protocol>,
    /// The framework's own protocols except reflection.
    framework: Vec<Protocol>,
    hooks: Vec<Box<dyn CallHook>>,
    admission: Option<Box<Admission>>,
    peers: Option<PeerAuthentication>,
    fetch: Option<FetchOptions>,
    externalisation: Option<Externalisation>,
    server_id: String,
    server_version: String,
    include_tracebacks: bool,
    reflection: bool,
}

impl Service {
    /// Returns a builder. `server_id` identifies this instance in logs and errors; by convention it has 12 random hex digits.
    pub fn builder(server_id: impl Into<String>) -> ServiceBuilder {
        ServiceBuilder {
            protocols: Vec::new(),
            framework: Vec::new(),
            hooks: Vec::new(),
            admission: None,
            peers: None,
            fetch: None,
            externalisation: None,
            server_id: server_id.into(),
            server_version: String::new(),
            include_tracebacks: true,
            reflection: true,
        }
    }

    /// Runs the protocols' start-up work, unless it was done for this transport already. A driver calls this before it serves the
    /// first call.
    ///
    /// # Errors
    /// The first failure. Completed work is not undone, and all of it runs again at the next call.
    pub fn start(&self, transport: TransportKind) -> Result<(), RpcError> {
        if self.is_started(transport) {
            return Ok(());
        }
        let _starting = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_started(transport) {
            self.protocols
                .iter()
                .filter_map(|hosted| hosted.serve_start.as_ref())
                .try_for_each(|work| guard(|| work(transport)))?;
            self.started.fetch_or(bit(transport), Ordering::Release);
        }
        Ok(())
    }

    /// Returns whether the start-up work is done for this transport, so that [`start`](Self::start) returns at once.
    pub fn is_started(&self, transport: TransportKind) -> bool {
        self.started.load(Ordering::Acquire) & bit(transport) != 0
    }

    /// Returns which outputs are stored externally, if any.
    pub const fn externalisation(&self) -> Option<&Externalisation> {
        self.externalisation.as_ref()
    }

    /// Returns whether hooks are attached, which need the times of calls.
    pub fn has_hooks(&self) -> bool {
        !self.hooks.is_empty()
    }

    /// Returns this instance's id.
    pub fn server_id(&self) -> &Arc<str> {
        &self.server_id
    }

    /// Returns the build version of this server; empty if none was set.
    pub fn server_version(&self) -> &Arc<str> {
        &self.server_version
    }

    /// Returns whether errors carry tracebacks.
    pub fn include_tracebacks(&self) -> bool {
        self.include_tracebacks
    }

    /// Returns the hosted protocols: the application's in registration order, then the framework's.
    pub fn protocols(&self) -> impl ExactSizeIterator<Item = &ProtocolInfo> {
        self.protocols.iter().map(|hosted| &hosted.info)
    }

    /// Returns one method, with its handler.
    pub fn method(&self, protocol: &str, method: &str) -> Option<&Arc<Method>> {
        self.hosted(protocol)?.method(method)
    }

    /// Returns the protocol of this name, which comes from a peer and may not be valid UTF-8.
    pub(crate) fn hosted(&self, name: impl AsRef<[u8]>) -> Option<&Hosted> {
        self.protocols.iter().find(|hosted| hosted.info.name.as_bytes() == name.as_ref())
    }
}

impl ServiceBuilder {
    /// Hosts a protocol. The first protocol is the primary one: clients identify the server by it.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocols.push(protocol);
        self
    }

    /// Hosts a framework protocol, listed after reflection. It replaces one of the same name.
    pub(crate) fn framework_protocol(mut self, protocol: Protocol) -> Self {
        self.framework.retain(|other| other.name() != protocol.name());
        self.framework.push(protocol);
        self
    }

    /// Returns the value that a framework protocol other than reflection [shares](Protocol::share), if it is a `T`.
    #[cfg(feature = "http")]
    pub(crate) fn shared_by_framework<T: std::any::Any>(&self, name: &str) -> Option<&T> {
        self.framework.iter().find(|protocol| protocol.name() == name)?.shared()
    }

    /// Attaches a listener to every call.
    pub fn hook(mut self, hook: impl CallHook) -> Self {
        self.hooks.push(Box::new(hook));
        self
    }

    /// Sets a function that decides for every call, on every transport, whether it may proceed. It runs after the call is
    /// resolved to a method, and before its parameters are checked. By default all calls may proceed.
    ///
    /// The function must not block: its thread serves other calls too. To decide something that is not in memory it
    /// [asks](Answers::ask), and is called again from its beginning with the answer. It does not run for further turns of a
    /// stream. A panic in it refuses the call. Over HTTP the call keeps its sticky session while it waits.
    ///
    /// The function also runs for calls of `vgi_rpc.Reflection.v1`. Clients make these on their own, and without them they cannot
    /// detect a call of the wrong kind. Let them pass unless the description is secret.
    ///
    /// ```
    /// use vgi_rpc_protocol::effect::Question;
    /// use vgi_rpc_protocol::service::{Protocol, Service};
    /// use vgi_rpc_protocol::wire::error::RpcError;
    ///
    /// /// The question to the driver. Its answer is a `bool`.
    /// struct MayCall(String);
    ///
    /// let service = Service::builder("0123456789ab")
    ///     .protocol(Protocol::new("demo.Reports.v1"))
    ///     .admit(|call, answers| {
    ///         let caller = call.auth().principal.clone();
    ///         let answer = answers.ask("policy", || Question::new(MayCall(caller)))??;
    ///         match answer.value() {
    ///             Some(true) => Ok(()),
    ///             _ => Err(RpcError::permission_error("the policy does not allow this call").into()),
    ///         }
    ///     });
    /// # let _ = service;
    /// ```
    pub fn admit(
        mut self,
        admission: impl Fn(&CallContext, &Answers) -> Result<(), Stop> + Send + Sync + 'static,
    ) -> Self {
        self.admission = Some(Box::new(admission));
        self
    }

    /// Identifies the peer of each byte stream connection once, before its first call. By default peers are not identified. Over
    /// HTTP this is [a setting of the endpoint][http], and runs for each request.
    ///
    /// If the policy refuses a peer, all calls of its connection are refused, including those of reflection. If a provider is
    /// unavailable, the call is refused, and the next call of the connection tries again. A provider's question to the outside
    /// world is an [effect](crate::effect::Request::Question), which the driver performs.
    ///
    #[cfg_attr(feature = "http", doc = "[http]: crate::http::EndpointBuilder::peer_authentication")]
    #[cfg_attr(not(feature = "http"), doc = "[http]: crate")]
    pub fn peer_authentication(mut self, peers: PeerAuthentication) -> Self {
        self.peers = Some(peers);
        self
    }

    /// Fetches external batches of requests and inputs. By default they are refused. WIRE_PROTOCOL 12.
    ///
    /// The server then requests URLs that its clients choose: keep the [policy](FetchOptions::policy) as narrow as possible. The
    /// driver performs the [fetch](crate::effect::Request::Fetch).
    pub fn fetch_external(mut self, options: FetchOptions) -> Self {
        self.fetch = Some(options);
        self
    }

    /// Stores large outputs externally and sends a pointer in their place: results, headers, and batches of streams with their
    /// logs. By default all outputs are sent inline. WIRE_PROTOCOL 12.
    ///
    /// Over HTTP a smaller output is stored too if the response would otherwise exceed its limit. The driver performs the
    /// [store](crate::effect::Request::Store).
    pub fn externalise(mut self, settings: Externalisation) -> Self {
        self.externalisation = Some(settings);
        self
    }

    /// Sets the build version that reflection and the access log report.
    pub fn server_version(mut self, version: impl Into<String>) -> Self {
        self.server_version = version.into();
        self
    }

    /// Sets whether errors carry tracebacks; on by default. WIRE_PROTOCOL 8, "Tracebacks".
    pub fn include_tracebacks(mut self, include: bool) -> Self {
        self.include_tracebacks = include;
        self
    }

    /// Sets whether `vgi_rpc.Reflection.v1` is hosted; on by default. WIRE_PROTOCOL 14.
    pub fn reflection(mut self, host: bool) -> Self {
        self.reflection = host;
        self
    }

    /// Checks the protocols and builds the service.
    ///
    /// # Errors
    /// If a protocol or method cannot be hosted as declared.
    pub fn build(self) -> Result<Service, ServiceError> {
        if self.protocols.is_empty() {
            return Err(ServiceError::Empty);
        }
        let mut protocols: Vec<Hosted> = Vec::new();
        for protocol in self.protocols {
            let hosted = protocol.host(false)?;
            if protocols.iter().any(|other| other.info.name == hosted.info.name) {
                return Err(ServiceError::DuplicateProtocol(hosted.info.name));
            }
            protocols.push(hosted);
        }
        let framework: Vec<Hosted> =
            self.framework.into_iter().map(|protocol| protocol.host(true)).collect::<Result<_, _>>()?;
        if self.reflection {
            let applications = protocols.iter().map(|hosted| hosted.info.clone()).collect();
            let others = framework.iter().map(|hosted| hosted.info.clone());
            protocols.push(host_reflection(applications, others, &self.server_id, &self.server_version)?);
        }
        protocols.extend(framework);
        Ok(Service {
            protocols,
            hooks: self.hooks,
            admission: self.admission,
            peers: self.peers,
            fetch: self.fetch,
            externalisation: self.externalisation,
            codecs: Arc::new(Codecs::new(OBJECT_CODECS)),
            started: AtomicU8::new(0),
            starting: Mutex::new(()),
            server_id: self.server_id.into(),
            server_version: self.server_version.into(),
            include_tracebacks: self.include_tracebacks,
        })
    }
}

/// Returns a transport's bit in `started`.
fn bit(transport: TransportKind) -> u8 {
    match transport {
        TransportKind::Pipe => 1,
        TransportKind::Unix => 2,
        TransportKind::Tcp => 4,
        TransportKind::Http => 8,
    }
}

/// Hosts reflection over the given protocols and itself. It is listed between the application's and the framework's protocols.
fn host_reflection(
    mut hosted: Vec<ProtocolInfo>,
    others: impl Iterator<Item = ProtocolInfo>,
    server_id: &str,
    server_version: &str,
) -> Result<Hosted, ServiceError> {
    let own = ProtocolInfo {
        name: reflection::PROTOCOL_NAME.into(),
        version: None,
        deprecated: None,
        methods: reflection::methods(),
        hash: reflection::protocol_hash(reflection::PROTOCOL_NAME, &reflection::methods()).map_err(
            |error| ServiceError::Hash {
                protocol: reflection::PROTOCOL_NAME.into(),
                error: error.to_string(),
            },
        )?,
    };
    hosted.push(own);
    hosted.extend(others);
    let list = ProtocolList {
        server_id: server_id.into(),
        server_version: server_version.into(),
        request_version: crate::wire::keys::REQUEST_VERSION_VALUE.into(),
        protocols: hosted.iter().map(reflection::summarize).collect(),
    };
    let mut protocol = Protocol::new(reflection::PROTOCOL_NAME);
    for MethodInfo { name, doc, idempotency, .. } in reflection::methods() {
        let spec = Method::new(name.as_str()).doc(&doc).idempotency(idempotency).returns(DataType::Binary);
        protocol = protocol.method(if name == "list_protocols" {
            let list = list.clone();
            spec.unary(move |_, _| list.encode().map_err(unencodable))
        } else {
            let hosted = hosted.clone();
            spec.param("protocol", DataType::Utf8).unary(move |args, _| {
                let name: &str = args.get("protocol")?;
                let info =
                    hosted.iter().find(|info| info.name == name).ok_or_else(|| not_hosted(name, &hosted))?;
                reflection::describe(info).encode().map_err(unencodable)
            })
        });
    }
    protocol.host(true)
}

fn unencodable(error: impl std::fmt::Display) -> RpcError {
    RpcError::runtime_error(format!("the description cannot be encoded: {error}"))
}

fn not_hosted(name: &str, hosted: &[ProtocolInfo]) -> RpcError {
    not_supported(name, hosted.iter().map(|info| info.name.as_str()))
}
