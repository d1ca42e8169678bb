//! Policies: whether a peer may call, and who the caller is.

use super::evidence::PeerEvidence;
use super::identity::PeerIdentity;
use super::policy_error::PolicyError;
use crate::auth_context::AuthContext;
use std::fmt;

/// Decides whether the identities of a caller belong together: that of the application, and those of the policy's providers in
/// order.
type Linker = dyn Fn(&AuthContext, &[&PeerIdentity]) -> bool + Send + Sync;

type Custom = dyn Fn(&PeerEvidence, AuthContext) -> Result<AuthContext, PolicyError> + Send + Sync;

/// How evidence and application authentication determine the caller. `transport-identity-spec.md`, "Authentication composition".
///
/// | policy | admits | the caller is | tokens are bound to |
/// | --- | --- | --- | --- |
/// | [`observe`](Self::observe) | the application's callers | the application's | that caller |
/// | [`require`](Self::require) | the same, with evidence of the provider | the application's | the evidence too |
/// | [`primary`](Self::primary) | a stable subject of the provider | the subject | the evidence too |
/// | [`any_of`](Self::any_of) | the application's callers, and stable subjects of the providers | whichever was found | the
/// evidence, if it decided |
/// | [`all_of`](Self::all_of) | the application's callers that are stable subjects of all providers too | the first subject | all of it |
pub struct Policy(Kind);

enum Kind {
    Observe,
    Require(Box<str>),
    Primary(Box<str>),
    AnyOf(Vec<Box<str>>),
    AllOf(Vec<Box<str>>, Box<Linker>),
    Custom(Box<Custom>),
}

impl Policy {
    /// Shows the evidence to handlers, but does not use it.
    pub const fn observe() -> Self {
        Self(Kind::Observe)
    }

    /// Requires evidence of this provider, with or without a subject. Without an authenticator, callers are anonymous and only
    /// the evidence admits them.
    pub fn require(provider: &str) -> Self {
        Self(Kind::Require(provider.into()))
    }

    /// Uses the provider's only verified subject with a stable key as the caller. The domain is the provider's name, the
    /// principal [`PeerIdentity::principal`].
    pub fn primary(provider: &str) -> Self {
        Self(Kind::Primary(provider.into()))
    }

    /// Accepts a caller of the application, or else the subject of the first of these providers that has one.
    ///
    /// Evidence that one of them rejects, or that has several subjects, always refuses the call. A handler must not use evidence
    /// to authorize a caller of the application: nothing binds the two.
    pub fn any_of<'a>(providers: impl IntoIterator<Item = &'a str>) -> Self {
        Self(Kind::AnyOf(providers.into_iter().map(Box::from).collect()))
    }

    /// Requires a caller of the application and a stable subject of each of these providers. `linker` decides whether they belong
    /// together: otherwise a caller could combine its own proof with another caller's. It receives the application's caller and
    /// the identities in the order of the providers. The caller is the subject of the first provider, with the application's as
    /// the claims `application_domain` and `application_principal`.
    pub fn all_of<'a>(
        providers: impl IntoIterator<Item = &'a str>,
        linker: impl Fn(&AuthContext, &[&PeerIdentity]) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self(Kind::AllOf(providers.into_iter().map(Box::from).collect(), Box::new(linker)))
    }

    /// Creates a custom policy. It receives the evidence and the caller that the application has authenticated, or an anonymous
    /// one. To bind tokens to evidence it sets [`with_peer_evidence_binding`](AuthContext::with_peer_evidence_binding).
    pub fn custom(
        decide: impl Fn(&PeerEvidence, AuthContext) -> Result<AuthContext, PolicyError> + Send + Sync + 'static,
    ) -> Self {
        Self(Kind::Custom(Box::new(decide)))
    }

    /// Determines the caller from the evidence and the application's caller.
    ///
    /// # Errors
    /// If the policy refuses the caller.
    pub fn decide(
        &self,
        evidence: &PeerEvidence,
        application: AuthContext,
    ) -> Result<AuthContext, PolicyError> {
        match &self.0 {
            Kind::Observe => Ok(application),
            Kind::Require(provider) => {
                evidence.available(provider)?;
                Ok(application.with_peer_evidence_binding(evidence.binding_digest([&**provider], None)))
            }
            Kind::Primary(provider) => primary(evidence, &application, provider),
            Kind::AnyOf(providers) => any_of(evidence, application, providers),
            Kind::AllOf(providers, linker) => all_of(evidence, &application, providers, linker),
            Kind::Custom(decide) => decide(evidence, application),
        }
    }

    /// Returns the providers that the policy depends on.
    pub(super) fn providers(&self) -> &[Box<str>] {
        match &self.0 {
            Kind::Observe | Kind::Custom(_) => &[],
            Kind::Require(provider) | Kind::Primary(provider) => std::slice::from_ref(provider),
            Kind::AnyOf(providers) | Kind::AllOf(providers, _) => providers,
        }
    }

    /// Returns whether it depends on at least one provider, if it must.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.0, Kind::Observe | Kind::Custom(_)) || !self.providers().is_empty()
    }

    /// Returns whether every caller needs evidence of its providers.
    #[cfg(feature = "http")]
    pub(super) fn demands_evidence(&self) -> bool {
        matches!(self.0, Kind::Require(_) | Kind::Primary(_) | Kind::AllOf(..))
    }

    /// Returns whether a caller without a credential of the application may be admitted.
    #[cfg(feature = "http")]
    pub(super) fn replaces_application_auth(&self) -> bool {
        matches!(self.0, Kind::Primary(_) | Kind::AnyOf(_) | Kind::Custom(_))
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.0 {
            Kind::Observe => "observe",
            Kind::Require(_) => "require",
            Kind::Primary(_) => "primary",
            Kind::AnyOf(_) => "any_of",
            Kind::AllOf(..) => "all_of",
            Kind::Custom(_) => "custom",
        };
        f.debug_tuple(name).field(&self.providers()).finish()
    }
}

fn primary(
    evidence: &PeerEvidence,
    application: &AuthContext,
    provider: &str,
) -> Result<AuthContext, PolicyError> {
    let identity = evidence.subject(provider)?;
    let (Some(principal), Some(subject)) = (identity.principal(), &identity.subject) else {
        return Err(PolicyError::NoSubject { provider: provider.into() });
    };
    let mut caller = AuthContext::new(provider, principal);
    if !application.authenticated {
        // The findings of preconditions concern the request, whoever the caller is.
        caller.claims = application.claims.clone();
    }
    Ok(caller
        .with_claim("issuer", &*identity.issuer)
        .with_claim("subject_kind", subject.kind.as_str())
        .with_claim("assurance", identity.assurance.as_str())
        .with_claim("evidence_source", &*identity.source)
        .with_claim("subject", &*subject.key)
        .with_peer_evidence_binding(evidence.binding_digest([provider], None)))
}

fn any_of(
    evidence: &PeerEvidence,
    application: AuthContext,
    providers: &[Box<str>],
) -> Result<AuthContext, PolicyError> {
    for provider in providers {
        if let Err(error @ PolicyError::Rejected { .. }) = evidence.available(provider) {
            return Err(error);
        }
        evidence.unambiguous(provider)?;
    }
    if application.authenticated {
        return Ok(application);
    }
    let mut failure = None;
    for provider in providers {
        match primary(evidence, &application, provider) {
            Ok(caller) => return Ok(caller),
            // An unavailable provider is more informative than one without evidence.
            Err(error @ PolicyError::Unavailable { .. }) => failure = Some(error),
            Err(error) => {
                failure.get_or_insert(error);
            }
        }
    }
    Err(failure.unwrap_or(PolicyError::Denied))
}

fn all_of(
    evidence: &PeerEvidence,
    application: &AuthContext,
    providers: &[Box<str>],
    linker: &Linker,
) -> Result<AuthContext, PolicyError> {
    if !application.authenticated {
        return Err(PolicyError::NoApplicationAuth);
    }
    let subjects: Vec<_> = providers.iter().map(|name| evidence.subject(name)).collect::<Result<_, _>>()?;
    let first = providers.first().ok_or(PolicyError::Denied)?;
    if !linker(application, &subjects) {
        return Err(PolicyError::Conflict);
    }
    let binding = evidence.binding_digest(providers.iter().map(|name| &**name), Some(application));
    Ok(primary(evidence, application, first)?
        .with_claim("application_domain", &*application.domain)
        .with_claim("application_principal", &*application.principal)
        .with_peer_evidence_binding(binding))
}
