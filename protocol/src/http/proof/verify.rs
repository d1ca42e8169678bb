//! The verifier: its checks in the specification's order, the cheap ones first (`proxy-proof-spec.md` 6).

use super::names::is_identifier;
use super::replay::ReplayCache;
use super::secret::{ProofConfigError, Secrets};
use super::token::Proof;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use thiserror::Error;

/// How far a token's time may be from the worker's unless configured otherwise, in seconds.
pub const DEFAULT_SKEW: u32 = 30;

/// Why a request's proof is invalid. For logs and counters only; it is never sent to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[error("{}", self.as_str())]
pub enum ProofFailure {
    /// There is no header.
    NoProof,
    /// There are several headers, or the value is not a token.
    Malformed,
    /// The claimed key is not configured.
    UnknownKeyId,
    /// The token was minted too long ago.
    Expired,
    /// The token was minted too far in the future.
    NotYetValid,
    /// The token is not signed with the claimed key's secret for this worker.
    BadMac,
    /// The nonce was used before.
    Replayed,
}

impl ProofFailure {
    /// All failures, in the order in which they are checked.
    pub const ALL: [Self; 7] = [
        Self::NoProof,
        Self::Malformed,
        Self::UnknownKeyId,
        Self::Expired,
        Self::NotYetValid,
        Self::BadMac,
        Self::Replayed,
    ];

    /// Returns the reason code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoProof => "no_proof",
            Self::Malformed => "malformed",
            Self::UnknownKeyId => "unknown_kid",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::BadMac => "bad_mac",
            Self::Replayed => "replayed",
        }
    }
}

/// A valid proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified<'a> {
    /// The label of the secret that verified it, which names the proxy.
    pub proxy: &'a str,
    /// The key id of that secret.
    pub key_id: &'a str,
}

/// Verifies tokens for one worker.
pub struct Verifier {
    origin_id: String,
    secrets: Secrets,
    skew: u32,
    replay: Option<Mutex<ReplayCache>>,
}

impl Verifier {
    /// Creates a verifier for the worker `origin_id`, with a window of `skew` seconds to either side and a cache of
    /// `replay_capacity` nonces; with `None`, replays within the window are not detected.
    ///
    /// # Errors
    ///
    /// If the origin id is invalid, there is no secret, or a number is zero.
    pub fn new(
        origin_id: impl Into<String>,
        secrets: Secrets,
        skew: u32,
        replay_capacity: Option<usize>,
    ) -> Result<Self, ProofConfigError> {
        let origin_id = origin_id.into();
        if !is_identifier(&origin_id) {
            return Err(ProofConfigError::OriginId);
        }
        if secrets.is_empty() {
            return Err(ProofConfigError::NoSecrets);
        }
        if skew == 0 {
            return Err(ProofConfigError::Skew);
        }
        if replay_capacity == Some(0) {
            return Err(ProofConfigError::ReplayCapacity);
        }
        let replay = replay_capacity.map(|capacity| Mutex::new(ReplayCache::new(capacity)));
        Ok(Self { origin_id, secrets, skew, replay })
    }

    /// Returns the worker that tokens must be minted for.
    pub fn origin_id(&self) -> &str {
        &self.origin_id
    }

    /// Verifies all values of the request's proof header. `now` is the time since the Unix epoch, truncated to whole seconds.
    ///
    /// A nonce is stored until the last second in which its token could verify. For a token minted ahead of the worker's clock,
    /// this is longer than half the window; storing it for only that time would let the token be used twice.
    ///
    /// # Errors
    ///
    /// The first failed check.
    pub fn verify<'a>(
        &self,
        values: impl IntoIterator<Item = &'a [u8]>,
        now: Duration,
    ) -> Result<Verified<'_>, ProofFailure> {
        let mut values = values.into_iter();
        let value = values.next().ok_or(ProofFailure::NoProof)?;
        if values.next().is_some() {
            return Err(ProofFailure::Malformed);
        }
        let proof = Proof::parse(value).ok_or(ProofFailure::Malformed)?;
        let entry = self.secrets.get(proof.key_id()).ok_or(ProofFailure::UnknownKeyId)?;
        let (now, minted, skew) = (u128::from(now.as_secs()), proof.timestamp(), u128::from(self.skew));
        if now.saturating_sub(minted) > skew {
            return Err(ProofFailure::Expired);
        }
        if minted.saturating_sub(now) > skew {
            return Err(ProofFailure::NotYetValid);
        }
        if !proof.is_signed_with(entry.secret, &self.origin_id) {
            return Err(ProofFailure::BadMac);
        }
        if self.replay().is_some_and(|mut seen| !seen.insert(proof.nonce(), minted.saturating_add(skew), now))
        {
            return Err(ProofFailure::Replayed);
        }
        Ok(Verified { proxy: entry.label, key_id: entry.key_id })
    }

    pub(super) fn replay(&self) -> Option<MutexGuard<'_, ReplayCache>> {
        self.replay.as_ref().map(|cache| cache.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Verifier")
            .field("origin_id", &self.origin_id)
            .field("key_ids", &self.secrets.key_ids().collect::<Vec<_>>())
            .field("skew", &self.skew)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
