//! Who issues tokens, and for whom.

use super::cache::Cache;
use super::source::Source;
use crate::location::Location;
use std::collections::HashSet;
use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// The most that clocks may be allowed to differ.
const MAX_LEEWAY: Duration = Duration::from_secs(300);

/// What the ages of keys are held to: with less, each key would be asked for all the time, and with more, one that the issuer
/// has removed would be accepted for days.
const MIN_KEY_AGE: Duration = Duration::from_secs(10);
const MAX_KEY_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// An issuer of tokens, and which of its tokens are accepted.
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

    /// Sets the claim that names the caller. Default `sub`. It must be text, and not blank.
    pub fn principal_claim(mut self, claim: impl Into<String>) -> Self {
        self.principal_claim = claim.into();
        self
    }

    /// Sets the domain of the callers. Default `jwt`. Two issuers need two domains: the same name stands for another caller with
    /// each. For that reason the issuers of a service belong in one [`jwt`](super::jwt), which compares them.
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
    /// hour; both are at least 10 s and at most a day. In between, calls go on with them while one of the calls loads them, and
    /// also when they cannot be loaded.
    pub fn key_ages(mut self, refresh_after: Duration, max_age: Duration) -> Self {
        self.max_key_age = max_age.clamp(MIN_KEY_AGE, MAX_KEY_AGE);
        self.refresh_after = refresh_after.clamp(MIN_KEY_AGE, self.max_key_age);
        self
    }
}

/// Why [`jwt`](super::jwt) cannot be used as it is set up.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JwtError {
    /// There is no issuer, so that no token would be accepted.
    #[error("expected an issuer of tokens, got none")]
    NoIssuer,
    /// An issuer's name is empty.
    #[error("expected the name of an issuer, got an empty one")]
    EmptyIssuer,
    /// An issuer has no audience, so that tokens for any other service would be accepted.
    #[error("expected an audience of the tokens of {issuer:?}, got {got}")]
    NoAudience {
        /// The issuer.
        issuer: String,
        /// What there is in place of one.
        got: &'static str,
    },
    /// The issuer's keys cannot be where they are said to be. It is not repeated, since a URL may have a password in it.
    #[error("expected a URL of http or https for the keys of {issuer:?}, got another text")]
    Url {
        /// The issuer.
        issuer: String,
    },
    /// Two issuers have one name.
    #[error("expected issuers of different names, got two of {issuer:?}")]
    SameIssuer {
        /// The issuer.
        issuer: String,
    },
    /// The callers of an issuer could not be told from those of the service itself.
    #[error("expected a domain for the callers of {issuer:?}, got {domain:?}, which says that they are {of}")]
    ReservedDomain {
        /// The issuer.
        issuer: String,
        /// The domain.
        domain: String,
        /// Whose domain it is.
        of: &'static str,
    },
    /// The callers of two issuers could not be told apart.
    #[error("expected a domain for each issuer, got {domain:?} for two")]
    SameDomain {
        /// The domain.
        domain: String,
    },
}

/// An issuer as it is used.
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
            // The path of discovery is added to it.
            None => is_http(&issuer.name) && !issuer.name.contains(['?', '#']),
        };
        if !is_url {
            return Err(JwtError::Url { issuer: name() });
        }
    }
    Ok(issuers.into_iter().map(Issuer::from).collect())
}

/// Whose domain it is, if it is one that callers have by other credentials.
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
