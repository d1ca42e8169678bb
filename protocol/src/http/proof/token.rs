//! The token: its encoding, the string that its MAC covers, and minting.

use super::names::{is_identifier, is_key_id, is_url_safe};
use super::secret::{ProofConfigError, Secret};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;
use std::time::Duration;

/// The maximum length of the header's value, in bytes.
pub const MAX_PROOF_LENGTH: usize = 512;

const VERSION: &str = "v1";
const DOMAIN: &[u8] = b"vgi.proxy.proof.v1";

/// A token with well-formed fields (`proxy-proof-spec.md` 3). It is not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof<'a> {
    key_id: &'a str,
    timestamp: &'a str,
    nonce: &'a str,
    mac: &'a str,
}

impl<'a> Proof<'a> {
    /// Splits a header's value and checks each field's length and characters; `None` if it is malformed.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        if value.len() > MAX_PROOF_LENGTH {
            return None;
        }
        let mut fields = std::str::from_utf8(value).ok()?.split('.');
        let mut next = || fields.next();
        let (version, key_id, timestamp, nonce, mac) = (next()?, next()?, next()?, next()?, next()?);
        let well_formed = next().is_none()
            && version == VERSION
            && is_key_id(key_id)
            && (1..=20).contains(&timestamp.len())
            && timestamp.bytes().all(|byte| byte.is_ascii_digit())
            && is_url_safe(nonce, 22)
            && is_url_safe(mac, 43);
        well_formed.then_some(Self { key_id, timestamp, nonce, mac })
    }

    /// Returns the key that the token *claims* to be signed with. Before verification it must not be trusted.
    pub fn key_id(&self) -> &'a str {
        self.key_id
    }

    /// Returns the claimed time of minting, in seconds since the Unix epoch. Its twenty digits do not fit into 64 bits.
    pub fn timestamp(&self) -> u128 {
        self.timestamp.parse().unwrap_or(u128::MAX)
    }

    /// Returns the nonce as text, in the form that is signed and that a replay repeats.
    pub fn nonce(&self) -> &'a str {
        self.nonce
    }

    /// Verifies the MAC with `secret` for this worker, in constant time. A MAC in non-canonical base64 (set bits after the last
    /// byte) does not match.
    pub(super) fn is_signed_with(&self, secret: &Secret, origin_id: &str) -> bool {
        let Ok(mac) = URL_SAFE_NO_PAD.decode(self.mac) else { return false };
        signing(secret, self.key_id, self.timestamp, self.nonce, origin_id).verify_slice(&mac).is_ok()
    }
}

/// Returns the MAC over the canonical string of `proxy-proof-spec.md` 4. All fields were checked, so none contains the
/// separator.
fn signing(
    secret: &Secret,
    key_id: &str,
    timestamp: &str,
    nonce: &str,
    origin_id: &str,
) -> hmac::Hmac<sha2::Sha256> {
    let mut mac = secret.mac();
    mac.update(DOMAIN);
    for field in [key_id, timestamp, nonce, origin_id] {
        mac.update(&[0]);
        mac.update(field.as_bytes());
    }
    mac
}

/// Mints a token for one request, which a proxy sends in the header [`PROXY_PROOF`](crate::http::headers::PROXY_PROOF).
///
/// `now` is the time since the Unix epoch; the token has its whole seconds. `nonce` must be fresh random bytes for each
/// request: the worker refuses a reused one.
///
/// # Errors
///
/// If `key_id` or `origin_id` has characters or a length that the specification does not allow.
pub fn mint(
    key_id: &str,
    secret: &Secret,
    origin_id: &str,
    now: Duration,
    nonce: [u8; 16],
) -> Result<String, ProofConfigError> {
    if !is_key_id(key_id) {
        return Err(ProofConfigError::KeyId);
    }
    if !is_identifier(origin_id) {
        return Err(ProofConfigError::OriginId);
    }
    let timestamp = now.as_secs().to_string();
    let nonce = URL_SAFE_NO_PAD.encode(nonce);
    let mac = signing(secret, key_id, &timestamp, &nonce, origin_id).finalize().into_bytes();
    Ok(format!("{VERSION}.{key_id}.{timestamp}.{nonce}.{}", URL_SAFE_NO_PAD.encode(mac)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A well-formed nonce and MAC.
    const NONCE: &str = "AAECAwQFBgcICQoLDA0ODw";
    const MAC: &str = "J_01DKw0FOKKkLFKooxibVpXPnhhkT6h1W2slFctLQk";

    fn parses(value: &str) -> bool {
        Proof::parse(value.as_bytes()).is_some()
    }

    #[test]
    fn splits_a_token_into_its_fields() {
        let text = format!("v1.a_B-9.0017.{NONCE}.{MAC}");
        let proof = Proof::parse(text.as_bytes()).unwrap();
        assert_eq!((proof.key_id(), proof.timestamp(), proof.nonce(), proof.mac), ("a_B-9", 17, NONCE, MAC));
        let largest = format!("v1.k.{}.{NONCE}.{MAC}", "9".repeat(20));
        assert_eq!(Proof::parse(largest.as_bytes()).unwrap().timestamp(), 99_999_999_999_999_999_999);
    }

    #[test]
    fn refuses_every_other_form() {
        assert!(parses(&format!("v1.{}.1.{NONCE}.{MAC}", "k".repeat(64))), "the control");
        let malformed = [
            String::new(),
            "garbage".to_owned(),
            "v1.a.b.c".to_owned(),
            "v1.a.b.c.d.e".to_owned(),
            "....".to_owned(),
            format!("v2.k.1.{NONCE}.{MAC}"),
            format!("V1.k.1.{NONCE}.{MAC}"),
            format!(" v1.k.1.{NONCE}.{MAC}"),
            format!("v1..1.{NONCE}.{MAC}"),
            format!("v1.bad!kid.1.{NONCE}.{MAC}"),
            format!("v1.k\u{e9}.1.{NONCE}.{MAC}"),
            format!("v1.{}.1.{NONCE}.{MAC}", "k".repeat(65)),
            format!("v1.k..{NONCE}.{MAC}"),
            format!("v1.k.+1.{NONCE}.{MAC}"),
            format!("v1.k.-1.{NONCE}.{MAC}"),
            format!("v1.k.1e3.{NONCE}.{MAC}"),
            format!("v1.k.\u{0661}.{NONCE}.{MAC}"),
            format!("v1.k.{}.{NONCE}.{MAC}", "1".repeat(21)),
            format!("v1.k.1.short.{MAC}"),
            format!("v1.k.1.{NONCE}A.{MAC}"),
            format!("v1.k.1.{}+.{MAC}", &NONCE[1..]),
            format!("v1.k.1.{NONCE}.{}", &MAC[1..]),
            format!("v1.k.1.{NONCE}.{MAC}="),
            format!("v1.k.1.{NONCE}.{}/", &MAC[1..]),
            format!("v1.k.1.{NONCE}.{MAC}."),
            format!("v1.k.1.{NONCE}.{MAC}, v1.k.1.{NONCE}.{MAC}"),
            format!("v1.k.1.{NONCE}.{}", "A".repeat(MAX_PROOF_LENGTH)),
        ];
        for token in malformed {
            assert!(!parses(&token), "{token}");
        }
        assert_eq!(Proof::parse(&[0xff, 0xfe]), None);
    }

    #[test]
    fn no_bytes_make_the_parser_panic() {
        let token = format!("v1.k.1.{NONCE}.{MAC}");
        for position in 0..token.len() {
            for byte in [0, b'.', b',', 0x80, 0xff] {
                let mut bytes = token.clone().into_bytes();
                bytes[position] = byte;
                let _ = Proof::parse(&bytes);
                let _ = Proof::parse(&bytes[..position]);
            }
        }
    }

    #[test]
    fn mints_what_the_reference_mints() {
        let ascending: [u8; 16] = std::array::from_fn(|index| index as u8);
        let secret = Secret::new([0x11; 32]);
        let at = Duration::from_millis;
        assert_eq!(
            mint("conformance-proxy", &secret, "conformance-origin", at(1_700_000_000_999), ascending)
                .unwrap(),
            "v1.conformance-proxy.1700000000.AAECAwQFBgcICQoLDA0ODw.J_01DKw0FOKKkLFKooxibVpXPnhhkT6h1W2slFctLQk"
        );
        assert_eq!(
            mint("k", &secret, "o", at(0), ascending).unwrap(),
            "v1.k.0.AAECAwQFBgcICQoLDA0ODw.Rxq9XpG5j60fUfnB0tXA4nSyV-qzJmtfmaXc3x0Upfs"
        );
    }

    #[test]
    fn mints_only_for_names_that_the_grammar_has() {
        let secret = Secret::new([1; 32]);
        let with = |key_id: &str, origin_id: &str| mint(key_id, &secret, origin_id, Duration::ZERO, [0; 16]);
        assert!(with("k", "a.b:1/c_d-e").is_ok());
        for key_id in ["", "a.b", "a b", &"k".repeat(65)] {
            assert_eq!(with(key_id, "o"), Err(ProofConfigError::KeyId), "{key_id}");
        }
        for origin_id in ["", "a b", "a\0b", "\u{e9}", &"o".repeat(256)] {
            assert_eq!(with("k", origin_id), Err(ProofConfigError::OriginId), "{origin_id}");
        }
    }

    #[test]
    fn the_mac_has_one_text_form() {
        let secret = Secret::new([0x11; 32]);
        let token = mint("k", &secret, "o", Duration::ZERO, [9; 16]).unwrap();
        assert!(Proof::parse(token.as_bytes()).unwrap().is_signed_with(&secret, "o"));
        // The last of 43 characters has two unused bits; a lenient decoder would decode this to the same MAC.
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let last = alphabet.iter().position(|&letter| letter == *token.as_bytes().last().unwrap()).unwrap();
        let mut other = token.clone().into_bytes();
        *other.last_mut().unwrap() = alphabet[last | 1];
        assert_ne!(other, token.as_bytes());
        assert!(!Proof::parse(&other).unwrap().is_signed_with(&secret, "o"));
    }
}
