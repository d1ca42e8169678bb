//! Evidence, policies and providers: the vectors of the specification, and what providers refuse.

#[cfg(feature = "mtls-pem")]
mod certificates;
mod evidence;
#[cfg(feature = "http")]
mod headers;
mod policies;
mod settings;
#[cfg(feature = "http")]
mod vectors;
mod whois;

use super::*;
use serde_json::Value;

/// Returns the vectors of evidence and policies.
fn peer_vectors() -> Value {
    // One text has an unpaired surrogate, which a Rust string cannot contain and this JSON parser refuses.
    let text = include_str!("../../../tests/vectors/peer_identity_vectors.json").replace("\\ud800", "half");
    serde_json::from_str(&text).unwrap()
}

/// Returns a verified subject of a provider, with a stable key.
fn stable(provider: &str, key: &str) -> PeerIdentity {
    PeerIdentity::new(provider, "test", Assurance::CryptographicPeer, "issuer", "tcp")
        .with_subject(Subject::verified(SubjectKind::Workload, key, Stability::Stable))
}

fn evidence(results: impl IntoIterator<Item = (&'static str, ProviderResult)>) -> PeerEvidence {
    PeerEvidence::new(results).unwrap()
}

fn object(text: &str) -> JsonObject {
    JsonObject::parse(text.as_bytes()).unwrap()
}
