//! Sealed grants against the published vectors, and each check of the verification.

use super::token::SHORTEST_BYTES;
use super::*;
use crate::identity::GrantRequest;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use std::time::Duration;

const NOW: Duration = Duration::from_secs(1_800_000_000);
const KEY: [u8; 32] = *b"GRANTKEYGRANTKEYGRANTKEYGRANTKEY";

fn keys() -> GrantKeys {
    GrantKeys::new([KEY]).unwrap()
}

/// Returns claims of ann, valid for ten minutes from `NOW`.
fn claims() -> GrantClaims {
    let scopes = ["read".to_owned(), "write".to_owned()];
    keys().claims(&GrantRequest::new("ann", 600).purpose("report").scopes(&scopes), "g-1", NOW).unwrap()
}

fn sealed() -> String {
    keys().seal(&claims(), [3; 24]).unwrap()
}

fn invalid(result: Result<GrantClaims, InvalidGrant>) -> &'static str {
    match result {
        Err(InvalidGrant::Invalid { diagnosis }) => diagnosis,
        other => panic!("expected an invalid grant, got {other:?}"),
    }
}

/// The vectors of the reference.
mod vectors {
    use super::*;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../../tests/vectors/grant_token_vectors.json")).unwrap()
    }

    fn text(value: &Value) -> &str {
        value.as_str().unwrap()
    }

    fn texts(value: &Value) -> Vec<String> {
        value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    }

    fn hex(value: &Value) -> Vec<u8> {
        let digits = text(value).as_bytes().chunks(2);
        digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    fn seconds(value: &Value) -> Duration {
        Duration::from_secs(value.as_u64().unwrap())
    }

    #[test]
    fn what_is_minted_is_equal_to_the_byte() {
        let vectors = vectors();
        let cases = vectors["mint"].as_array().unwrap();
        assert_eq!(cases.len(), 4);
        for case in cases {
            let name = text(&case["name"]);
            let keys = GrantKeys::parse([text(&case["minting_key_b64"])])
                .unwrap()
                .audience(text(&case["audience"]))
                .unwrap()
                .max_ttl_seconds(case["max_ttl_seconds"].as_i64().unwrap())
                .unwrap();
            let (request, scopes) = (&case["request"], texts(&case["request"]["scopes"]));
            let asked =
                GrantRequest::new(text(&request["principal"]), request["ttl_seconds"].as_i64().unwrap())
                    .purpose(text(&request["purpose"]))
                    .scopes(&scopes);
            let claims = keys.claims(&asked, text(&request["grant_id"]), seconds(&case["now"])).unwrap();
            assert_eq!(claims.encode().unwrap(), hex(&case["payload_hex"]), "{name}");
            let id = keys.sealing().unwrap().id;
            assert_eq!(
                (id.to_vec(), keys.authenticated_data(id)),
                (hex(&case["kid_hex"]), hex(&case["aad_hex"]))
            );
            let token = keys.seal(&claims, hex(&case["nonce_hex"]).try_into().unwrap()).unwrap();
            assert_eq!(token, text(&case["token"]), "{name}");

            let expected = &case["claims"];
            let verified = keys.verify(&token, seconds(&case["now"])).unwrap();
            assert_eq!(verified, claims, "{name}");
            assert_eq!(
                (verified.principal.as_str(), verified.scopes),
                (text(&expected["principal"]), scopes)
            );
            assert_eq!(Some(verified.issued_at), expected["issued_at"].as_i64(), "{name}");
            assert_eq!(Some(verified.expires_at), expected["expires_at"].as_i64(), "{name}");
        }
    }

    /// Verifies a case with its own settings, or the defaults.
    fn verify(case: &Value, defaults: &Value) -> Result<GrantClaims, InvalidGrant> {
        let setting = |name: &str| case.get(name).unwrap_or(&defaults[name]);
        let keys = texts(setting("verify_keys_b64"));
        let keys = GrantKeys::parse(keys.iter().map(String::as_str))
            .unwrap()
            .audience(text(setting("audience")))
            .unwrap()
            .max_ttl_seconds(setting("max_ttl_seconds").as_i64().unwrap())
            .unwrap();
        keys.verify(text(&case["token"]), seconds(setting("now")))
    }

    #[test]
    fn what_is_accepted_and_what_is_rejected() {
        let vectors = vectors();
        let defaults = &vectors["defaults"];
        assert_eq!(defaults["clock_skew_seconds"], 60, "which is not configurable here");
        let (accept, reject) = (vectors["accept"].as_array().unwrap(), vectors["reject"].as_array().unwrap());
        assert_eq!((accept.len(), reject.len()), (2, 9));
        for case in accept {
            assert_eq!(verify(case, defaults).unwrap().principal, "alice@example.com", "{}", case["name"]);
        }
        for case in reject {
            let error = verify(case, defaults).unwrap_err();
            assert_eq!(
                Some(error == InvalidGrant::Expired),
                case["expired"].as_bool(),
                "{} {error}",
                case["name"]
            );
        }
    }
}

#[test]
fn a_grant_says_what_was_sealed_and_its_lifetime_is_capped() {
    assert_eq!(keys().verify(&sealed(), NOW), Ok(claims()));
    assert_eq!((claims().issued_at, claims().expires_at), (1_800_000_000, 1_800_000_600));
    let short = keys().max_ttl_seconds(60).unwrap();
    let capped = short.claims(&GrantRequest::new("ann", i64::MAX), "g", NOW).unwrap();
    assert_eq!(capped.expires_at - capped.issued_at, 60);
    let late = Duration::from_millis(1_800_000_000_999);
    assert_eq!(keys().claims(&GrantRequest::new("ann", 1), "g", late).unwrap().issued_at, 1_800_000_000);
}

#[test]
fn what_cannot_be_minted_is_refused() {
    let claims = |principal, ttl| keys().claims(&GrantRequest::new(principal, ttl), "g", NOW);
    for ttl in [0, -1, i64::MIN] {
        assert_eq!(claims("ann", ttl), Err(UnmintableGrant::Ttl));
    }
    assert_eq!(claims("", 1), Err(UnmintableGrant::Principal));
    let ages = keys().max_ttl_seconds(i64::MAX).unwrap();
    assert_eq!(ages.claims(&GrantRequest::new("ann", i64::MAX), "g", NOW), Err(UnmintableGrant::Expiry));

    // No server would accept a longer token.
    let seal = |purpose: &str| {
        keys().seal(&GrantClaims { purpose: purpose.to_owned(), ..super::tests::claims() }, [0; 24])
    };
    let longest = (2900..3100).rev().find_map(|length| seal(&"x".repeat(length)).ok()).unwrap();
    assert!(longest.len() > MAX_GRANT_BYTES - 4, "{}", longest.len());
    assert!(keys().verify(&longest, NOW).is_ok());
    for length in [MAX_GRANT_BYTES, usize::from(u16::MAX), usize::from(u16::MAX) + 1] {
        assert_eq!(seal(&"x".repeat(length)), Err(UnmintableGrant::TooLong), "{length}");
    }
    let many =
        GrantClaims { scopes: vec![String::new(); usize::from(u16::MAX) + 1], ..super::tests::claims() };
    assert_eq!(keys().seal(&many, [0; 24]), Err(UnmintableGrant::TooLong));
}

#[test]
fn each_change_of_a_token_is_refused() {
    let token = sealed();
    for (index, byte) in token.bytes().enumerate() {
        for other in *b"A-_z9=.+/ \n" {
            if other == byte {
                continue;
            }
            let mut changed = token.clone().into_bytes();
            changed[index] = other;
            let changed = String::from_utf8(changed).unwrap();
            assert!(
                matches!(keys().verify(&changed, NOW), Err(InvalidGrant::Invalid { .. })),
                "{index} {other}"
            );
        }
    }
    assert_eq!(invalid(keys().verify(&token[PREFIX.len()..], NOW)), "it has another prefix");
    for (length, _) in token.char_indices() {
        invalid(keys().verify(&token[..length], NOW));
    }
    for padded in [format!("{token}="), format!(" {token}"), format!("{token} "), token.to_uppercase()] {
        invalid(keys().verify(&padded, NOW));
    }
}

#[test]
fn the_first_key_seals_and_all_verify() {
    let old = GrantKeys::new([[1; 32]]).unwrap();
    let rotating = GrantKeys::new([[2; 32], [1; 32]]).unwrap();
    let new = GrantKeys::new([[2; 32]]).unwrap();
    let seal = |keys: &GrantKeys| keys.seal(&claims(), [0; 24]).unwrap();
    assert!(rotating.verify(&seal(&old), NOW).is_ok() && rotating.verify(&seal(&new), NOW).is_ok());
    assert_eq!(seal(&rotating), seal(&new));
    assert_eq!(invalid(new.verify(&seal(&old), NOW)), "it was sealed with an unknown key");
}

/// Applies an edit to the base64-encoded part.
fn edited(edit: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = URL_SAFE_NO_PAD.decode(&sealed()[PREFIX.len()..]).unwrap();
    edit(&mut bytes);
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
}

#[test]
fn the_key_id_cannot_be_swapped() {
    // Even if both ids had the same key, the id is authenticated too.
    let other = GrantKeys::new([[1; 32]]).unwrap();
    let swapped = edited(|bytes| bytes[..8].copy_from_slice(&other.sealing().unwrap().id));
    assert_eq!(invalid(keys().verify(&swapped, NOW)), "it was sealed with an unknown key");
    let both = GrantKeys::new([KEY, [1; 32]]).unwrap();
    assert_eq!(invalid(both.verify(&swapped, NOW)), "it does not open");
}

#[test]
fn version_and_length_of_the_envelope_are_checked() {
    assert_eq!(
        invalid(keys().verify(&edited(|bytes| bytes[8] = 2), NOW)),
        "its envelope has another version"
    );
    for length in 0..SHORTEST_BYTES {
        let short = edited(|bytes| bytes.truncate(length));
        assert_eq!(invalid(keys().verify(&short, NOW)), "it is too short", "{length}");
    }
    let long = edited(|bytes| bytes.resize(MAX_GRANT_BYTES, 0));
    assert_eq!(invalid(keys().verify(&long, NOW)), "it is too long");
}

#[test]
fn audiences_do_not_accept_each_others_grants() {
    let audience = |name: &str| keys().audience(name).unwrap();
    let token = audience("staging").seal(&claims(), [0; 24]).unwrap();
    assert!(audience("staging").verify(&token, NOW).is_ok());
    for other in ["production", "", "Staging", "staging "] {
        assert_eq!(invalid(audience(other).verify(&token, NOW)), "it does not open", "{other:?}");
    }
}

#[test]
fn the_lifetime_is_checked_at_both_ends() {
    let at = |seconds: i64| {
        let now = Duration::from_secs(u64::try_from(1_800_000_000 + seconds).unwrap());
        keys().verify(&sealed(), now)
    };
    for valid in [-60, 0, 600, 659] {
        assert!(at(valid).is_ok(), "{valid}");
    }
    assert!(keys().verify(&sealed(), Duration::from_millis(1_800_000_659_999)).is_ok());
    for outside in [-61, -1_000_000, 660, 1_000_000] {
        assert_eq!(at(outside), Err(InvalidGrant::Expired), "{outside}");
    }
    assert_eq!(keys().verify(&sealed(), Duration::MAX), Err(InvalidGrant::Expired));
}

#[test]
fn an_authentic_grant_of_a_lifetime_that_is_not_allowed_is_refused() {
    let verify = |issued_at, expires_at| {
        let claims = GrantClaims { issued_at, expires_at, ..claims() };
        keys().verify(&keys().seal(&claims, [0; 24]).unwrap(), NOW)
    };
    let now = 1_800_000_000;
    assert!(verify(now, now + DEFAULT_MAX_TTL_SECONDS).is_ok());
    for (issued_at, expires_at) in [
        (now, now),
        (now, now - 1),
        (now, now + DEFAULT_MAX_TTL_SECONDS + 1),
        (i64::MIN, i64::MAX),
        (i64::MAX, i64::MIN),
        (0, i64::MAX),
    ] {
        let diagnosis = invalid(verify(issued_at, expires_at));
        assert_eq!(diagnosis, "its lifetime is not one that is allowed", "{issued_at} {expires_at}");
    }
    // Times at the limits are compared without overflow.
    assert_eq!(verify(i64::MAX - 1, i64::MAX), Err(InvalidGrant::Expired));
    assert_eq!(verify(i64::MIN, i64::MIN + 1), Err(InvalidGrant::Expired));
}

#[test]
fn an_authentic_grant_of_nobody_or_with_a_malformed_payload_is_refused() {
    let nobody = GrantClaims { principal: String::new(), ..claims() };
    assert_eq!(invalid(keys().verify(&keys().seal(&nobody, [0; 24]).unwrap(), NOW)), "it names no principal");

    let bytes = claims().encode().unwrap();
    assert_eq!(GrantClaims::decode(&bytes), Some(claims()));
    for length in 0..bytes.len() {
        assert_eq!(GrantClaims::decode(&bytes[..length]), None, "{length}");
    }
    assert_eq!(GrantClaims::decode(&[&bytes[..], &[0]].concat()), None, "nothing comes after it");
    let not_text = bytes.iter().map(|byte| if *byte == b'a' { 0xff } else { *byte }).collect::<Vec<_>>();
    assert_eq!(GrantClaims::decode(&not_text), None);
}

#[test]
fn keys_are_base64_of_32_bytes() {
    let (padded, other) = (STANDARD.encode(KEY), STANDARD.encode([0xff; 32]));
    let bare = padded.trim_end_matches('=').to_owned();
    for text in [&padded, &bare, &format!(" {padded}\n")] {
        let parsed = GrantKeys::parse([text.as_str()]).unwrap();
        assert_eq!(parsed.seal(&claims(), [3; 24]).unwrap(), sealed());
    }
    let parse = |texts: &[&str]| GrantKeys::parse(texts.iter().copied()).unwrap_err();
    let length = |got| GrantKeysError::Invalid { number: 2, error: InvalidGrantKey::Length { got } };
    assert_eq!(parse(&[]), GrantKeysError::Missing);
    assert_eq!(parse(&[&padded, &STANDARD.encode([1; 31])]), length(44));
    assert_eq!(parse(&[&padded, &STANDARD.encode([1; 33])]), length(44));
    assert_eq!(parse(&[&padded, ""]), length(0));
    assert_eq!(parse(&[&padded, &other, &bare]), GrantKeysError::Duplicate { number: 3 });
    for wrong in [other.replace('/', "_"), format!("{}!", &bare[1..]), format!("{}B", &bare[..42])] {
        let error = GrantKeysError::Invalid { number: 1, error: InvalidGrantKey::NotBase64 };
        assert_eq!(parse(&[&wrong]), error, "{wrong}");
    }
}

#[test]
fn settings_are_read_as_operators_write_them() {
    let key = STANDARD.encode(KEY);
    for unset in ["", "  "] {
        assert!(GrantKeys::from_settings(unset, "somebody", "nonsense").unwrap().is_none(), "grants are off");
    }
    let two = format!("{key},{},", STANDARD.encode([1; 32]));
    let read = GrantKeys::from_settings(&two, "aud", " 60 ").unwrap().unwrap();
    assert_eq!(format!("{read:?}"), r#"GrantKeys { keys: 2, audience: "aud", max_ttl_seconds: 60 }"#);
    let default = GrantKeys::from_settings(&key, "", "").unwrap().unwrap();
    assert_eq!(default.ceiling(), DEFAULT_MAX_TTL_SECONDS);
    for ttl in ["0", "-5", "week", "1.5", "99999999999999999999"] {
        assert_eq!(GrantKeys::from_settings(&key, "", ttl).unwrap_err(), GrantKeysError::MaxTtl, "{ttl}");
    }
    assert_eq!(GrantKeys::from_settings(",", "", "").unwrap_err(), GrantKeysError::Missing);
    let audience = "a".repeat(65536);
    assert_eq!(
        GrantKeys::from_settings(&key, &audience, "").unwrap_err(),
        GrantKeysError::Audience { got: 65536 }
    );
}

#[test]
fn no_key_shows() {
    let secret = STANDARD.encode(KEY);
    let shown = format!("{:?} {:#?}", keys(), keys());
    let damaged = format!("{}~", &secret[..43]);
    let errors = [
        GrantKeys::parse([damaged.as_str()]).unwrap_err(),
        GrantKeys::parse([&secret[1..]]).unwrap_err(),
        GrantKeys::parse([secret.as_str(), &secret]).unwrap_err(),
    ];
    let shown = format!("{shown} {errors:?} {}", errors.map(|error| error.to_string()).join(" "));
    for spelling in ["GRANTKEY", &secret[1..20], "71, 82", "4752"] {
        assert!(!shown.contains(spelling), "{spelling} in {shown}");
    }
    let error = keys().verify(&format!("{}A", sealed()), NOW).unwrap_err();
    assert!(!format!("{error} {error:?}").contains(&sealed()[20..40]));
}

/// Keys are in the cipher, and in temporary texts and copies. All are erased when they are dropped.
#[test]
fn keys_are_erased_when_they_are_dropped() {
    fn is_erased<T: zeroize::ZeroizeOnDrop>() {}
    is_erased::<chacha20poly1305::XChaCha20Poly1305>();
    is_erased::<zeroize::Zeroizing<[u8; 32]>>();
}
