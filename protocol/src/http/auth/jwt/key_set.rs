//! The keys that an issuer publishes. RFC 7517, section 5.

use super::key::{Jwk, Key};
use super::token::Token;
use serde::Deserialize;
use serde_json::Value;

/// The most keys of a set that are looked at.
const MAX_KEYS: usize = 128;
/// The most keys of one id that a signature is tried with.
const MAX_TRIES: usize = 4;

/// The keys of an issuer that can be used.
pub(super) struct KeySet(Vec<Key>);

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a set. Keys of other kinds are left out, as the RFC has it.
    pub(super) fn parse(document: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(document)
            .map_err(|error| format!("expected a JSON Web Key Set, got other bytes: {error}"))?;
        if document.keys.len() > MAX_KEYS {
            return Err(format!("expected a set of at most {MAX_KEYS} keys, got {}", document.keys.len()));
        }
        let keys = document.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        let keys: Vec<_> = keys.filter_map(Key::new).collect();
        if keys.is_empty() {
            return Err("expected a key that verifies signatures of a known type, got none".into());
        }
        Ok(Self(keys))
    }

    /// Whether there is a key of this id. A token without one may have been signed with any: if there are several keys it is
    /// refused, and loading them again does not help.
    pub(super) fn has(&self, id: Option<&str>) -> bool {
        id.is_none() || self.of_id(id).next().is_some()
    }

    /// Whether the token is signed with one of the keys that its header names.
    pub(super) fn verify(&self, token: &Token<'_>) -> bool {
        let signed = token.signed.as_bytes();
        self.of_id(token.key_id.as_deref())
            .filter(|key| key.is_of(token.algorithm))
            .take(MAX_TRIES)
            .any(|key| key.verify(token.algorithm, signed, &token.signature))
    }

    fn of_id<'a>(&'a self, id: Option<&'a str>) -> impl Iterator<Item = &'a Key> {
        let single = self.0.len() == 1;
        self.0.iter().filter(move |key| match id {
            Some(_) => key.id.as_deref() == id,
            None => single,
        })
    }
}
