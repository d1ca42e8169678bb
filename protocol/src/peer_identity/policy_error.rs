//! Why a peer is not let in.

use super::status::ProviderStatus;
use thiserror::Error;

/// Why a policy does not let a peer call.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The provider has none about this peer.
    #[error("the provider {provider:?} gave no evidence of who the peer is")]
    NoEvidence {
        /// The provider.
        provider: Box<str>,
    },
    /// The provider has evidence, but none of it names a verified subject with a stable key.
    #[error("the provider {provider:?} named no verified subject with a stable key")]
    NoSubject {
        /// The provider.
        provider: Box<str>,
    },
    /// The provider names several subjects.
    #[error("expected one verified subject of the provider {provider:?}, got several")]
    Ambiguous {
        /// The provider.
        provider: Box<str>,
    },
    /// The evidence is invalid, or does not come from a trusted proxy.
    #[error("the provider {provider:?} rejected the evidence: {status}")]
    Rejected {
        /// The provider.
        provider: Box<str>,
        /// Why.
        status: ProviderStatus,
    },
    /// The provider could not be asked: the peer may try again later.
    #[error("the provider {provider:?} of peer identities is unavailable")]
    Unavailable {
        /// The provider.
        provider: Box<str>,
    },
    /// The policy wants a caller that the application has authenticated too, and there is none.
    #[error("the policy on peer identities requires application authentication too")]
    NoApplicationAuth,
    /// The linker did not accept the identities together.
    #[error("the identities of the caller do not belong together")]
    Conflict,
    /// A policy of the application's own does not let the peer call.
    #[error("the policy on peer identities does not let this peer call")]
    Denied,
}
