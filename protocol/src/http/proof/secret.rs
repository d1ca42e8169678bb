//! The secrets that proxies and a worker share, and their configuration.

use super::names::{is_identifier, is_key_id};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;
use zeroize::Zeroizing;

const DERIVATION: &[u8] = b"vgi.proxy.proof.v1/";

/// The block size of SHA-256: a shorter HMAC key is padded to it with zeros (RFC 2104 2).
const BLOCK: usize = 64;

/// 32 bytes that one proxy and one worker share. `Debug` does not print them, and they are erased on drop.
#[derive(Clone)]
// Shared and never moved, because a move would leave a copy that is not erased.
pub struct Secret(Arc<Zeroizing<[u8; 32]>>);

impl Secret {
    /// Creates a secret from these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    /// Parses a secret of exactly 64 hexadecimal digits, in either case; `None` for any other text.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = Zeroizing::new([0; 32]);
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = pair else { return None };
            let value = char::from(*high).to_digit(16)? << 4 | char::from(*low).to_digit(16)?;
            *byte = u8::try_from(value).ok()?;
        }
        Some(Self(Arc::new(bytes)))
    }

    /// Returns HMAC-SHA256 keyed with this secret.
    pub(super) fn mac(&self) -> Hmac<Sha256> {
        let mut key = Zeroizing::new([0; BLOCK]);
        for (slot, byte) in key.iter_mut().zip(self.0.iter()) {
            *slot = *byte;
        }
        Hmac::new((&*key).into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

/// Derives the secret of one proxy and one worker from a key that only the proxy has (`proxy-proof-spec.md` 5.1).
///
/// Configure a worker with the derived secret, never with `base_key`, which could mint tokens for other workers.
///
/// # Errors
///
/// If one of the identifiers is not 1 to 255 of the characters `A-Z a-z 0-9 . _ : / -`.
pub fn derive_secret(base_key: &Secret, proxy_id: &str, origin_id: &str) -> Result<Secret, ProofConfigError> {
    if !is_identifier(proxy_id) {
        return Err(ProofConfigError::ProxyId);
    }
    if !is_identifier(origin_id) {
        return Err(ProofConfigError::OriginId);
    }
    let mut mac = base_key.mac();
    for part in [DERIVATION, proxy_id.as_bytes(), &[0], origin_id.as_bytes()] {
        mac.update(part);
    }
    Ok(Secret::new(mac.finalize().into_bytes().into()))
}

/// Why a configuration is invalid; a worker must not start with it. No message contains text of the configuration: a misplaced
/// secret would end up in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProofConfigError {
    /// An entry of the list of secrets is invalid.
    #[error("secret {position} of the list: expected {expected}")]
    Entry {
        /// The position of the entry, counted from 1.
        position: usize,
        /// What was expected.
        expected: &'static str,
    },
    /// Two entries have the same key id.
    #[error("secret {position} of the list: expected a unique key id, got one that an earlier entry has")]
    DuplicateKeyId {
        /// The position of the second entry, counted from 1.
        position: usize,
    },
    /// There is no secret, so the worker could verify nothing.
    #[error("expected at least one secret, got none")]
    NoSecrets,
    /// The key id does not match the specification's grammar.
    #[error("expected a key id of 1 to 64 of A-Z a-z 0-9 _ -")]
    KeyId,
    /// The key id to be labelled is not configured.
    #[error("expected a configured key id, got an unknown one")]
    UnknownKeyId,
    /// The worker's identifier is missing or does not match the specification's grammar.
    #[error("expected an origin id of 1 to 255 of A-Z a-z 0-9 . _ : / -")]
    OriginId,
    /// The proxy's identifier does not match the specification's grammar.
    #[error("expected a proxy id of 1 to 255 of A-Z a-z 0-9 . _ : / -")]
    ProxyId,
    /// The time window is empty.
    #[error("expected a skew of at least one second")]
    Skew,
    /// The replay cache has no capacity.
    #[error("expected room for at least one nonce in the replay cache")]
    ReplayCapacity,
}

/// The secrets that a worker accepts, by key id, each with a label that names the proxy (`proxy-proof-spec.md` 5.2).
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    entries: BTreeMap<String, (Secret, String)>,
}

impl Secrets {
    /// Creates an empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Parses `KID:HEX,KID:HEX,...`, where each secret has 64 hexadecimal digits. The key id is also the label.
    ///
    /// White space around an entry and empty entries are ignored.
    ///
    /// # Errors
    ///
    /// If the text has another format, a key id is repeated, or there is no secret. There is no partial result: a skipped entry
    /// would lock out a proxy.
    pub fn parse(text: &str) -> Result<Self, ProofConfigError> {
        let mut secrets = Self::new();
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        for (position, entry) in (1..).zip(entries) {
            let wrong = |expected| ProofConfigError::Entry { position, expected };
            let (key_id, hex) =
                entry.split_once(':').ok_or_else(|| wrong("a key id, a colon and a secret"))?;
            let secret =
                Secret::from_hex(hex).ok_or_else(|| wrong("64 hexadecimal digits after the colon"))?;
            if secrets.entries.contains_key(key_id) {
                return Err(ProofConfigError::DuplicateKeyId { position });
            }
            secrets = secrets
                .with(key_id, key_id, secret)
                .map_err(|_| wrong("a key id of 1 to 64 of A-Z a-z 0-9 _ - before the colon"))?;
        }
        if secrets.entries.is_empty() { Err(ProofConfigError::NoSecrets) } else { Ok(secrets) }
    }

    /// Adds a secret, or replaces the one with this key id.
    ///
    /// # Errors
    ///
    /// The key id does not match the specification's grammar.
    pub fn with(
        mut self,
        key_id: impl Into<String>,
        label: impl Into<String>,
        secret: Secret,
    ) -> Result<Self, ProofConfigError> {
        let key_id = key_id.into();
        if !is_key_id(&key_id) {
            return Err(ProofConfigError::KeyId);
        }
        self.entries.insert(key_id, (secret, label.into()));
        Ok(self)
    }

    /// Sets a label other than the key id. During a rotation, the old and the new key id share a label.
    ///
    /// # Errors
    ///
    /// If there is no such key id.
    pub fn with_label(mut self, key_id: &str, label: impl Into<String>) -> Result<Self, ProofConfigError> {
        let (_, current) = self.entries.get_mut(key_id).ok_or(ProofConfigError::UnknownKeyId)?;
        *current = label.into();
        Ok(self)
    }

    /// Returns the configured key ids.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn get(&self, key_id: &str) -> Option<Entry<'_>> {
        self.entries.get_key_value(key_id).map(|(key_id, (secret, label))| Entry { key_id, secret, label })
    }
}

/// A configured secret with its names.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) key_id: &'a str,
    pub(super) secret: &'a Secret,
    pub(super) label: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn derives_what_the_reference_derives() {
        let ascending = Secret::new(std::array::from_fn(|index| index as u8));
        let derived = derive_secret(&ascending, "proxy/use1:a", "worker.example.com:8443/x").unwrap();
        assert_eq!(hex(&**derived.0), "a4c370ce30bab7b63357946f6f8d30b3a0240e21ea9b5ab91e5b8d74efe862ef");
        let derived = derive_secret(&Secret::new([0xff; 32]), "a", "b").unwrap();
        assert_eq!(hex(&**derived.0), "9f7b38791bf6ba1b38991676d439737117b8c6403df58180d002be83b095abba");
    }

    #[test]
    fn derives_only_for_identifiers_of_the_grammar() {
        let key = Secret::new([0; 32]);
        assert_eq!(derive_secret(&key, "a\0b", "c").unwrap_err(), ProofConfigError::ProxyId);
        assert_eq!(derive_secret(&key, "a", "").unwrap_err(), ProofConfigError::OriginId);
    }

    #[test]
    fn parses_a_list_in_either_case_with_the_key_id_for_a_label() {
        let text = format!(" one:{} ,two_2-:{},", "ab".repeat(32), "AB".repeat(32));
        let secrets = Secrets::parse(&text).unwrap();
        assert_eq!(secrets.key_ids().collect::<Vec<_>>(), ["one", "two_2-"]);
        let one = secrets.get("one").unwrap();
        assert_eq!((one.key_id, **one.secret.0, one.label), ("one", [0xab; 32], "one"));
        assert_eq!(**secrets.get("two_2-").unwrap().secret.0, [0xab; 32]);
        assert!(secrets.get("three").is_none());
    }

    #[test]
    fn refuses_every_other_list() {
        let good = "11".repeat(32);
        let position = |text: &str| match Secrets::parse(text) {
            Err(ProofConfigError::Entry { position, .. }) => position,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(position(&good), 1);
        assert_eq!(position(&format!("a:{good},b")), 2);
        assert_eq!(position(&format!("a.b:{good}")), 1);
        assert_eq!(position(&format!(":{good}")), 1);
        assert_eq!(position("a:"), 1);
        assert_eq!(position(&format!("a:{}", &good[1..])), 1);
        assert_eq!(position(&format!("a:{good}00")), 1);
        assert_eq!(position(&format!("a: {}", &good[1..])), 1);
        assert_eq!(position(&format!("a:{}g0", &good[2..])), 1);
        assert_eq!(position(&format!("a:{}+1", &good[2..])), 1);
        assert_eq!(position(&format!("a:{}\u{e9}", &good[2..])), 1);
        for empty in ["", " , ,"] {
            assert_eq!(Secrets::parse(empty).unwrap_err(), ProofConfigError::NoSecrets);
        }
        let twice = Secrets::parse(&format!("a:{good},a:{good}")).unwrap_err();
        assert_eq!(twice, ProofConfigError::DuplicateKeyId { position: 2 });
    }

    #[test]
    fn neither_errors_nor_debug_show_a_secret() {
        let secret = "1234567890abcdef".repeat(4);
        let swapped = Secrets::parse(&format!("{secret}:edge")).unwrap_err();
        let kept = Secrets::parse(&format!("edge:{secret}")).unwrap();
        let shown = format!("{swapped} {swapped:?} {kept:?}");
        assert!(
            !shown.contains("1234567890") && !shown.contains("18, 52") && shown.contains("edge"),
            "{shown}"
        );
    }

    #[test]
    fn labels_survive_a_rotation() {
        let parsed = Secrets::parse(&format!("use1:{0},use1-v2:{0}", "11".repeat(32))).unwrap();
        let labelled = parsed.with_label("use1-v2", "use1").unwrap();
        assert_eq!(labelled.get("use1-v2").unwrap().label, labelled.get("use1").unwrap().label);
        assert_eq!(labelled.with_label("eu", "x").unwrap_err(), ProofConfigError::UnknownKeyId);
    }
}
