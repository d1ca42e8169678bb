//! The settings of an issuer of tokens, and their validation.

use super::cache::Cache;
use super::source::Source;
use crate::location::Location;
use std::collections::HashSet;
use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// The maximum leeway for differing clocks.
const MAX_LEEWAY: Duration = Duration::from_secs(300);

/// The limits of key ages. Below the minimum, keys would be loaded constantly; above the maximum, a removed key would be
/// accepted for days.
const MIN_KEY_AGE: Duration = Duration::from_secs(10);
const MAX_KEY_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// An issuer of tokens, and which of its tokens to accept.
#[derive(Clone, Debug)]
pub struct JwtIssuer {
    name: String,
    audiences: Vec<String>,
    key_set_url: Option<String>,
    principal_claim: String,
    domain: String,
    leeway: Duration,
    refresh_after: Duration,
    max_key_age: Duration,
}

impl JwtIssuer {
    /// Accepts the tokens whose claim `iss` is this name, and whose claim `aud` has one of these audiences.
    ///
    /// The keys are found by OpenID Connect Discovery, below the name, unless a [URL](Self::key_set_url) is set.
    pub fn new(name: impl Into<String>, audiences: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            name: name.into(),
            audiences: audiences.into_iter().map(Into::into).collect(),
            key_set_url: None,
            principal_claim: "sub".into(),
            domain: "jwt".into(),
            leeway: Duration::from_secs(30),
            refresh_after: Duration::from_secs(600),
            max_key_age: Duration::from_secs(3600),
        }
    }

    /// Sets where the issuer's keys are published, as a JSON Web Key Set.
    pub fn key_set_url(mut self, url: impl Into<String>) -> Self {
        self.key_set_url = Some(url.into());
        self
    }

    /// Sets the claim that names the caller. Default `sub`. It must be a string that is not blank.
    pub fn principal_claim(mut self, claim: impl Into<String>) -> Self {
        self.principal_claim = claim.into();
        self
    }

    /// Sets the domain of the callers. Default `jwt`. Two issuers need two domains, because each may use the same name for a
    /// different caller. Pass all issuers of a service to one [`jwt`](super::jwt), which checks this.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = domain.into();
        self
    }

    /// Sets how much the clocks of issuer and server may differ. Default 30 s, and at most 300 s.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway.min(MAX_LEEWAY);
        self
    }

    /// Sets how old keys may be before they are loaded again, and before they are no longer used. Default 10 minutes and an
    /// hour; both are at least 10 s and at most a day. In between, calls continue to use them while one call loads new ones,
    /// and if loading fails.
    pub fn key_ages(mut self, refresh_after: Duration, max_age: Duration) -> Self {
        self.max_key_age = max_age.clamp(MIN_KEY_AGE, MAX_KEY_AGE);
        self.refresh_after = refresh_after.clamp(MIN_KEY_AGE, self.max_key_age);
        self
    }
}

/// Why the settings of [`jwt`](super::jwt) are invalid.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JwtError {
    /// There is no issuer, so no token would be accepted.
    #[error("expected an issuer of tokens, got none")]
    NoIssuer,
    /// An issuer's name is empty.
    #[error("expected the name of an issuer, got an empty one")]
    EmptyIssuer,
    /// An issuer has no audience, so tokens for any other service would be accepted.
    #[error("expected an audience of the tokens of {issuer:?}, got {got}")]
    NoAudience {
        /// The issuer.
        issuer: String,
        /// What was given instead.
        got: &'static str,
    },
    /// The URL of the issuer's keys is invalid. The message omits it, since a URL may contain a password.
    #[error("expected a URL of http or https for the keys of {issuer:?}, got another text")]
    Url {
        /// The issuer.
        issuer: String,
    },
    /// Two issuers have the same name.
    #[error("expected issuers of different names, got two of {issuer:?}")]
    SameIssuer {
        /// The issuer.
        issuer: String,
    },
    /// The domain is reserved, so the issuer's callers could not be distinguished from the service's own.
    #[error("expected a domain for the callers of {issuer:?}, got {domain:?}, which says that they are {of}")]
    ReservedDomain {
        /// The issuer.
        issuer: String,
        /// The domain.
        domain: String,
        /// For whom the domain is reserved.
        of: &'static str,
    },
    /// Two issuers have the same domain, so their callers could not be distinguished.
    #[error("expected a domain for each issuer, got {domain:?} for two")]
    SameDomain {
        /// The domain.
        domain: String,
    },
}

/// An issuer with validated settings.
pub(super) struct Issuer {
    pub(super) name: String,
    pub(super) audiences: Vec<String>,
    pub(super) principal_claim: String,
    pub(super) domain: String,
    pub(super) leeway: Duration,
    pub(super) source: Source,
    pub(super) cache: Cache,
}

impl From<JwtIssuer> for Issuer {
    fn from(issuer: JwtIssuer) -> Self {
        let JwtIssuer { name, audiences, key_set_url, principal_claim, domain, leeway, .. } = issuer;
        Self {
            source: Source::new(&name, key_set_url),
            cache: Cache::new(issuer.refresh_after, issuer.max_key_age),
            name,
            audiences,
            principal_claim,
            domain,
            leeway,
        }
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer")
            .field("name", &self.name)
            .field("audiences", &self.audiences)
            .finish_non_exhaustive()
    }
}

pub(super) fn checked(issuers: Vec<JwtIssuer>) -> Result<Vec<Issuer>, JwtError> {
    if issuers.is_empty() {
        return Err(JwtError::NoIssuer);
    }
    let (mut names, mut domains) = (HashSet::new(), HashSet::new());
    for issuer in &issuers {
        let name = || issuer.name.clone();
        if issuer.name.is_empty() {
            return Err(JwtError::EmptyIssuer);
        }
        if issuer.audiences.is_empty() {
            return Err(JwtError::NoAudience { issuer: name(), got: "none" });
        }
        if issuer.audiences.iter().any(String::is_empty) {
            return Err(JwtError::NoAudience { issuer: name(), got: "an empty one" });
        }
        if !names.insert(&issuer.name) {
            return Err(JwtError::SameIssuer { issuer: name() });
        }
        if let Some(of) = reserved(&issuer.domain) {
            return Err(JwtError::ReservedDomain { issuer: name(), domain: issuer.domain.clone(), of });
        }
        if !domains.insert(&issuer.domain) {
            return Err(JwtError::SameDomain { domain: issuer.domain.clone() });
        }
        let is_url = match &issuer.key_set_url {
            Some(url) => is_http(url),
            // The discovery path is appended to it.
            None => is_http(&issuer.name) && !issuer.name.contains(['?', '#']),
        };
        if !is_url {
            return Err(JwtError::Url { issuer: name() });
        }
    }
    Ok(issuers.into_iter().map(Issuer::from).collect())
}

/// Returns for whom the domain is reserved, if callers with other credentials use it.
fn reserved(domain: &str) -> Option<&'static str> {
    match domain {
        "" => Some("anonymous"),
        super::super::sealed_grants::DOMAIN => Some("holders of grants"),
        super::super::resolved_tokens::DOMAIN => Some("holders of tokens that a resolver knows"),
        _ => None,
    }
}

fn is_http(text: &str) -> bool {
    let begins = |with: &str| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    (begins("https://") || begins("http://")) && Location::parse(text).is_ok()
}
