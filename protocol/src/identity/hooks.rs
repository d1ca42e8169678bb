//! What the application implements: resolving tokens, and minting grants.

use super::records::{IssuedGrant, TokenIdentity};
use crate::effect::{Failure, FailureReason};
use crate::panics;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// When to ask again if nothing else is known, in seconds. IDENTITY_V2_SPEC 2.
pub(super) const DEFAULT_RETRY_SECONDS: u32 = 5;

/// Why a hook gave no answer. Callers see neither text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HookError {
    /// The answer cannot be found out now, such as when a store is down. This is no refusal: a caller who takes an outage for
    /// one gives up a good credential.
    #[error("unavailable, try again after {retry_after} s: {detail}")]
    Unavailable {
        /// When to ask again, in seconds. The caller is told.
        retry_after: u32,
        /// What failed, for the operator.
        detail: String,
    },
    /// The hook itself is at fault. The text is for the operator.
    #[error("failed: {0}")]
    Failed(String),
}

impl HookError {
    /// An outage after which the caller may ask again in 5 s.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::Unavailable { retry_after: DEFAULT_RETRY_SECONDS, detail: detail.into() }
    }

    /// Sets when the caller may ask again, if this is an outage.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        match self {
            Self::Unavailable { detail, .. } => Self::Unavailable { retry_after: seconds, detail },
            failed => failed,
        }
    }
}

impl From<Failure> for HookError {
    fn from(failure: Failure) -> Self {
        match failure.reason {
            FailureReason::TimedOut | FailureReason::Unavailable | FailureReason::OverBudget => {
                Self::unavailable(failure.message)
            }
            _ => Self::Failed(failure.message),
        }
    }
}

/// Why no grant was minted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MintError {
    /// The policy does not allow this grant. **The text is sent to the caller.**
    #[error("refused: {0}")]
    Refused(String),
    /// The hook gave no answer.
    #[error(transparent)]
    Hook(#[from] HookError),
}

impl MintError {
    /// A refusal with a text for the caller.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::Refused(message.into())
    }
}

/// What a resolver gives: whose credential a token is, or `None` if it is nobody's.
pub type Resolution = Result<Option<TokenIdentity>, HookError>;

/// Says whose credential a token is. Clones share the function.
///
/// It is called with the token as it was sent, which has at most 4096 bytes, is not blank, and is not shaped like a JWS. An
/// unknown token is `Ok(None)`, and so is one that has expired or was revoked. A blank principal, and a panic, are failures
/// of the resolver.
#[derive(Clone)]
pub struct Resolver {
    resolve: Arc<dyn Fn(&str) -> Resolution + Send + Sync>,
    may_wait: bool,
}

impl Resolver {
    /// Tells this resolver from all others that there are at the same time. A clone has the same number.
    #[cfg(feature = "http")]
    pub(crate) fn number(&self) -> usize {
        Arc::as_ptr(&self.resolve).addr()
    }
}

impl Resolver {
    /// A resolver that decides from what is in memory. It must not wait: for a bearer token it is called on a thread that
    /// serves other requests too.
    pub fn from_memory(resolve: impl Fn(&str) -> Resolution + Send + Sync + 'static) -> Self {
        Self { resolve: Arc::new(resolve), may_wait: false }
    }

    /// A resolver that asks the outside world. `introspect_token` calls it as handlers are called, on a thread that may block;
    /// for a bearer token it is an [effect](crate::effect), which the driver performs. It should have a timeout of its own.
    pub fn waiting(resolve: impl Fn(&str) -> Resolution + Send + Sync + 'static) -> Self {
        Self { resolve: Arc::new(resolve), may_wait: true }
    }

    /// Whether it may wait.
    pub fn may_wait(&self) -> bool {
        self.may_wait
    }

    /// Calls the function.
    pub(crate) fn resolve(&self, token: &str) -> Resolution {
        let resolved = panics::catch(|| (self.resolve)(token))
            .unwrap_or_else(|| Err(HookError::Failed("the resolver of tokens panicked".into())))?;
        match resolved {
            Some(identity) if identity.principal.trim().is_empty() => {
                Err(HookError::Failed("the resolver of tokens returned a blank principal".into()))
            }
            resolved => Ok(resolved),
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("may_wait", &self.may_wait).finish_non_exhaustive()
    }
}

/// What a caller wants a grant for. Whose grant it is cannot be asked for: it is the caller's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrantRequest<'a> {
    /// The caller.
    pub principal: &'a str,
    /// Why the grant is wanted, for audit trails.
    pub purpose: &'a str,
    /// What the grant is to allow. What that means is for the application.
    pub scopes: &'a [String],
    /// How long the grant should last. It may be minted for a shorter time.
    pub ttl_seconds: i64,
}

impl<'a> GrantRequest<'a> {
    /// A request of this caller, without a purpose or scopes.
    pub const fn new(principal: &'a str, ttl_seconds: i64) -> Self {
        Self { principal, purpose: "", scopes: &[], ttl_seconds }
    }

    /// Sets why the grant is wanted.
    #[must_use]
    pub const fn purpose(mut self, purpose: &'a str) -> Self {
        self.purpose = purpose;
        self
    }

    /// Sets what the grant is to allow.
    #[must_use]
    pub const fn scopes(mut self, scopes: &'a [String]) -> Self {
        self.scopes = scopes;
        self
    }
}

/// A function that mints grants.
pub(super) type MintGrant = dyn Fn(&GrantRequest<'_>) -> Result<IssuedGrant, MintError> + Send + Sync;
