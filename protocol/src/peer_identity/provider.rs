//! Providers of evidence, their input, and how a set of them is asked.

use super::evidence::{PeerEvidence, ProviderResult};
use crate::effect::{Answer, Answers, Ask, Failure, Question};
use core::net::{IpAddr, SocketAddr};
use std::fmt;
use std::time::Duration;

/// The process at the other end of a unix socket, as reported by the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Process id.
    pub pid: i32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// The facts about a peer that providers receive. `transport-identity-spec.md`, "Resolution context".
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct PeerQuery<'a> {
    /// The transport: `http`, `tcp`, `unix` or `pipe`.
    pub transport: &'a str,
    /// The address of the connected socket, as `IP:PORT`.
    pub source: Option<&'a str>,
    /// The peer's address behind that socket, as `IP:PORT`, as reported by a trusted proxy.
    pub asserted_source: Option<&'a str>,
    /// The address that the peer connected to, as `IP:PORT`.
    pub destination: Option<&'a str>,
    /// The service that the peer requests, as the operator names it.
    pub service_name: Option<&'a str>,
    /// The peer's process.
    pub credentials: Option<Credentials>,
    /// The peer's certificate as DER, whose chain was verified by this process's TLS.
    pub certificate: Option<&'a [u8]>,
    /// The Iroh endpoint that a trusted proxy has verified.
    pub iroh_endpoint: Option<[u8; 32]>,
    /// The time since the Unix epoch, on transports that report it. HTTP does.
    pub now: Option<Duration>,
    /// The headers of a request.
    #[cfg(feature = "http")]
    pub headers: Option<&'a http::HeaderMap>,
    answers: Option<&'a Answers>,
}

/// An identity header occurs more than once, or its value is not text.
#[cfg(feature = "http")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the identity header once and as text")]
pub struct AmbiguousHeader;

impl<'a> PeerQuery<'a> {
    /// Creates a query about a peer of which only the transport is known.
    pub const fn new(transport: &'a str) -> Self {
        Self {
            transport,
            source: None,
            asserted_source: None,
            destination: None,
            service_name: None,
            credentials: None,
            certificate: None,
            iroh_endpoint: None,
            now: None,
            #[cfg(feature = "http")]
            headers: None,
            answers: None,
        }
    }

    /// Returns the query with these answers.
    pub(crate) const fn with_answers(self, answers: &'a Answers) -> Self {
        Self { answers: Some(answers), ..self }
    }

    /// Returns the IP address that sends the request's headers: that of the connected socket. An IPv4-mapped IPv6 address is
    /// converted to IPv4.
    ///
    /// Returns `None` for a connection through the PROXY protocol: its proxy passes on headers of any client, and the address
    /// that it reports has not connected here.
    pub fn sender(&self) -> Option<IpAddr> {
        if self.asserted_source.is_some() || self.iroh_endpoint.is_some() {
            return None;
        }
        let source = self.source?;
        let address = source.parse::<SocketAddr>().map(|address| address.ip());
        address.or_else(|_| source.parse()).ok().map(|address: IpAddr| address.to_canonical())
    }

    /// Returns the peer's address, if it is known. A peer behind a bridge from Iroh has none, since the bridge's address is not
    /// the peer's.
    pub fn best_source(&self) -> Option<&'a str> {
        match self.iroh_endpoint {
            Some(_) => None,
            None => self.asserted_source.or(self.source),
        }
    }

    /// Returns the value of a header that may occur once; `None` if it is absent.
    ///
    /// # Errors
    /// If it occurs several times, or its value has bytes other than printable ASCII and spaces.
    #[cfg(feature = "http")]
    pub fn header(&self, name: &str) -> Result<Option<&'a str>, AmbiguousHeader> {
        let Some(headers) = self.headers else { return Ok(None) };
        let mut values = headers.get_all(name).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(AmbiguousHeader);
        }
        let text = value.to_str().map_err(|_| AmbiguousHeader)?;
        if super::text::has_control(text) { Err(AmbiguousHeader) } else { Ok(Some(text)) }
    }

    /// Returns the answer to a question that cannot be answered from memory, or why it failed. The provider runs again from its
    /// beginning once there is an answer. `key` distinguishes the questions of one query.
    ///
    /// # Errors
    /// The question, until there is an answer. The provider must return it.
    pub fn ask(
        &self,
        key: &str,
        question: impl FnOnce() -> Question,
    ) -> Result<Result<&'a Answer, &'a Failure>, Ask> {
        const NONE: &Answers = &Answers::none();
        self.answers.unwrap_or(NONE).ask(key, question)
    }
}

impl fmt::Debug for PeerQuery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers may contain credentials.
        f.debug_struct("PeerQuery")
            .field("transport", &self.transport)
            .field("source", &self.source)
            .field("asserted_source", &self.asserted_source)
            .finish_non_exhaustive()
    }
}

type Resolve = dyn Fn(&PeerQuery<'_>) -> Result<ProviderResult, Ask> + Send + Sync;

/// Finds evidence of a peer's identity. [`providers`](super::providers) has those of the specification.
pub struct Provider {
    pub(super) name: Box<str>,
    /// The headers that a proxy must set.
    pub(super) proxy_headers: Vec<String>,
    /// Whether its questions contain their answer.
    pub(super) has_own_answers: bool,
    resolve: Box<Resolve>,
}

impl Provider {
    /// Creates an application's own provider. Its identities have its name.
    ///
    /// The function must not block: its thread serves other calls too. For anything that is not in memory it
    /// [asks](PeerQuery::ask). A panic in it refuses the call.
    pub fn new(
        name: impl Into<Box<str>>,
        resolve: impl Fn(&PeerQuery<'_>) -> Result<ProviderResult, Ask> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            proxy_headers: Vec::new(),
            has_own_answers: false,
            resolve: Box::new(resolve),
        }
    }

    /// Sets the headers that a proxy must set for it to find anything.
    pub fn with_proxy_headers(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.proxy_headers.extend(names.into_iter().map(Into::into));
        self
    }

    /// Declares that its questions [contain their answer](crate::effect::Question::answered_by). An HTTP driver then has threads
    /// for them even if the application performs no effects.
    pub fn with_own_answers(mut self) -> Self {
        self.has_own_answers = true;
        self
    }

    /// Returns its name, which policies use.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its result for a peer.
    ///
    /// # Errors
    /// The question that must be answered first.
    pub fn resolve(&self, query: &PeerQuery<'_>) -> Result<ProviderResult, Ask> {
        (self.resolve)(query)
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why there is no evidence yet, or an error.
pub(super) enum Unresolved {
    /// A question must be answered first.
    Ask(Ask),
    /// A provider failed.
    Failed(String),
}

/// Asks each provider in turn.
pub(super) fn resolve(providers: &[Provider], query: &PeerQuery<'_>) -> Result<PeerEvidence, Unresolved> {
    let mut results = Vec::with_capacity(providers.len());
    for provider in providers {
        let found = crate::panics::catch(|| provider.resolve(query));
        let found = found.ok_or_else(|| {
            Unresolved::Failed(format!("the provider {:?} of peer identities panicked", provider.name))
        })?;
        results.push((&*provider.name, found.map_err(Unresolved::Ask)?));
    }
    PeerEvidence::new(results).map_err(|error| Unresolved::Failed(error.to_string()))
}
