//! The identity of a caller.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// The caller, as the transport authenticated it. Without authentication the caller is anonymous.
#[derive(Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct AuthContext {
    /// The scheme or realm that vouches for the principal; empty for an anonymous caller.
    pub domain: String,
    /// The caller's name in that domain; empty for an anonymous caller.
    pub principal: String,
    /// Whether the caller is authenticated. False for an anonymous caller.
    pub authenticated: bool,
    /// Additional claims. They may contain personal data: `Debug` shows only the keys.
    pub claims: BTreeMap<String, Value>,
    peer_evidence_binding: Option<Box<str>>,
}

impl AuthContext {
    /// Returns an anonymous caller.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// Creates an authenticated caller.
    pub fn new(domain: impl Into<String>, principal: impl Into<String>) -> Self {
        let (domain, principal) = (domain.into(), principal.into());
        Self { domain, principal, authenticated: true, ..Self::default() }
    }

    /// Returns the digest of the peer evidence that this caller depends on, if a [policy](crate::peer_identity::Policy) of peer
    /// identities has set one: 64 hex digits. Tokens and sticky sessions are bound to it.
    pub fn peer_evidence_binding(&self) -> Option<&str> {
        self.peer_evidence_binding.as_deref()
    }

    /// Binds tokens and sticky sessions to this digest, which
    /// [`PeerEvidence::binding_digest`](crate::peer_identity::PeerEvidence::binding_digest) computes. An empty digest clears
    /// the binding.
    pub fn with_peer_evidence_binding(mut self, digest: impl Into<Box<str>>) -> Self {
        self.peer_evidence_binding = Some(digest.into()).filter(|digest| !digest.is_empty());
        self
    }

    /// Adds a claim.
    pub fn with_claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }
}

impl fmt::Debug for AuthContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthContext")
            .field("domain", &self.domain)
            .field("principal", &self.principal)
            .field("authenticated", &self.authenticated)
            .field("claims", &self.claims.keys())
            .field("peer_evidence_binding", &self.peer_evidence_binding)
            .finish()
    }
}
