//! Why a request is not authenticated, and the status of its response.

use crate::effect::Ask;
use std::fmt;
use thiserror::Error;

/// The stage that refused a request: the closed set of `unauthorized-spec.md` 3.
///
/// It names the stage and never the verifier's diagnosis. A failure that fits no other reason is `Unauthorized`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No credential was presented: send one.
    MissingCredential,
    /// A credential was presented and rejected: do not repeat it.
    InvalidCredential,
    /// The credential is well-formed but outside its validity period: refresh it and try again.
    ExpiredCredential,
    /// The caller is known but not permitted.
    InsufficientScope,
    /// Nothing shows that the request came through the trusted proxy: check the proxy's configuration.
    ProxyRequired,
    /// Refused for an unspecified reason.
    Unauthorized,
}

impl Reason {
    /// All reasons, in the specification's order.
    pub const ALL: [Self; 6] = [
        Self::MissingCredential,
        Self::InvalidCredential,
        Self::ExpiredCredential,
        Self::InsufficientScope,
        Self::ProxyRequired,
        Self::Unauthorized,
    ];

    /// Returns the code used on the wire.
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

    /// Returns the reason with this code, or `None` for an unknown code, which clients treat as `Unauthorized`.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == code)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A refusal that is sent to the caller as a 401.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthFailure {
    /// The stage that refused.
    pub reason: Reason,
    /// Human-readable text, **sent to the caller**: it must not contain a credential, a claimed key, or a verifier's finding
    /// about a guess (`unauthorized-spec.md` 2). May be empty.
    pub detail: String,
    /// What the verifier found, for the operator's log and metrics. Never sent to the caller.
    pub diagnosis: Option<&'static str>,
}

impl AuthFailure {
    /// Creates a refusal with a text for the caller.
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
    /// A header that may occur once occurs several times. A proxy may have looked at any of them.
    #[error("expected one {name} header, got {count}")]
    Repeated {
        /// The header.
        name: String,
        /// How often it occurs.
        count: usize,
    },
    /// The value is not valid UTF-8.
    #[error("expected text in the {name} header, got other bytes")]
    NotText {
        /// The header.
        name: String,
    },
}

/// Why an authenticator did not accept a request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The credential is missing or invalid: a 401, unless a later member of a [`chain`](super::chain) accepts the request.
    #[error("refused: {0}")]
    Refused(AuthFailure),
    /// The request must not be served, whatever other credential it has: a 401, which also ends a chain.
    #[error("denied: {0}")]
    Denied(AuthFailure),
    /// The credential could not be checked: a 503. This is not a refusal, because a caller would discard a valid credential
    /// after an outage. It ends a chain.
    #[error("authentication is unavailable, try again after {retry_after} s: {detail}")]
    Unavailable {
        /// When to try again, in seconds: the value of `Retry-After`.
        retry_after: u32,
        /// What failed, for the operator. Not sent to the caller.
        detail: String,
    },
    /// A question must be answered before the request can be authenticated. The authenticator returns the error of
    /// [`AuthRequest::ask`](super::AuthRequest::ask), and runs again when the answer is available.
    #[error("authentication waits for an answer")]
    Ask(Ask),
    /// The authenticator itself has failed: a 500. The text is for the operator and is not sent to the caller.
    #[error("the authenticator failed: {0}")]
    Failed(String),
}

impl AuthError {
    /// Creates a refusal after which the next alternative is tried.
    pub fn refused(reason: Reason, detail: impl Into<String>) -> Self {
        Self::Refused(AuthFailure::new(reason, detail))
    }

    /// Creates a refusal that is final.
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
