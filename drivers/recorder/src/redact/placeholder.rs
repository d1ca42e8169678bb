//! The bytes that replace a secret.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const WORD: &[u8] = b"redacted";

/// Makes placeholders. Its key is random and never leaves the process, so a placeholder reveals only a secret's length, and
/// whether it equals another secret of the same recorder.
#[derive(Clone)]
pub(crate) struct PlaceholderKey([u8; 32]);

impl std::fmt::Debug for PlaceholderKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PlaceholderKey")
    }
}

impl PlaceholderKey {
    pub(crate) const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// Replaces a secret by letters and digits: `redacted`, a digest in hex, and zeros. A secret that is too short for the word
    /// is replaced without it.
    pub(super) fn replace(&self, secret: &mut [u8]) {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return secret.fill(b'0') };
        mac.update(secret);
        let digest = mac.finalize().into_bytes();
        let hex = digest.iter().take(12).flat_map(|byte| [byte >> 4, byte & 15]);
        let hex = hex.map(|digit| b"0123456789abcdef".get(usize::from(digit)).copied().unwrap_or(b'0'));
        let word = if secret.len() >= WORD.len() + 24 { WORD } else { b"" };
        let text = word.iter().copied().chain(hex).chain(std::iter::repeat(b'0'));
        secret.iter_mut().zip(text).for_each(|(byte, replacement)| *byte = replacement);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_has_the_length_of_the_secret_and_is_the_same_for_the_same() {
        let key = PlaceholderKey::new([7; 32]);
        let replaced = |secret: &str, key: &PlaceholderKey| {
            let mut bytes = secret.as_bytes().to_vec();
            key.replace(&mut bytes);
            String::from_utf8(bytes).unwrap_or_default()
        };
        for length in [0, 1, 7, 31, 32, 33, 500] {
            let secret = "s".repeat(length);
            assert_eq!(replaced(&secret, &key).len(), length);
        }
        let long = "a secret of more than thirty-two bytes";
        assert!(replaced(long, &key).starts_with("redacted") && replaced(long, &key).ends_with("000000"));
        assert_eq!(replaced(long, &key), replaced(long, &key));
        assert_ne!(replaced(long, &key), replaced(&long.replace('a', "b"), &key));
        assert_ne!(replaced(long, &key), replaced(long, &PlaceholderKey::new([8; 32])));
    }
}
