//! Parses grant keys from text, as operators configure them. No error repeats any part of a key.

use super::keys::{GrantKey, GrantKeys, KEY_BYTES};
use super::keys_error::{GrantKeysError, InvalidGrantKey};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

/// Standard base64, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The number of characters of a key in base64, without and with padding.
const KEY_CHARACTERS: std::ops::RangeInclusive<usize> = 43..=44;

impl GrantKeys {
    /// Parses keys in standard base64. The first one seals. Surrounding white space is ignored.
    ///
    /// # Errors
    /// If a text is not a key, there is no key, or a key occurs twice.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, GrantKeysError> {
        Self::from_keys(texts.into_iter().zip(1..).map(|(text, number)| match decode(text.trim()) {
            Ok(secret) => Ok(GrantKey::new(&secret)),
            Err(error) => Err(GrantKeysError::Invalid { number, error }),
        }))
    }

    /// Parses the values of `VGI_RPC_GRANT_KEYS`, whose keys are separated by commas, `VGI_RPC_GRANT_AUDIENCE` and
    /// `VGI_RPC_GRANT_MAX_TTL_SECONDS`. An empty value counts as not set. Returns `None` without keys: grants are then disabled,
    /// and the other two have no effect.
    ///
    /// # Errors
    /// If a value is invalid.
    pub fn from_settings(
        keys: &str,
        audience: &str,
        max_ttl_seconds: &str,
    ) -> Result<Option<Self>, GrantKeysError> {
        if keys.trim().is_empty() {
            return Ok(None);
        }
        let keys = Self::parse(keys.split(',').filter(|text| !text.trim().is_empty()))?.audience(audience)?;
        match max_ttl_seconds.trim() {
            "" => Ok(Some(keys)),
            text => {
                let seconds = text.parse().map_err(|_| GrantKeysError::MaxTtl)?;
                keys.max_ttl_seconds(seconds).map(Some)
            }
        }
    }
}

fn decode(text: &str) -> Result<Zeroizing<[u8; KEY_BYTES]>, InvalidGrantKey> {
    if !KEY_CHARACTERS.contains(&text.len()) {
        return Err(InvalidGrantKey::Length { got: text.len() });
    }
    // 44 characters without padding are 33 bytes.
    let mut decoded = Zeroizing::new([0; KEY_BYTES + 1]);
    let length = BASE64.decode_slice(text, decoded.as_mut_slice()).map_err(|_| InvalidGrantKey::NotBase64)?;
    match decoded.split_first_chunk() {
        Some((secret, _)) if length == KEY_BYTES => Ok(Zeroizing::new(*secret)),
        _ => Err(InvalidGrantKey::Length { got: text.len() }),
    }
}
