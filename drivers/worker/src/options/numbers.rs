//! Parsers of numbers in flag values. Their errors say what is expected.

use std::num::NonZeroU64;
use std::str::FromStr;

/// Parses a number of bytes.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    number(text, "expected a number of bytes without a unit, such as 1073741824")
}

/// Parses a number of bytes, which is not 0 for any type that excludes it.
pub(super) fn positive_bytes<T: FromStr>(text: &str) -> Result<T, String> {
    number(text, "expected a number of bytes without a unit, such as 1073741824, and at least 1")
}

/// Parses a number of bytes that is not 0.
pub(super) fn nonzero_bytes(text: &str) -> Result<u64, String> {
    positive_bytes(text).map(NonZeroU64::get)
}

/// Parses a number of things.
pub(super) fn count<T: FromStr>(text: &str) -> Result<T, String> {
    number(text, "expected a whole number, at least 0")
}

/// Parses a number of things, which is not 0 for any type that excludes it.
pub(super) fn positive_count<T: FromStr>(text: &str) -> Result<T, String> {
    number(text, "expected a whole number, at least 1")
}

/// Parses a port.
#[cfg(feature = "http")]
pub(super) fn port(text: &str) -> Result<u16, String> {
    number(text, "expected a port of at most 65535")
}

fn number<T: FromStr>(text: &str, expected: &str) -> Result<T, String> {
    text.parse().map_err(|_| expected.to_owned())
}
