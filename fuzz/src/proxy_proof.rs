//! Proxy proofs and their secrets: only a proof that was minted this way verifies, and only once; no error contains a
//! secret.
//!
//! The first byte of an input selects the kind of the rest: a configuration, a proof's text, or edits of a valid proof.

use crate::support::edits;
use std::time::Duration;
use vgi_rpc_protocol::http::proof::{
    MAX_PROOF_LENGTH, Proof, ProofFailure, Secret, Secrets, Verifier, derive_secret, mint,
};

const NOW: Duration = Duration::from_secs(1_800_000_000);
const ORIGIN: &str = "worker-1";
const SKEW: u32 = 30;

/// Checks the input in `data`.
pub fn run(data: &[u8]) {
    let Some((manner, rest)) = data.split_first() else { return };
    match manner & 3 {
        0 => configure(&String::from_utf8_lossy(rest)),
        1 => check_text(rest),
        _ => edit(*manner >> 2, rest),
    }
}

fn configure(text: &str) {
    let hidden = text.split([',', ':', ' ']).filter(|word| word.len() >= 32);
    match Secrets::parse(text) {
        Ok(secrets) => {
            let shown = format!("{secrets:?}");
            let names: Vec<_> = secrets.key_ids().collect();
            assert!(!names.is_empty());
            for word in hidden.filter(|word| word.bytes().all(|byte| byte.is_ascii_hexdigit())) {
                assert!(names.contains(&word) || !shown.contains(word), "a secret is shown");
            }
            for name in names {
                assert!((1..=64).contains(&name.len()) && name.is_ascii(), "{name:?} is not a key id");
            }
            // Accepted secrets work.
            Verifier::new(ORIGIN, secrets, SKEW, Some(8)).expect("there is a secret");
        }
        Err(error) => {
            let shown = format!("{error} {error:?}");
            hidden.for_each(|word| assert!(!shown.contains(word), "an error repeats what was configured"));
            assert!(shown.len() < 500);
        }
    }
    // The text as the parts of a derivation, and as a key itself.
    let base = Secret::new([3; 32]);
    if let Ok(derived) = derive_secret(&base, text, ORIGIN) {
        assert_eq!(format!("{derived:?}"), format!("{base:?}"), "no secret is shown");
    }
    if Secret::from_hex(text).is_some() {
        assert!(text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}

fn secrets() -> Secrets {
    let secrets = Secrets::new().with("edge", "the edge", Secret::new([1; 32])).expect("a key id");
    secrets.with("other", "another", Secret::new([2; 32])).expect("a key id")
}

fn verifier(origin: &str) -> Verifier {
    Verifier::new(origin, secrets(), SKEW, Some(4)).expect("it is well configured")
}

/// Checks a text that was not minted.
fn check_text(text: &[u8]) {
    if let Some(proof) = Proof::parse(text) {
        assert!(text.len() <= MAX_PROOF_LENGTH && text.is_ascii());
        assert!((1..=64).contains(&proof.key_id().len()) && proof.nonce().len() == 22);
        assert!(String::from_utf8_lossy(text).contains(proof.nonce()));
        let _ = proof.timestamp();
    }
    let verifier = verifier(ORIGIN);
    let verified = verifier.verify([text], NOW);
    assert!(verified.is_err(), "{verified:?}");
    let lines: Vec<_> = text.split(|byte| *byte == b'\n').collect();
    let several = verifier.verify(lines.iter().copied(), NOW);
    assert!(lines.len() == 1 || several == Err(ProofFailure::Malformed));
    assert_eq!(verifier.verify([], NOW), Err(ProofFailure::NoProof));
}

/// Edits a proof that was minted up to a minute before or after now.
fn edit(flags: u8, data: &[u8]) {
    let Some(([age, nonce], edits)) = data.split_first_chunk::<2>() else { return };
    let late = Duration::from_secs(u64::from(age & 0x3f));
    let minted_at = if age & 0x40 == 0 { NOW - late } else { NOW + late };
    let (key_id, key, signed) = if flags & 1 == 0 { ("edge", 1, "edge") } else { ("other", 2, "other") };
    // Signed with the other's key, or by an unknown key.
    let (key, signed) = match flags >> 1 & 3 {
        0..2 => (key, signed),
        2 => (3 - key, signed),
        _ => (key, "stranger"),
    };
    let good = mint(signed, &Secret::new([key; 32]), ORIGIN, minted_at, [*nonce; 16]).expect("a key id");
    let (text, changed) = edits::apply(good.as_bytes(), edits);

    let verifier = verifier(ORIGIN);
    let first = verifier.verify([&text[..]], NOW);
    if changed {
        assert!(first.is_err(), "{first:?} for {}", text.escape_ascii());
        return;
    }
    let expected = match flags >> 1 & 3 {
        3 => Err(ProofFailure::UnknownKeyId),
        _ if late > Duration::from_secs(u64::from(SKEW)) => {
            Err(if age & 0x40 == 0 { ProofFailure::Expired } else { ProofFailure::NotYetValid })
        }
        2 => Err(ProofFailure::BadMac),
        _ => Ok(key_id),
    };
    assert_eq!(first.map(|verified| verified.key_id), expected);
    assert!(self::verifier("worker-2").verify([&text[..]], NOW).is_err(), "a proof is for one worker");
    if expected.is_ok() {
        assert_eq!(verifier.verify([&text[..]], NOW), Err(ProofFailure::Replayed), "once");
        assert_eq!(verifier.verify([&text[..], &text[..]], NOW), Err(ProofFailure::Malformed), "alone");
    }
}
