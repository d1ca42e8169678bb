//! All evidence about one peer: the results of each provider.

use super::identity::{IdentityError, PeerIdentity, Subject};
use super::policy_error::PolicyError;
use super::status::ProviderStatus;
use super::text::hex;
use crate::auth_context::AuthContext;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// The result of one provider.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderResult {
    status: ProviderStatus,
    identities: Vec<PeerIdentity>,
}

impl ProviderResult {
    /// Creates a result with one identity.
    pub fn available(identity: PeerIdentity) -> Self {
        Self { status: ProviderStatus::Available, identities: vec![identity] }
    }

    /// Creates a result with several identities. Without any the status is [`NoMatch`](ProviderStatus::NoMatch).
    pub fn all_available(identities: Vec<PeerIdentity>) -> Self {
        let status = if identities.is_empty() { ProviderStatus::NoMatch } else { ProviderStatus::Available };
        Self { status, identities }
    }

    /// Creates a result without an identity and with this status. [`Available`](ProviderStatus::Available) contradicts that and
    /// is replaced by [`Invalid`](ProviderStatus::Invalid).
    pub fn without(status: ProviderStatus) -> Self {
        let status = if status == ProviderStatus::Available { ProviderStatus::Invalid } else { status };
        Self { status, identities: Vec::new() }
    }

    /// Returns the status.
    pub const fn status(&self) -> ProviderStatus {
        self.status
    }

    /// Returns the identities; empty unless the status is [`Available`](ProviderStatus::Available).
    pub fn identities(&self) -> &[PeerIdentity] {
        &self.identities
    }
}

/// All evidence about the peer of one connection, or of one request over HTTP. It is immutable, and clones share it.
#[derive(Clone, Default, PartialEq)]
pub struct PeerEvidence {
    results: Option<Arc<BTreeMap<Box<str>, ProviderResult>>>,
}

/// Why the results of providers are invalid.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// Two results of one provider.
    #[error("expected one result of the provider {0:?}, got two")]
    Duplicate(String),
    /// An identity of another provider.
    #[error("expected identities of the provider {expected:?}, got one of {got:?}")]
    OtherProvider {
        /// The provider of the result.
        expected: String,
        /// The provider that the identity names.
        got: String,
    },
    /// An identity is incomplete.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl PeerEvidence {
    /// Returns no evidence: no provider was asked.
    pub const fn empty() -> Self {
        Self { results: None }
    }

    /// Collects the results of these providers, sorted by name.
    ///
    /// # Errors
    /// If a provider occurs twice, or its identity names another provider or has an empty required text.
    pub fn new(
        results: impl IntoIterator<Item = (impl Into<String>, ProviderResult)>,
    ) -> Result<Self, EvidenceError> {
        let mut all = BTreeMap::new();
        for (provider, result) in results {
            let provider = provider.into();
            for identity in &result.identities {
                identity.check()?;
                if identity.provider != provider {
                    let got = identity.provider.clone();
                    return Err(EvidenceError::OtherProvider { expected: provider, got });
                }
            }
            if all.insert(provider.clone().into_boxed_str(), result).is_some() {
                return Err(EvidenceError::Duplicate(provider));
            }
        }
        Ok(Self { results: (!all.is_empty()).then(|| Arc::new(all)) })
    }

    /// Returns the result of every provider that was asked, sorted by name.
    pub fn results(&self) -> impl Iterator<Item = (&str, &ProviderResult)> {
        self.results.iter().flat_map(|all| all.iter()).map(|(provider, result)| (&**provider, result))
    }

    /// Returns a provider's status; [`Off`](ProviderStatus::Off) if it was not asked.
    pub fn status(&self, provider: &str) -> ProviderStatus {
        self.result(provider).map_or(ProviderStatus::Off, ProviderResult::status)
    }

    /// Returns a provider's identities.
    pub fn identities(&self, provider: &str) -> &[PeerIdentity] {
        self.result(provider).map_or(&[], ProviderResult::identities)
    }

    /// Returns the status of each provider, for logs and spans: `PROVIDER:STATUS` separated by commas, sorted by name. Empty if
    /// no provider was asked.
    pub fn statuses_text(&self) -> String {
        let texts: Vec<_> =
            self.results().map(|(provider, result)| format!("{provider}:{}", result.status())).collect();
        texts.join(",")
    }

    /// Returns the sources of the identities, for logs and spans: `PROVIDER:SOURCE:ASSURANCE` separated by commas, sorted and
    /// without duplicates. Empty if there are no identities.
    pub fn sources_text(&self) -> String {
        let identities = self.results().flat_map(|(_, result)| result.identities());
        let texts: BTreeSet<_> = identities
            .map(|identity| format!("{}:{}:{}", identity.provider, identity.source, identity.assurance))
            .collect();
        Vec::from_iter(texts).join(",")
    }

    /// Returns the provider's only verified subject with a stable key: a peer that can be a principal.
    ///
    /// # Errors
    /// If there is no such subject, there are several, or the provider was not available. [`PolicyError`] tells these cases
    /// apart.
    pub fn subject(&self, provider: &str) -> Result<&PeerIdentity, PolicyError> {
        self.available(provider)?;
        self.unambiguous(provider)?.ok_or_else(|| PolicyError::NoSubject { provider: provider.into() })
    }

    /// Returns the identities of a provider, at least one.
    ///
    /// # Errors
    /// If the provider was not available.
    pub(super) fn available(&self, provider: &str) -> Result<&[PeerIdentity], PolicyError> {
        let named = || Box::from(provider);
        match self.status(provider) {
            ProviderStatus::Available => Ok(self.identities(provider)),
            ProviderStatus::Unavailable | ProviderStatus::PermissionDenied => {
                Err(PolicyError::Unavailable { provider: named() })
            }
            status @ (ProviderStatus::Invalid | ProviderStatus::UntrustedProxy) => {
                Err(PolicyError::Rejected { provider: named(), status })
            }
            ProviderStatus::Off | ProviderStatus::NotApplicable | ProviderStatus::NoMatch => {
                Err(PolicyError::NoEvidence { provider: named() })
            }
        }
    }

    /// Returns the only identity that can be a principal, if there is one.
    ///
    /// # Errors
    /// If there are several.
    pub(super) fn unambiguous(&self, provider: &str) -> Result<Option<&PeerIdentity>, PolicyError> {
        let is_eligible =
            |identity: &&PeerIdentity| identity.subject.as_ref().is_some_and(Subject::is_eligible);
        let mut eligible = self.identities(provider).iter().filter(is_eligible);
        match (eligible.next(), eligible.next()) {
            (_, Some(_)) => Err(PolicyError::Ambiguous { provider: provider.into() }),
            (only, None) => Ok(only),
        }
    }

    /// Returns a digest of everything that authorization may depend on: 64 hex digits. It covers the results of these providers,
    /// without the addresses of peers and proxies, and the caller's domain and principal if application authentication counts
    /// too. `transport-identity-spec.md`, "Stateful binding".
    pub fn binding_digest<'a>(
        &self,
        providers: impl IntoIterator<Item = &'a str>,
        application: Option<&AuthContext>,
    ) -> String {
        let mut digest = Sha256::new();
        let mut add = |text: &str| {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text);
        };
        for provider in providers.into_iter().collect::<BTreeSet<_>>() {
            add(provider);
            add(self.status(provider).as_str());
            let mut identities: Vec<_> =
                self.identities(provider).iter().map(PeerIdentity::binding_parts).collect();
            identities.sort_unstable();
            identities.iter().flatten().for_each(|part| add(part));
        }
        if let Some(application) = application {
            add("application_auth");
            add(&application.domain);
            add(&application.principal);
        }
        hex(&digest.finalize())
    }

    fn result(&self, provider: &str) -> Option<&ProviderResult> {
        self.results.as_ref()?.get(provider)
    }
}

impl fmt::Debug for PeerEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.results()).finish()
    }
}
