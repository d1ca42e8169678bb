//! The hooks that an application implements: resolving tokens, and minting grants.

use super::records::{IssuedGrant, TokenIdentity};
use crate::effect::{Failure, FailureReason};
use crate::panics;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// The default delay before a retry, in seconds. IDENTITY_V2_SPEC 2.
pub(super) const DEFAULT_RETRY_SECONDS: u32 = 5;

/// Why a hook failed. Callers see neither text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HookError {
    /// The answer is not available now, for example because a store is down. This is not a refusal: a caller who takes an outage
    /// for one discards a good credential.
    #[error("unavailable, try again after {retry_after} s: {detail}")]
    Unavailable {
        /// The delay before a retry, in seconds, which is sent to the caller.
        retry_after: u32,
        /// What failed, for the operator.
        detail: String,
    },
    /// The hook itself failed. The text is for the operator.
    #[error("failed: {0}")]
    Failed(String),
}

impl HookError {
    /// Creates an outage after which the caller may retry in 5 s.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::Unavailable { retry_after: DEFAULT_RETRY_SECONDS, detail: detail.into() }
    }

    /// Sets the delay before a retry, if this is an outage.
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
    /// The hook failed.
    #[error(transparent)]
    Hook(#[from] HookError),
}

impl MintError {
    /// Creates a refusal with a text for the caller.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::Refused(message.into())
    }
}

/// The result of a resolver: the identity that a token authenticates, or `None` if the token is unknown.
pub type Resolution = Result<Option<TokenIdentity>, HookError>;

/// Resolves tokens to identities. Clones share the function.
///
/// It is called with the token as it was sent, which has at most 4096 bytes, is not blank, and is not shaped like a JWS. Return
/// `Ok(None)` for a token that is unknown, has expired or was revoked. A blank principal, and a panic, are failures of the
/// resolver.
#[derive(Clone)]
pub struct Resolver {
    resolve: Arc<dyn Fn(&str) -> Resolution + Send + Sync>,
    may_wait: bool,
}

impl Resolver {
    /// Returns a number that no other live resolver has. A clone has the same number.
    #[cfg(feature = "http")]
    pub(crate) fn number(&self) -> usize {
        Arc::as_ptr(&self.resolve).addr()
    }
}

impl Resolver {
    /// Creates a resolver that decides from memory. It must not block: for a bearer token it is called on a thread that serves
    /// other requests too.
    pub fn from_memory(resolve: impl Fn(&str) -> Resolution + Send + Sync + 'static) -> Self {
        Self { resolve: Arc::new(resolve), may_wait: false }
    }

    /// Creates a resolver that asks the outside world. `introspect_token` calls it like a handler, on a thread that may block.
    /// For a bearer token it is an [effect](crate::effect), which the driver performs. It should have its own timeout.
    pub fn waiting(resolve: impl Fn(&str) -> Resolution + Send + Sync + 'static) -> Self {
        Self { resolve: Arc::new(resolve), may_wait: true }
    }

    /// Returns whether it may block.
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

/// A request for a grant. The grant is always the caller's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrantRequest<'a> {
    /// The caller.
    pub principal: &'a str,
    /// The purpose of the grant, for audit trails.
    pub purpose: &'a str,
    /// The scopes of the grant. The application defines their meaning.
    pub scopes: &'a [String],
    /// The requested lifetime. The grant may be shorter.
    pub ttl_seconds: i64,
}

impl<'a> GrantRequest<'a> {
    /// Creates a request of this caller, without a purpose or scopes.
    pub const fn new(principal: &'a str, ttl_seconds: i64) -> Self {
        Self { principal, purpose: "", scopes: &[], ttl_seconds }
    }

    /// Sets the purpose of the grant.
    #[must_use]
    pub const fn purpose(mut self, purpose: &'a str) -> Self {
        self.purpose = purpose;
        self
    }

    /// Sets the scopes of the grant.
    #[must_use]
    pub const fn scopes(mut self, scopes: &'a [String]) -> Self {
        self.scopes = scopes;
        self
    }
}

/// A function that mints grants.
pub(super) type MintGrant = dyn Fn(&GrantRequest<'_>) -> Result<IssuedGrant, MintError> + Send + Sync;
