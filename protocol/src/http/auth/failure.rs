//! Why a request is not let in, and what that means for the answer.

use crate::effect::Ask;
use std::fmt;
use thiserror::Error;

/// The stage that refused a request: the closed set of `unauthorized-spec.md` 3.
///
/// It names the stage and never the verifier's diagnosis. A failure that fits none of them is `Unauthorized`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No credential was presented: send one.
    MissingCredential,
    /// A credential was presented and rejected: do not repeat it.
    InvalidCredential,
    /// A well-formed credential outside its validity: refresh it and try again.
    ExpiredCredential,
    /// The caller is known and not permitted.
    InsufficientScope,
    /// Nothing shows that the request came through the trusted proxy: look at the proxy's configuration.
    ProxyRequired,
    /// Refused without a class.
    Unauthorized,
}

impl Reason {
    /// All of them, in the specification's order.
    pub const ALL: [Self; 6] = [
        Self::MissingCredential,
        Self::InvalidCredential,
        Self::ExpiredCredential,
        Self::InsufficientScope,
        Self::ProxyRequired,
        Self::Unauthorized,
    ];

    /// The code as it is on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingCredential => "missing_credential",
            Self::InvalidCredential => "invalid_credential",
            Self::ExpiredCredential => "expired_credential",
            Self::InsufficientScope => "insufficient_scope",
            Self::ProxyRequired => "proxy_required",
            Self::Unauthorized => "unauthorized",
        }
    }

    /// The reason of a code; `None` for a code outside the set, which a reader treats as `Unauthorized`.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == code)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A refusal as the caller is told of it: a 401.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthFailure {
    /// The stage that refused.
    pub reason: Reason,
    /// Text for a human, **sent to the caller**: never a credential, an echo of a claimed key, or what a
    /// verifier found wrong with a guess (`unauthorized-spec.md` 2). May be empty.
    pub detail: String,
    /// What the verifier found, for the operator's log and metrics. Never sent to the caller.
    pub diagnosis: Option<&'static str>,
}

impl AuthFailure {
    /// A refusal with a text for the caller.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), diagnosis: None }
    }

    /// Adds what the verifier found, for the operator alone.
    #[must_use]
    pub fn with_diagnosis(mut self, diagnosis: &'static str) -> Self {
        self.diagnosis = Some(diagnosis);
        self
    }
}

impl fmt::Display for AuthFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.detail.is_empty() { self.reason.as_str() } else { &self.detail })
    }
}

/// The request has a header that an authenticator reads, but not in a form it can read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeaderFault {
    /// A header that may be there once is there several times. Which of them a proxy looked at is anyone's
    /// guess.
    #[error("expected one {name} header, got {count}")]
    Repeated {
        /// The header.
        name: String,
        /// How often it is there.
        count: usize,
    },
    /// The value is no UTF-8.
    #[error("expected text in the {name} header, got other bytes")]
    NotText {
        /// The header.
        name: String,
    },
}

/// An authenticator did not let a request in.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The credential is missing or not good: a 401, unless a later member of a [`chain`](super::chain)
    /// accepts it.
    #[error("refused: {0}")]
    Refused(AuthFailure),
    /// The request is not to be served, whatever other credential it has: a 401, also out of a chain.
    #[error("denied: {0}")]
    Denied(AuthFailure),
    /// Whether the credential is good could not be found out: a 503. Not a rejection, because a caller who
    /// takes an outage for one throws its good credential away. A chain does not pass it on.
    #[error("authentication is unavailable, try again after {retry_after} s: {detail}")]
    Unavailable {
        /// When to try again, in seconds: the value of `Retry-After`.
        retry_after: u32,
        /// What failed, for the operator. Not sent to the caller.
        detail: String,
    },
    /// A question must be answered before the request can be judged. The authenticator returns what
    /// [`AuthRequest::ask`](super::AuthRequest::ask) gave it, and runs again when the answer has come.
    #[error("authentication waits for an answer")]
    Ask(Ask),
    /// The authenticator itself is at fault: a 500. The text is for the operator and is not sent to the
    /// caller.
    #[error("the authenticator failed: {0}")]
    Failed(String),
}

impl AuthError {
    /// A refusal that lets the next alternative try.
    pub fn refused(reason: Reason, detail: impl Into<String>) -> Self {
        Self::Refused(AuthFailure::new(reason, detail))
    }

    /// A refusal that ends the matter.
    pub fn denied(reason: Reason, detail: impl Into<String>) -> Self {
        Self::Denied(AuthFailure::new(reason, detail))
    }
}

impl From<Ask> for AuthError {
    fn from(ask: Ask) -> Self {
        Self::Ask(ask)
    }
}

impl From<HeaderFault> for AuthError {
    fn from(fault: HeaderFault) -> Self {
        Self::refused(Reason::InvalidCredential, fault.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip_and_the_set_is_closed() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
        }
        for other in ["", "Unauthorized", "no_proof", "unauthorized "] {
            assert_eq!(Reason::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_failure_without_detail_shows_its_code() {
        assert_eq!(AuthFailure::new(Reason::ExpiredCredential, "").to_string(), "expired_credential");
        assert_eq!(AuthFailure::new(Reason::ExpiredCredential, "too old").to_string(), "too old");
    }
}
