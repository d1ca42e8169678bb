//! SPIFFE IDs of workloads.

use super::settings::PeerSettingError;
#[cfg(any(feature = "http", feature = "mtls-pem"))]
use super::{
    evidence::ProviderResult,
    identity::{Assurance, PeerIdentity, Stability, Subject, SubjectKind},
    json::JsonObject,
};
use std::collections::BTreeSet;
use thiserror::Error;

/// The name of every provider of SPIFFE IDs.
#[cfg(any(feature = "http", feature = "mtls-pem"))]
pub(super) const SPIFFE: &str = "spiffe";

/// The maximum length of a SPIFFE ID in bytes.
const MAX_ID_BYTES: usize = 2048;
/// The maximum length of a trust domain in bytes.
const MAX_DOMAIN_BYTES: usize = 255;

/// Why a text is not a SPIFFE ID of a workload in an allowed trust domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SpiffeIdError {
    /// It is longer than a SPIFFE ID can be.
    #[error("expected a SPIFFE ID of at most {MAX_ID_BYTES} bytes")]
    TooLong,
    /// It does not begin with `spiffe://`.
    #[error("expected a SPIFFE ID, which begins with spiffe://")]
    Scheme,
    /// The part after that is not a trust domain: it may have user information, a port or capital letters.
    #[error("expected a trust domain of lower-case letters, digits, dots, hyphens and underscores")]
    TrustDomain,
    /// The path is empty or not canonical: a segment must not be empty, `.` or `..`, and consists of letters, digits, `.`, `-`,
    /// `_`.
    #[error("expected the canonical path of a workload")]
    Path,
    /// The trust domain is not an allowed one.
    #[error("expected a trust domain that is allowed")]
    OtherTrustDomain,
}

/// The trust domains whose workloads are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustDomains(BTreeSet<Box<str>>);

impl TrustDomains {
    /// Accepts the workloads of these trust domains, such as `example.org`.
    ///
    /// # Errors
    /// If the list is empty, or a text is not a trust domain.
    pub fn new(domains: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, PeerSettingError> {
        let checked = |domain: &str| match is_trust_domain(domain) {
            true => Ok(domain.into()),
            false => Err(PeerSettingError::TrustDomain(domain.to_owned())),
        };
        let domains: BTreeSet<_> =
            domains.into_iter().map(|domain| checked(domain.as_ref())).collect::<Result<_, _>>()?;
        if domains.is_empty() {
            return Err(PeerSettingError::Missing("a SPIFFE trust domain"));
        }
        Ok(Self(domains))
    }

    /// Checks that a text is the canonical SPIFFE ID of a workload in one of these trust domains, and returns its trust domain.
    ///
    /// # Errors
    /// If it is not.
    pub fn check<'a>(&self, id: &'a str) -> Result<&'a str, SpiffeIdError> {
        if id.len() > MAX_ID_BYTES {
            return Err(SpiffeIdError::TooLong);
        }
        let rest = id.strip_prefix("spiffe://").ok_or(SpiffeIdError::Scheme)?;
        let (domain, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !is_trust_domain(domain) {
            return Err(SpiffeIdError::TrustDomain);
        }
        if !path.split('/').all(is_segment) {
            return Err(SpiffeIdError::Path);
        }
        if !self.0.contains(domain) {
            return Err(SpiffeIdError::OtherTrustDomain);
        }
        Ok(domain)
    }

    /// Returns the workload with this ID as evidence.
    #[cfg(any(feature = "http", feature = "mtls-pem"))]
    pub(super) fn workload(
        &self,
        id: &str,
        source: &str,
        assurance: Assurance,
        transport: &str,
        attributes: JsonObject,
    ) -> Result<PeerIdentity, SpiffeIdError> {
        let issuer = format!("spiffe://{}", self.check(id)?);
        let subject = Subject::verified(SubjectKind::Workload, id, Stability::Stable);
        let identity = PeerIdentity::new(SPIFFE, source, assurance, issuer, transport);
        Ok(identity.with_subject(subject).with_attributes(attributes))
    }
}

fn is_trust_domain(text: &str) -> bool {
    let is_edge =
        |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = text.as_bytes();
    bytes.len() <= MAX_DOMAIN_BYTES
        && is_edge(bytes.first().copied())
        && is_edge(bytes.last().copied())
        && bytes.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
}

fn is_segment(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// Converts the result of a check to an identity, or to invalid evidence.
#[cfg(any(feature = "http", feature = "mtls-pem"))]
pub(super) fn available_or_invalid<E>(identity: Result<PeerIdentity, E>) -> ProviderResult {
    match identity {
        Ok(identity) => ProviderResult::available(identity),
        Err(_) => ProviderResult::without(super::status::ProviderStatus::Invalid),
    }
}
