//! Text in headers and names: percent-encoding, and checks of its characters.

use thiserror::Error;

/// A percent sign is not followed by two hex digits, or the bytes are not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("expected percent-encoded text")]
pub(crate) struct NotEncoded;

/// Encodes every byte but letters, digits, `-`, `.`, `_` and `~`.
pub(crate) fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Decodes text in which every percent sign begins an escape. A plus sign is kept.
pub(crate) fn percent_decode(text: &str) -> Result<String, NotEncoded> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        match (bytes.next().and_then(hex_digit), bytes.next().and_then(hex_digit)) {
            (Some(high), Some(low)) => decoded.push(high << 4 | low),
            _ => return Err(NotEncoded),
        }
    }
    String::from_utf8(decoded).map_err(|_| NotEncoded)
}

/// Returns the value of a hex digit in either case.
pub(crate) fn hex_digit(byte: u8) -> Option<u8> {
    let value = char::from(byte).to_digit(16)?;
    u8::try_from(value).ok()
}

/// Formats bytes as lowercase hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns whether a text has an ASCII control character.
pub(crate) fn has_control(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_is_that_of_urls_without_reserved_characters() {
        assert_eq!(percent_encode("aZ09-._~ /:é"), "aZ09-._~%20%2F%3A%C3%A9");
        assert_eq!(percent_decode("aZ09-._~%20%2F%3a%C3%A9+").unwrap(), "aZ09-._~ /:é+");
    }

    #[test]
    fn escapes_are_whole() {
        for text in ["%", "%4", "%4g", "%g4", "a%", "%+4", "%ff"] {
            assert_eq!(percent_decode(text), Err(NotEncoded), "{text}");
        }
    }
}
