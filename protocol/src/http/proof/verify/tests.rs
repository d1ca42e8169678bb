//! Tests of the verifier with tokens that the reference implementation minted.

use super::*;
use crate::http::proof::{Secret, derive_secret, mint};

const NOW: u64 = 1_700_000_000;

/// Minted by the reference at `NOW`: secret 0x11 x 32, worker `conformance-origin`, nonce 0x00 to 0x0f.
const REFERENCE: &str =
    "v1.conformance-proxy.1700000000.AAECAwQFBgcICQoLDA0ODw.J_01DKw0FOKKkLFKooxibVpXPnhhkT6h1W2slFctLQk";

fn secrets() -> Secrets {
    Secrets::parse(&format!("conformance-proxy:{},other:{}", "11".repeat(32), "22".repeat(32))).unwrap()
}

fn verifier() -> Verifier {
    Verifier::new("conformance-origin", secrets(), 30, Some(100)).unwrap()
}

fn check<'a>(verifier: &'a Verifier, token: &str, now: u64) -> Result<Verified<'a>, ProofFailure> {
    verifier.verify([token.as_bytes()], Duration::from_secs(now))
}

fn minted(now: u64, nonce: u8) -> String {
    let secret = Secret::new([0x11; 32]);
    mint("conformance-proxy", &secret, "conformance-origin", Duration::from_secs(now), [nonce; 16]).unwrap()
}

#[test]
fn accepts_the_references_tokens() {
    let expected = Verified { proxy: "conformance-proxy", key_id: "conformance-proxy" };
    assert_eq!(check(&verifier(), REFERENCE, NOW), Ok(expected));

    let worker = "worker.example.com:8443/x";
    let base_key = Secret::new(std::array::from_fn(|index| index as u8));
    let secret = derive_secret(&base_key, "proxy/use1:a", worker).unwrap();
    let secrets = Secrets::new().with("prod-use1_v2", "prod-use1", secret).unwrap();
    let verifier = Verifier::new(worker, secrets, 1, None).unwrap();
    let token =
        "v1.prod-use1_v2.1899999999.8PHy8_T19vf4-fr7_P3-_w.qYu0g-_YPC4ricBtThxMF3o0rCnZUW8JberCLIZEpbU";
    let expected = Verified { proxy: "prod-use1", key_id: "prod-use1_v2" };
    assert_eq!(check(&verifier, token, 1_900_000_000), Ok(expected));
}

#[test]
fn exactly_one_header_with_a_token() {
    let verifier = verifier();
    let now = Duration::from_secs(NOW);
    assert_eq!(verifier.verify(std::iter::empty::<&[u8]>(), now), Err(ProofFailure::NoProof));
    assert_eq!(
        verifier.verify([REFERENCE.as_bytes(), REFERENCE.as_bytes()], now),
        Err(ProofFailure::Malformed)
    );
    for value in [&b""[..], b"garbage", &[0xff]] {
        assert_eq!(verifier.verify([value], now), Err(ProofFailure::Malformed), "{value:?}");
    }
    assert!(check(&verifier, REFERENCE, NOW).is_ok(), "none of that used the token up");
}

#[test]
fn changing_any_field_breaks_the_mac() {
    let verifier = verifier();
    let fields: Vec<&str> = REFERENCE.split('.').collect();
    let mac = "A".repeat(43);
    for (index, replacement) in [(1, "other"), (2, "1700000001"), (3, "BBBBBBBBBBBBBBBBBBBBBB"), (4, &mac)] {
        let mut changed = fields.clone();
        changed[index] = replacement;
        assert_eq!(check(&verifier, &changed.join("."), NOW), Err(ProofFailure::BadMac), "field {index}");
    }
    assert!(check(&verifier, REFERENCE, NOW).is_ok());
}

#[test]
fn a_token_for_another_worker_does_not_verify() {
    let sibling = Verifier::new("conformance-origin2", secrets(), 30, None).unwrap();
    assert_eq!(check(&sibling, REFERENCE, NOW), Err(ProofFailure::BadMac));
}

#[test]
fn an_unknown_key_is_found_before_the_time_is_looked_at() {
    let verifier = Verifier::new(
        "conformance-origin",
        Secrets::new().with("a", "a", Secret::new([1; 32])).unwrap(),
        30,
        None,
    );
    assert_eq!(check(&verifier.unwrap(), REFERENCE, 0), Err(ProofFailure::UnknownKeyId));
}

#[test]
fn the_window_has_two_sides() {
    let open = |now| check(&verifier(), REFERENCE, now).map(|_| ());
    assert!(open(NOW + 30).is_ok() && open(NOW - 30).is_ok());
    assert_eq!(open(NOW + 31), Err(ProofFailure::Expired));
    assert_eq!(open(NOW - 31), Err(ProofFailure::NotYetValid));
    assert_eq!(open(0), Err(ProofFailure::NotYetValid));
    assert_eq!(open(u64::MAX), Err(ProofFailure::Expired));
    let fields: Vec<&str> = REFERENCE.split('.').collect();
    let far = format!("v1.conformance-proxy.99999999999999999999.{}.{}", fields[3], fields[4]);
    assert_eq!(check(&verifier(), &far, u64::MAX), Err(ProofFailure::NotYetValid));
}

#[test]
fn a_nonce_is_good_once_in_the_whole_window() {
    let verifier = verifier();
    // Minted by a clock that is ahead: it can verify from NOW to NOW + 60.
    let token = minted(NOW + 30, 1);
    assert!(check(&verifier, &token, NOW).is_ok());
    for now in [NOW, NOW + 31, NOW + 60] {
        assert_eq!(check(&verifier, &token, now), Err(ProofFailure::Replayed), "{now}");
    }
    assert_eq!(check(&verifier, &token, NOW + 61), Err(ProofFailure::Expired));
    assert!(check(&verifier, &minted(NOW, 2), NOW).is_ok(), "another nonce in the same second");
}

#[test]
fn a_refused_token_uses_no_nonce_up() {
    let verifier = verifier();
    let token = minted(NOW, 3);
    assert_eq!(check(&verifier, &token, NOW - 31), Err(ProofFailure::NotYetValid));
    let forged = format!("{}{}", &token[..token.len() - 43], "A".repeat(43));
    assert_eq!(check(&verifier, &forged, NOW), Err(ProofFailure::BadMac));
    assert!(verifier.replay().unwrap().is_empty());
    assert!(check(&verifier, &token, NOW).is_ok());
}

#[test]
fn without_a_cache_a_token_can_be_repeated() {
    let verifier = Verifier::new("conformance-origin", secrets(), 30, None).unwrap();
    assert!(check(&verifier, REFERENCE, NOW).is_ok() && check(&verifier, REFERENCE, NOW).is_ok());
}

#[test]
fn a_worker_does_not_start_half_configured() {
    let make = |origin_id: &str, secrets, skew, capacity| {
        Verifier::new(origin_id, secrets, skew, capacity).unwrap_err()
    };
    assert_eq!(make("", secrets(), 30, None), ProofConfigError::OriginId);
    assert_eq!(make("a b", secrets(), 30, None), ProofConfigError::OriginId);
    assert_eq!(make("a", Secrets::new(), 30, None), ProofConfigError::NoSecrets);
    assert_eq!(make("a", secrets(), 0, None), ProofConfigError::Skew);
    assert_eq!(make("a", secrets(), 30, Some(0)), ProofConfigError::ReplayCapacity);
}
