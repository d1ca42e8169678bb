//! The keys that an issuer publishes. RFC 7517, section 5.

use super::key::{Jwk, Key};
use super::token::Token;
use serde::Deserialize;
use serde_json::Value;

/// The maximum number of keys in a set.
const MAX_KEYS: usize = 128;
/// The maximum number of keys with one id that are tried for a signature.
const MAX_TRIES: usize = 4;

/// The usable keys of an issuer.
pub(super) struct KeySet(Vec<Key>);

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Parses a set. Keys of other kinds are ignored, as the RFC requires.
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

    /// Whether the set has a key with this id. A token without an id may have been signed with any key: if there are several
    /// keys it is refused, and loading them again does not help.
    pub(super) fn has(&self, id: Option<&str>) -> bool {
        id.is_none() || self.of_id(id).next().is_some()
    }

    /// Whether the token is signed with one of the keys named in its header.
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
