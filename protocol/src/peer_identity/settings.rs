//! An operator's settings, and their errors.

use super::evidence::PeerEvidence;
use super::policy::Policy;
use super::policy_error::PolicyError;
use super::provider::{PeerQuery, Provider, Unresolved, resolve};
use super::tailscale::is_service_name;
use crate::auth_context::AuthContext;
use crate::effect::Ask;
use core::net::IpAddr;
use std::collections::BTreeSet;
use std::fmt;
use thiserror::Error;

/// An invalid setting of peer identities.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PeerSettingError {
    /// A required name or list is empty.
    #[error("expected {0}, got nothing")]
    Missing(&'static str),
    /// A text has control characters.
    #[error("expected {0} without control characters")]
    Control(&'static str),
    /// The proxy is not an exact IP address. Networks and names are refused: trusting them would mean trusting every host that
    /// can get such an address.
    #[error("expected the exact IP address of a trusted proxy, got {0:?}")]
    ProxyAddress(String),
    /// Not a SPIFFE trust domain.
    #[error("expected a SPIFFE trust domain in lower case, got {0:?}")]
    TrustDomain(String),
    /// Not a valid HTTP header name.
    #[error("expected the name of a header, got {0:?}")]
    HeaderName(String),
    /// The same header is set for two purposes.
    #[error("expected different headers, got {0:?} twice")]
    SameHeader(String),
    /// A fingerprint that no certificate can have, or one that occurs twice.
    #[error("expected different fingerprints of {digits} hex digits in lower case, got {got:?}")]
    Fingerprint {
        /// The required number of digits.
        digits: usize,
        /// The text.
        got: String,
    },
    /// Two providers have the same name.
    #[error("expected providers of different names, got two of {0:?}")]
    SameProvider(String),
    /// A policy names an unknown provider.
    #[error("the policy depends on the provider {0:?}, which is not configured")]
    UnknownProvider(String),
    /// The name is not a Tailscale service name.
    #[error("expected a service name such as svc:analytics, got {0:?}")]
    ServiceName(String),
}

/// The proxies that are trusted to report a peer's identity: exact IP addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedProxies {
    addresses: BTreeSet<IpAddr>,
}

impl TrustedProxies {
    /// Trusts proxies with these addresses, as seen on the connection: `127.0.0.1`, `::1`. An IPv4-mapped IPv6 address is
    /// converted to IPv4.
    ///
    /// # Errors
    /// If the list is empty, or a text is not an IP address. Networks such as `10.0.0.0/8` are refused.
    pub fn new(addresses: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, PeerSettingError> {
        let parse = |text: &str| {
            let address: Result<IpAddr, _> = text.parse();
            address
                .map(|address| address.to_canonical())
                .map_err(|_| PeerSettingError::ProxyAddress(text.to_owned()))
        };
        let addresses: BTreeSet<_> =
            addresses.into_iter().map(|text| parse(text.as_ref())).collect::<Result<_, _>>()?;
        if addresses.is_empty() {
            return Err(PeerSettingError::Missing("the addresses of trusted proxies"));
        }
        Ok(Self { addresses })
    }

    /// Returns whether this is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address.to_canonical())
    }

    /// Returns the address that sends the request's headers, as text, if it is that of a trusted proxy.
    #[cfg(feature = "http")]
    pub(super) fn sender(&self, query: &PeerQuery<'_>) -> Option<String> {
        query.sender().filter(|address| self.contains(*address)).map(|address| address.to_string())
    }
}

/// Checks that an operator's text is not empty and has no control characters.
pub(super) fn checked(text: &str, what: &'static str) -> Result<Box<str>, PeerSettingError> {
    if text.is_empty() {
        return Err(PeerSettingError::Missing(what));
    }
    if text.chars().any(char::is_control) {
        return Err(PeerSettingError::Control(what));
    }
    Ok(text.into())
}

/// Checks that a text is a valid HTTP header name.
#[cfg(all(feature = "http", feature = "mtls-pem"))]
pub(crate) fn header_name(name: &str) -> Result<Box<str>, PeerSettingError> {
    match http::HeaderName::from_bytes(name.as_bytes()) {
        Ok(_) => Ok(name.into()),
        Err(_) => Err(PeerSettingError::HeaderName(name.to_owned())),
    }
}

/// The providers to ask about a peer, and the policy for their evidence.
///
/// [`ServiceBuilder::peer_authentication`](crate::service::ServiceBuilder::peer_authentication) sets it for byte streams, where
/// it runs once for each connection before its first call, and
/// [`EndpointBuilder::peer_authentication`][http] for HTTP, where it runs for each request.
///
#[cfg_attr(feature = "http", doc = "[http]: crate::http::EndpointBuilder::peer_authentication")]
#[cfg_attr(not(feature = "http"), doc = "[http]: crate")]
#[derive(Debug)]
pub struct PeerAuthentication {
    providers: Vec<Provider>,
    policy: Policy,
    service_name: Option<Box<str>>,
}

/// Why a peer is refused, or not admitted yet.
#[derive(Debug)]
pub(crate) enum Undecided {
    /// A question must be answered first.
    Ask(Ask),
    /// The policy refuses the peer.
    Refused(PolicyError),
    /// A provider failed.
    Failed(String),
}

impl PeerAuthentication {
    /// Asks these providers in order, and applies this policy.
    ///
    /// # Errors
    /// If two providers have the same name, one has an empty name, or the policy names no provider or an unknown one.
    pub fn new(
        policy: Policy,
        providers: impl IntoIterator<Item = Provider>,
    ) -> Result<Self, PeerSettingError> {
        let providers: Vec<_> = providers.into_iter().collect();
        let mut names = BTreeSet::new();
        for Provider { name, .. } in &providers {
            checked(name, "the name of a provider")?;
            if !names.insert(name) {
                return Err(PeerSettingError::SameProvider(name.to_string()));
            }
        }
        if !policy.is_complete() {
            return Err(PeerSettingError::Missing("a provider that the policy depends on"));
        }
        if let Some(unknown) = policy.providers().iter().find(|name| !names.contains(name)) {
            return Err(PeerSettingError::UnknownProvider(unknown.to_string()));
        }
        Ok(Self { providers, policy, service_name: None })
    }

    /// Sets the name of the service that peers call, such as `svc:analytics`. Tailscale reports the capabilities for it.
    ///
    /// # Errors
    /// If it is not a Tailscale service name.
    pub fn service_name(mut self, name: &str) -> Result<Self, PeerSettingError> {
        if !is_service_name(name) {
            return Err(PeerSettingError::ServiceName(name.to_owned()));
        }
        self.service_name = Some(name.into());
        Ok(self)
    }

    /// Finds the evidence about a peer, and the caller.
    pub(crate) fn identify<'a>(
        &'a self,
        mut query: PeerQuery<'a>,
        application: AuthContext,
    ) -> Result<(PeerEvidence, AuthContext), Undecided> {
        query.service_name = query.service_name.or(self.service_name.as_deref());
        let evidence = resolve(&self.providers, &query).map_err(|unresolved| match unresolved {
            Unresolved::Ask(ask) => Undecided::Ask(ask),
            Unresolved::Failed(detail) => Undecided::Failed(detail),
        })?;
        let decided = crate::panics::catch(|| self.policy.decide(&evidence, application));
        match decided {
            Some(Ok(caller)) => Ok((evidence, caller)),
            Some(Err(error)) => Err(Undecided::Refused(error)),
            None => Err(Undecided::Failed("the policy on peer identities panicked".into())),
        }
    }

    /// Returns whether a caller without a credential of the application may be admitted.
    #[cfg(feature = "http")]
    pub(crate) fn replaces_application_auth(&self) -> bool {
        self.policy.replaces_application_auth()
    }

    /// Returns whether a provider's questions contain their answer.
    #[cfg(feature = "http")]
    pub(crate) fn has_own_answers(&self) -> bool {
        self.providers.iter().any(|provider| provider.has_own_answers)
    }

    /// Returns the headers that a proxy must set for any caller to be admitted.
    #[cfg(feature = "http")]
    pub(crate) fn proxy_headers(&self) -> Vec<String> {
        let demanded = |provider: &&Provider| self.policy.providers().contains(&provider.name);
        let providers = self.providers.iter().filter(demanded);
        match self.policy.demands_evidence() {
            true => providers.flat_map(|provider| provider.proxy_headers.clone()).collect(),
            false => Vec::new(),
        }
    }
}

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask(_) => f.write_str("a provider of peer identities waits for an answer"),
            Self::Refused(error) => error.fmt(f),
            Self::Failed(detail) => f.write_str(detail),
        }
    }
}
