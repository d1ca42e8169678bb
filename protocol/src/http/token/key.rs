//! The keys that seal tokens, and their rotation.

use super::error::TokenError;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Key, Tag, XChaCha20Poly1305, XNonce};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;
use zeroize::Zeroizing;

/// Length in bytes of the nonce for sealing. Use fresh random bytes for every token.
pub const NONCE_BYTES: usize = 24;

/// Length of the authentication tag in bytes.
pub(super) const TAG_BYTES: usize = 16;

/// A secret of 32 bytes, shared only by the processes that accept one another's tokens.
///
/// The key cannot be read back, and `Debug` does not print it.
#[derive(Clone)]
pub struct TokenKey {
    // The cipher contains the expanded key and erases it when dropped (with the `zeroize` feature of its crate). It is shared
    // and never moved, because a move would leave a copy that is not erased.
    cipher: Arc<XChaCha20Poly1305>,
}

impl TokenKey {
    /// Creates a key from 32 random bytes.
    pub fn new(secret: [u8; 32]) -> Self {
        Self::from_secret(&Zeroizing::new(secret))
    }

    fn from_secret(secret: &[u8; 32]) -> Self {
        Self { cipher: Arc::new(XChaCha20Poly1305::new(<&Key>::from(secret))) }
    }

    /// Parses a key from configuration text.
    ///
    /// # Errors
    ///
    /// If the text is not exactly 64 hexadecimal digits. The error does not contain the text.
    pub fn from_hex(text: &str) -> Result<Self, InvalidKey> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let mut secret = Zeroizing::new([0; 32]);
        if pairs.len() != secret.len() || !rest.is_empty() {
            return Err(InvalidKey::Length { got: text.len() });
        }
        for (byte, [high, low]) in secret.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Ok(Self::from_secret(&secret))
    }
}

fn digit(character: u8) -> Result<u8, InvalidKey> {
    let value = char::from(character).to_digit(16).and_then(|value| u8::try_from(value).ok());
    value.ok_or(InvalidKey::NotHexadecimal)
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(..)")
    }
}

/// Text that is not a [`TokenKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidKey {
    /// Too short or too long.
    #[error("expected a token key of 64 hexadecimal digits, got {got} bytes of text")]
    Length {
        /// Length of the text in bytes.
        got: usize,
    },
    /// The length is right, but there are other characters.
    #[error("expected a token key of 64 hexadecimal digits, got a character that is not one")]
    NotHexadecimal,
}

/// The current keys: the first one mints tokens, all of them open tokens.
///
/// To rotate a key, first add the new one to `others` everywhere. Then make it `first` everywhere with the old one in `others`.
/// Remove the old one when the last token that it minted has expired.
#[derive(Clone, Debug)]
pub struct KeyRing {
    first: TokenKey,
    others: Box<[TokenKey]>,
}

impl KeyRing {
    /// Creates a ring from the key that mints and the keys that only open. Each of `others` costs a pass over every forged
    /// token.
    pub fn new(first: TokenKey, others: impl IntoIterator<Item = TokenKey>) -> Self {
        Self { first, others: others.into_iter().collect() }
    }

    /// Encrypts in place with the first key. `None` if the text is too long for the cipher (256 GiB).
    pub(super) fn encrypt(
        &self,
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        text: &mut [u8],
    ) -> Option<[u8; TAG_BYTES]> {
        let tag = self.first.cipher.encrypt_inout_detached(&XNonce::from(nonce), aad, text.into()).ok()?;
        Some(tag.into())
    }

    /// Decrypts in place with the key that fits. If none does, the text is unchanged.
    pub(super) fn decrypt(
        &self,
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        text: &mut [u8],
        tag: [u8; TAG_BYTES],
    ) -> Result<(), TokenError> {
        let (nonce, tag) = (XNonce::from(nonce), Tag::from(tag));
        // The cipher checks the tag before it changes the text, so the next key can be tried.
        let mut keys = std::iter::once(&self.first).chain(&self.others);
        let opened =
            keys.any(|key| key.cipher.decrypt_inout_detached(&nonce, aad, (&mut *text).into(), &tag).is_ok());
        opened.then_some(()).ok_or(TokenError::Invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_64_hexadecimal_digits_and_nothing_else() {
        let digits = "00112233445566778899aabbccddeeffFFEEDDCCBBAA99887766554433221100";
        assert!(TokenKey::from_hex(digits).is_ok());
        assert_eq!(TokenKey::from_hex(&digits[1..]).unwrap_err(), InvalidKey::Length { got: 63 });
        assert_eq!(TokenKey::from_hex(&format!("{digits}\n")).unwrap_err(), InvalidKey::Length { got: 65 });
        assert_eq!(TokenKey::from_hex("").unwrap_err(), InvalidKey::Length { got: 0 });
        for wrong in ["g", "+", " ", "-", "\0"] {
            let text = format!("{wrong}{}", &digits[1..]);
            assert_eq!(TokenKey::from_hex(&text).unwrap_err(), InvalidKey::NotHexadecimal, "{wrong:?}");
        }
    }

    #[test]
    fn digits_are_read_high_half_first_in_either_case() {
        let sealed =
            |key: TokenKey| KeyRing::new(key, []).encrypt([1; NONCE_BYTES], b"", &mut [7; 4]).unwrap();
        let mut secret = [0; 32];
        secret[0] = 0xa1;
        secret[31] = 0xf0;
        let text = format!("A1{}f0", "0".repeat(60));
        assert_eq!(sealed(TokenKey::from_hex(&text).unwrap()), sealed(TokenKey::new(secret)));
        assert_ne!(sealed(TokenKey::new([0; 32])), sealed(TokenKey::new(secret)));
    }

    #[test]
    fn a_key_does_not_show() {
        let ring = KeyRing::new(TokenKey::new([0xab; 32]), [TokenKey::new([0xcd; 32])]);
        assert_eq!(format!("{ring:?}"), "KeyRing { first: TokenKey(..), others: [TokenKey(..)] }");
        let error = TokenKey::from_hex(&"s3cr3t~~".repeat(8)).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cr"));
    }
}
