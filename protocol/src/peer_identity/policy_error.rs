//! Why a peer is refused.

use super::status::ProviderStatus;
use thiserror::Error;

/// Why a policy refuses a peer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The provider has no evidence about this peer.
    #[error("the provider {provider:?} gave no evidence of who the peer is")]
    NoEvidence {
        /// The provider.
        provider: Box<str>,
    },
    /// The provider has evidence, but no verified subject with a stable key.
    #[error("the provider {provider:?} named no verified subject with a stable key")]
    NoSubject {
        /// The provider.
        provider: Box<str>,
    },
    /// The provider has several subjects.
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
        /// The status.
        status: ProviderStatus,
    },
    /// The provider could not be asked: the peer may try again later.
    #[error("the provider {provider:?} of peer identities is unavailable")]
    Unavailable {
        /// The provider.
        provider: Box<str>,
    },
    /// The policy also requires a caller that the application has authenticated, and there is none.
    #[error("the policy on peer identities requires application authentication too")]
    NoApplicationAuth,
    /// The linker refused the combination of identities.
    #[error("the identities of the caller do not belong together")]
    Conflict,
    /// An application's own policy refused the peer.
    #[error("the policy on peer identities does not let this peer call")]
    Denied,
}
