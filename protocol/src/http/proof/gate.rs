//! The gate that a worker runs before its authentication: modes, claims and counters.

use super::replay::DEFAULT_REPLAY_CAPACITY;
use super::secret::{ProofConfigError, Secrets};
use super::token::Proof;
use super::verify::{DEFAULT_SKEW, ProofFailure, Verified, Verifier};
use crate::http::auth::{AuthError, AuthFailure, AuthRequest, Precondition, Reason};
use crate::http::headers::PROXY_PROOF;
use serde_json::{Map, Value};
use std::sync::atomic::{AtomicU64, Ordering};

/// The claim with the gate's result (`proxy-proof-spec.md` 9).
pub const PROOF_CLAIM: &str = "vgi_proxy_proof";

/// The same text for every refusal: the caller must not learn which check failed (`proxy-proof-spec.md` 6).
const DETAIL: &str = "This service requires proof that the request came through its proxy";

/// What a gate does with a request without a valid proof (`proxy-proof-spec.md` 7). "Off" means no gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Accepts and records it: for the time in which proxies are updated to mint tokens.
    Allow,
    /// Refuses it with a 401.
    Require,
}

/// The settings of a gate.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GateConfig {
    /// What happens without a valid proof; default [`Mode::Require`].
    pub mode: Mode,
    /// The worker's identifier, which is part of the signed string.
    pub origin_id: String,
    /// The accepted secrets.
    pub secrets: Secrets,
    /// How far a token's time may be from the worker's, to either side, in seconds; default [`DEFAULT_SKEW`].
    pub skew: u32,
    /// The capacity of the replay cache in nonces, under 200 bytes each; default [`DEFAULT_REPLAY_CAPACITY`]. With `None`,
    /// replays within the time window are not detected.
    pub replay_capacity: Option<usize>,
}

impl GateConfig {
    /// Requires proofs minted for `origin_id` with one of `secrets`.
    pub fn new(origin_id: impl Into<String>, secrets: Secrets) -> Self {
        Self {
            mode: Mode::Require,
            origin_id: origin_id.into(),
            secrets,
            skew: DEFAULT_SKEW,
            replay_capacity: Some(DEFAULT_REPLAY_CAPACITY),
        }
    }
}

/// The counters of a gate since its creation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GateCounts {
    /// Requests with a valid proof.
    pub verified: u64,
    /// Requests without a valid proof by failure, in the order of [`ProofFailure::ALL`].
    pub failed: [(ProofFailure, u64); ProofFailure::ALL.len()],
    /// Nonces evicted before they expired, because the cache was full.
    pub replay_overflow_evictions: u64,
}

impl GateCounts {
    /// Returns the number of requests without a valid proof.
    pub fn unverified(&self) -> u64 {
        self.failed.iter().map(|(_, count)| count).sum()
    }
}

/// The precondition "came through a trusted proxy", for [`require_all`](crate::http::auth::require_all).
///
/// In [`Mode::Require`] a request without a valid proof is denied with the reason `proxy_required` and always the same text.
/// The failed check is in the failure's `diagnosis`, for the log, and in [`counts`](Self::counts). An accepted request has the
/// claim [`PROOF_CLAIM`]: an object of strings (`proxy-proof-spec.md` 9) with `verified`, `origin_id`, `reason`, `kid` if a
/// well-formed token claimed one, and `proxy` if it was verified.
#[derive(Debug)]
pub struct Gate {
    mode: Mode,
    verifier: Verifier,
    verified: AtomicU64,
    failed: [(ProofFailure, AtomicU64); ProofFailure::ALL.len()],
}

impl Gate {
    /// Creates a gate with this configuration.
    ///
    /// # Errors
    ///
    /// If the configuration is invalid. A worker must not start without its gate then.
    pub fn new(config: GateConfig) -> Result<Self, ProofConfigError> {
        let GateConfig { mode, origin_id, secrets, skew, replay_capacity } = config;
        let verifier = Verifier::new(origin_id, secrets, skew, replay_capacity)?;
        let failed = ProofFailure::ALL.map(|failure| (failure, AtomicU64::new(0)));
        Ok(Self { mode, verifier, verified: AtomicU64::new(0), failed })
    }

    /// Returns what happens without a valid proof. A worker advertises `VGI-Proxy-Proof-Required` in [`Mode::Require`] only.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Returns the counters. In [`Mode::Allow`] they show whether all proxies send proofs, so that [`Mode::Require`] can be
    /// set.
    pub fn counts(&self) -> GateCounts {
        GateCounts {
            verified: self.verified.load(Ordering::Relaxed),
            failed: self.failed.each_ref().map(|(failure, count)| (*failure, count.load(Ordering::Relaxed))),
            replay_overflow_evictions: self.verifier.replay().map_or(0, |cache| cache.overflow_evictions()),
        }
    }

    fn count(&self, outcome: &Result<Verified<'_>, ProofFailure>) {
        let counter = match outcome {
            Ok(_) => Some(&self.verified),
            Err(failure) => {
                self.failed.iter().find(|(counted, _)| counted == failure).map(|(_, counter)| counter)
            }
        };
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn claims(&self, reason: &str, key_id: Option<&str>, proxy: Option<&str>) -> Map<String, Value> {
        let text = |name: &str, value: &str| (name.to_owned(), Value::from(value));
        let mut claims = Map::from_iter([
            text("verified", if proxy.is_some() { "true" } else { "false" }),
            text("origin_id", self.verifier.origin_id()),
            text("reason", reason),
        ]);
        claims.extend(key_id.map(|key_id| text("kid", key_id)));
        claims.extend(proxy.map(|proxy| text("proxy", proxy)));
        claims
    }
}

impl Precondition for Gate {
    fn claim(&self) -> &str {
        PROOF_CLAIM
    }

    fn check(&self, request: &AuthRequest<'_>) -> Result<Map<String, Value>, AuthError> {
        let values = request.parts.headers.get_all(PROXY_PROOF);
        let outcome = self.verifier.verify(values.iter().map(http::HeaderValue::as_bytes), request.now);
        self.count(&outcome);
        match (outcome, self.mode) {
            (Ok(verified), _) => Ok(self.claims("ok", Some(verified.key_id), Some(verified.proxy))),
            (Err(failure), Mode::Require) => {
                let refusal =
                    AuthFailure::new(Reason::ProxyRequired, DETAIL).with_diagnosis(failure.as_str());
                Err(AuthError::Denied(refusal))
            }
            (Err(failure), Mode::Allow) => {
                let mut values = values.iter();
                let only = values.next().filter(|_| values.next().is_none());
                let claimed =
                    only.and_then(|value| Proof::parse(value.as_bytes())).map(|proof| proof.key_id());
                Ok(self.claims(failure.as_str(), claimed, None))
            }
        }
    }

    fn proxy_headers(&self) -> Vec<String> {
        match self.mode {
            // It never refuses, so a 401 is never caused by a missing header.
            Mode::Allow => Vec::new(),
            Mode::Require => vec!["VGI-Proxy-Proof".to_owned()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Secret, mint};
    use super::*;
    use crate::http::auth::{AuthContext, Authenticator, bearer_static, require_all};
    use serde_json::json;
    use std::sync::Arc;
    use std::time::Duration;

    const PROOF_HEADER: &str = "vgi-proxy-proof";
    const NOW: Duration = Duration::from_secs(1_700_000_000);

    fn gate(mode: Mode) -> Arc<Gate> {
        let secrets = Secrets::parse(&format!("edge-v2:{}", "11".repeat(32))).unwrap();
        let config =
            GateConfig { mode, ..GateConfig::new("worker", secrets.with_label("edge-v2", "edge").unwrap()) };
        Arc::new(Gate::new(config).unwrap())
    }

    fn token(nonce: u8) -> String {
        mint("edge-v2", &Secret::new([0x11; 32]), "worker", NOW, [nonce; 16]).unwrap()
    }

    fn ask(authenticator: &dyn Authenticator, headers: &[(&str, &str)]) -> Result<AuthContext, AuthError> {
        let request = headers
            .iter()
            .fold(http::Request::post("/"), |request, (name, value)| request.header(*name, *value));
        let (parts, ()) = request.body(()).unwrap().into_parts();
        authenticator.authenticate(&AuthRequest::new(&parts, None, NOW))
    }

    #[test]
    fn a_verified_request_says_which_proxy_it_came_through() {
        for mode in [Mode::Allow, Mode::Require] {
            let context = ask(&require_all(gate(mode), None), &[("VGI-Proxy-Proof", &token(1))]).unwrap();
            let expected = json!({
                "verified": "true", "proxy": "edge", "kid": "edge-v2", "origin_id": "worker", "reason": "ok",
            });
            assert_eq!(context, AuthContext::anonymous().with_claim(PROOF_CLAIM, expected));
        }
    }

    #[test]
    fn require_refuses_everything_else_in_one_way() {
        let gate = gate(Mode::Require);
        let authenticator = require_all(Arc::clone(&gate), None);
        let (good, other) =
            (token(1), mint("nobody", &Secret::new([1; 32]), "worker", NOW, [1; 16]).unwrap());
        assert!(ask(&authenticator, &[(PROOF_HEADER, &good)]).is_ok());
        let bad = format!("{}{}", &good[..good.len() - 43], "A".repeat(43));
        let old = mint("edge-v2", &Secret::new([0x11; 32]), "worker", Duration::ZERO, [2; 16]).unwrap();
        let requests: [(&[(&str, &str)], &str); 7] = [
            (&[], "no_proof"),
            (&[(PROOF_HEADER, "")], "malformed"),
            (&[(PROOF_HEADER, &good), (PROOF_HEADER, &good)], "malformed"),
            (&[(PROOF_HEADER, &other)], "unknown_kid"),
            (&[(PROOF_HEADER, &old)], "expired"),
            (&[(PROOF_HEADER, &bad)], "bad_mac"),
            (&[(PROOF_HEADER, &good)], "replayed"),
        ];
        for (headers, diagnosis) in requests {
            let Err(AuthError::Denied(failure)) = ask(&authenticator, headers) else { panic!("{diagnosis}") };
            assert_eq!((failure.reason, failure.detail.as_str()), (Reason::ProxyRequired, DETAIL));
            assert_eq!(failure.diagnosis, Some(diagnosis));
        }
        let counts = gate.counts();
        assert_eq!((counts.verified, counts.unverified()), (1, 7));
        assert_eq!(counts.failed.map(|(_, count)| count), [1, 2, 1, 1, 0, 1, 1]);
    }

    #[test]
    fn allow_records_and_lets_pass_without_attribution() {
        let gate = gate(Mode::Allow);
        let authenticator = require_all(Arc::clone(&gate), None);
        let claims =
            |headers: &[(&str, &str)]| ask(&authenticator, headers).unwrap().claims[PROOF_CLAIM].clone();
        let absent = json!({"verified": "false", "origin_id": "worker", "reason": "no_proof"});
        assert_eq!(claims(&[]), absent);
        let forged = mint("edge-v2", &Secret::new([1; 32]), "worker", NOW, [1; 16]).unwrap();
        let unverified =
            json!({"verified": "false", "kid": "edge-v2", "origin_id": "worker", "reason": "bad_mac"});
        assert_eq!(claims(&[(PROOF_HEADER, &forged)]), unverified);
        assert_eq!((gate.counts().verified, gate.counts().unverified()), (0, 2));
    }

    #[test]
    fn the_proof_does_not_replace_the_credential_nor_the_credential_the_proof() {
        let credential = bearer_static([("secret", AuthContext::new("bearer", "ann"))]);
        let both = require_all(gate(Mode::Require), Some(Box::new(credential)));
        let reason = |result| match result {
            Err(AuthError::Refused(failure) | AuthError::Denied(failure)) => failure.reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason(ask(&both, &[("authorization", "Bearer secret")])), Reason::ProxyRequired);
        assert_eq!(reason(ask(&both, &[(PROOF_HEADER, &token(1))])), Reason::MissingCredential);
        let context = ask(&both, &[("authorization", "Bearer secret"), (PROOF_HEADER, &token(2))]).unwrap();
        assert_eq!(context.principal, "ann");
        assert_eq!(context.claims[PROOF_CLAIM]["proxy"], "edge");
    }

    #[test]
    fn only_require_depends_on_the_proxy() {
        assert_eq!(require_all(gate(Mode::Require), None).proxy_headers(), ["VGI-Proxy-Proof"]);
        assert!(require_all(gate(Mode::Allow), None).proxy_headers().is_empty());
    }

    #[test]
    fn a_full_cache_is_counted_and_refuses_nobody() {
        let secrets = Secrets::parse(&format!("edge-v2:{}", "11".repeat(32))).unwrap();
        let config = GateConfig { replay_capacity: Some(1), ..GateConfig::new("worker", secrets) };
        let gate = Arc::new(Gate::new(config).unwrap());
        let authenticator = require_all(Arc::clone(&gate), None);
        for nonce in 1..=3 {
            assert!(ask(&authenticator, &[(PROOF_HEADER, &token(nonce))]).is_ok());
        }
        assert_eq!(gate.counts().replay_overflow_evictions, 2);
    }
}
