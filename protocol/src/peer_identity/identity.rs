//! The identity that one provider found for a peer, and how it was verified.

use super::json::JsonObject;
use super::text;
use thiserror::Error;

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$item])* $variant,)* }

        impl $name {
            /// Returns the code that every implementation uses.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// Parses a code; `None` for any other text.
            pub fn parse(code: &str) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(super) use codes;

codes! {
    /// How evidence was verified.
    Assurance {
        /// The peer proved it to this process cryptographically.
        CryptographicPeer = "cryptographic_peer",
        /// The kernel or a daemon of this host reported it.
        LocalDaemon = "local_daemon",
        /// A proxy that the operator trusts reported it.
        ConfiguredProxy = "configured_proxy",
    }
}

codes! {
    /// The kind of a subject.
    SubjectKind {
        /// A person or an account.
        User = "user",
        /// A machine that is identified by its tags.
        TaggedNode = "tagged_node",
        /// A piece of software.
        Workload = "workload",
        /// An endpoint of a network.
        Endpoint = "endpoint",
        /// Not known.
        Unknown = "unknown",
    }
}

codes! {
    /// How long a subject's key identifies the same subject.
    Stability {
        /// Permanently: the key is never reassigned.
        Stable = "stable",
        /// Until the login is reassigned to another user.
        Login = "login",
        /// Not known.
        None = "none",
    }
}

/// The subject of evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subject {
    /// Its kind.
    pub kind: SubjectKind,
    /// Its name within its issuer. Not empty.
    pub key: String,
    /// How long the key identifies it.
    pub stability: Stability,
    /// Whether the provider has verified it.
    pub verified: bool,
}

impl Subject {
    /// Creates a verified subject.
    pub fn verified(kind: SubjectKind, key: impl Into<String>, stability: Stability) -> Self {
        Self { kind, key: key.into(), stability, verified: true }
    }

    /// Creates a subject that is claimed but not verified.
    pub fn claimed(kind: SubjectKind, key: impl Into<String>, stability: Stability) -> Self {
        Self { kind, key: key.into(), stability, verified: false }
    }

    /// Returns whether it can be a principal.
    pub(super) fn is_eligible(&self) -> bool {
        self.verified && self.stability == Stability::Stable
    }
}

/// One provider's evidence of a peer. `transport-identity-spec.md`, "Provider result".
///
/// `Debug` omits the values of attributes and capabilities.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PeerIdentity {
    /// The provider's name.
    pub provider: String,
    /// The source of the evidence within the provider.
    pub source: String,
    /// How it was verified.
    pub assurance: Assurance,
    /// The authority that vouches for the subject, such as a trust domain.
    pub issuer: String,
    /// The transport that the peer uses.
    pub transport: String,
    /// The subject; `None` if there are only capabilities.
    pub subject: Option<Subject>,
    /// Further attributes: names, tags. They do not identify the peer.
    pub attributes: JsonObject,
    /// The peer's capabilities, in the provider's own terms.
    pub capabilities: JsonObject,
    /// Whether the provider has verified the capabilities.
    pub capabilities_verified: bool,
    /// The peer's address. It is not part of the [binding](super::PeerEvidence::binding_digest).
    pub source_address: Option<String>,
    /// The proxy in between. It is not part of the binding.
    pub proxy_address: Option<String>,
}

/// An identity with an empty required text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("expected {0} of a peer identity, got an empty text")]
pub struct IdentityError(pub(super) &'static str);

impl PeerIdentity {
    /// Creates an identity that `provider` found at `source`, issued by `issuer`. It has no subject yet.
    pub fn new(
        provider: impl Into<String>,
        source: impl Into<String>,
        assurance: Assurance,
        issuer: impl Into<String>,
        transport: impl Into<String>,
    ) -> Self {
        Self {
            provider: provider.into(),
            source: source.into(),
            assurance,
            issuer: issuer.into(),
            transport: transport.into(),
            subject: None,
            attributes: JsonObject::default(),
            capabilities: JsonObject::default(),
            capabilities_verified: false,
            source_address: None,
            proxy_address: None,
        }
    }

    /// Sets the subject.
    pub fn with_subject(mut self, subject: Subject) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Sets the attributes.
    pub fn with_attributes(mut self, attributes: JsonObject) -> Self {
        self.attributes = attributes;
        self
    }

    /// Sets the capabilities, which the provider has verified.
    pub fn with_verified_capabilities(mut self, capabilities: JsonObject) -> Self {
        (self.capabilities, self.capabilities_verified) = (capabilities, true);
        self
    }

    /// Sets the addresses of the peer and of the proxy in between.
    pub fn with_addresses(mut self, source: Option<&str>, proxy: Option<&str>) -> Self {
        self.source_address = source.map(str::to_owned);
        self.proxy_address = proxy.map(str::to_owned);
        self
    }

    /// Returns `peer/PROVIDER/ISSUER/SUBJECT`, with each part percent-encoded; `None` without a subject.
    pub fn principal(&self) -> Option<String> {
        let parts = [&self.provider, &self.issuer, &self.subject.as_ref()?.key];
        Some(format!("peer/{}", parts.map(|part| text::percent_encode(part)).join("/")))
    }

    /// Checks that no required text is empty.
    pub(super) fn check(&self) -> Result<(), IdentityError> {
        let key = self.subject.as_ref().map_or("-", |subject| &subject.key);
        let texts = [
            (&*self.provider, "the provider"),
            (&self.source, "the source"),
            (&self.issuer, "the issuer"),
            (key, "the subject's key"),
        ];
        match texts.into_iter().find(|(text, _)| text.is_empty()) {
            Some((_, name)) => Err(IdentityError(name)),
            None => Ok(()),
        }
    }

    /// Returns the parts that the binding depends on, in the order of the digest.
    pub(super) fn binding_parts(&self) -> [String; 14] {
        let yes = |is: bool| if is { "true" } else { "false" }.to_owned();
        let subject = self.subject.as_ref();
        let kind = subject.map_or(SubjectKind::Unknown, |subject| subject.kind);
        let stability = subject.map_or(Stability::None, |subject| subject.stability);
        [
            self.provider.clone(),
            self.issuer.clone(),
            subject.map(|subject| subject.key.clone()).unwrap_or_default(),
            self.assurance.as_str().to_owned(),
            self.source.clone(),
            self.transport.clone(),
            kind.as_str().to_owned(),
            stability.as_str().to_owned(),
            yes(subject.is_some_and(|subject| subject.verified)),
            yes(self.capabilities_verified),
            // In place of addresses, which may change during a caller's state.
            String::new(),
            String::new(),
            self.attributes.canonical(),
            self.capabilities.canonical(),
        ]
    }
}
