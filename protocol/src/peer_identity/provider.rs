//! Providers of evidence, what they are given, and how a set of them is asked.

use super::evidence::{PeerEvidence, ProviderResult};
use crate::effect::{Answer, Answers, Ask, Failure, Question};
use core::net::{IpAddr, SocketAddr};
use std::fmt;
use std::time::Duration;

/// The process at the other end of a unix socket, as the kernel vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Process id.
    pub pid: i32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// What is known of a peer when providers are asked. `transport-identity-spec.md`, "Resolution context".
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct PeerQuery<'a> {
    /// The transport: `http`, `tcp`, `unix` or `pipe`.
    pub transport: &'a str,
    /// The socket that is connected, as `IP:PORT`.
    pub source: Option<&'a str>,
    /// Where the peer is behind that socket, as `IP:PORT`, as a trusted proxy says.
    pub asserted_source: Option<&'a str>,
    /// The address that the peer connected to, as `IP:PORT`.
    pub destination: Option<&'a str>,
    /// The service that the peer wants, as the operator names it.
    pub service_name: Option<&'a str>,
    /// The peer's process.
    pub credentials: Option<Credentials>,
    /// The peer's certificate as DER, whose chain the TLS of this process has verified.
    pub certificate: Option<&'a [u8]>,
    /// The Iroh endpoint that a trusted proxy has verified.
    pub iroh_endpoint: Option<[u8; 32]>,
    /// The time since the Unix epoch, on transports that tell it: HTTP does.
    pub now: Option<Duration>,
    /// The headers of a request.
    #[cfg(feature = "http")]
    pub headers: Option<&'a http::HeaderMap>,
    answers: Option<&'a Answers>,
}

/// An identity header is there more than once, or its value is no text.
#[cfg(feature = "http")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the identity header once and as text")]
pub struct AmbiguousHeader;

impl<'a> PeerQuery<'a> {
    /// A peer of which nothing is known but its transport.
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

    /// The same, with the answers that have come.
    pub(crate) const fn with_answers(self, answers: &'a Answers) -> Self {
        Self { answers: Some(answers), ..self }
    }

    /// The IP address that sends the request's headers: that of the connected socket. One of IPv4 within IPv6 is one of IPv4.
    ///
    /// `None` for a connection that came through the PROXY protocol: its proxy passes on headers of anybody, and the address that it
    /// says is not one that has connected here.
    pub fn sender(&self) -> Option<IpAddr> {
        if self.asserted_source.is_some() || self.iroh_endpoint.is_some() {
            return None;
        }
        let source = self.source?;
        let address = source.parse::<SocketAddr>().map(|address| address.ip());
        address.or_else(|_| source.parse()).ok().map(|address: IpAddr| address.to_canonical())
    }

    /// Where the peer is, as far as that is known. One behind a bridge from Iroh has no address: the bridge's is another's.
    pub fn best_source(&self) -> Option<&'a str> {
        match self.iroh_endpoint {
            Some(_) => None,
            None => self.asserted_source.or(self.source),
        }
    }

    /// The value of a header that may be there once; `None` if it is not there.
    ///
    /// # Errors
    /// It is there several times, or its value has other bytes than printable ASCII and spaces.
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

    /// The answer to a question that cannot be answered from memory, or why there is none. The provider runs again from its
    /// beginning when it has come. `key` tells the questions of one query apart.
    ///
    /// # Errors
    /// The question, until the answer is there: to be returned.
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
        // Headers may hold credentials.
        f.debug_struct("PeerQuery")
            .field("transport", &self.transport)
            .field("source", &self.source)
            .field("asserted_source", &self.asserted_source)
            .finish_non_exhaustive()
    }
}

type Resolve = dyn Fn(&PeerQuery<'_>) -> Result<ProviderResult, Ask> + Send + Sync;

/// Finds evidence of who a peer is. [`providers`](super::providers) has those of the specification.
pub struct Provider {
    pub(super) name: Box<str>,
    /// The headers that a proxy must set.
    pub(super) proxy_headers: Vec<String>,
    /// Whether its questions bring their answer.
    pub(super) asks_itself: bool,
    resolve: Box<Resolve>,
}

impl Provider {
    /// A provider of the application's own. Its identities bear its name.
    ///
    /// The function must not wait: it runs on a thread that serves others too. What it cannot find in memory it
    /// [asks](PeerQuery::ask). A panic in it refuses the call.
    pub fn new(
        name: impl Into<Box<str>>,
        resolve: impl Fn(&PeerQuery<'_>) -> Result<ProviderResult, Ask> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), proxy_headers: Vec::new(), asks_itself: false, resolve: Box::new(resolve) }
    }

    /// Names the headers that a proxy must set for it to find anything.
    pub fn with_proxy_headers(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.proxy_headers.extend(names.into_iter().map(Into::into));
        self
    }

    /// Says that its questions [bring their answer](crate::effect::Question::answered_by), for which an HTTP driver has threads
    /// even if the application performs nothing.
    pub fn asking_itself(mut self) -> Self {
        self.asks_itself = true;
        self
    }

    /// Its name, which policies name it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it finds out about a peer.
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

/// Why there is no evidence yet, or none at all.
pub(super) enum Unresolved {
    /// This must be answered first.
    Ask(Ask),
    /// A provider is at fault.
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
