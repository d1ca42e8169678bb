//! Reads the keys that seal HTTP's tokens from a file or the environment. No error repeats what was read.

use std::env::{self, VarError};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;
use vgi_rpc_protocol::OneLine;
use vgi_rpc_protocol::http::token::{InvalidKey, KeyRing, TokenKey};
use zeroize::Zeroizing;

/// The variable with the keys.
pub(crate) const VARIABLE: &str = "VGI_RPC_TOKEN_KEYS";

/// The keys could not be read. No error contains any part of a key.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TokenKeysError {
    /// The file cannot be read.
    #[error("the token keys cannot be read: {path}: {error}", path = OneLine(path.display()))]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// There is no key in a place where at least one was expected.
    #[error("expected a token key of 64 hexadecimal digits in {0}, got none")]
    Missing(String),
    /// A key is invalid.
    #[error("key {number} in {place}: {error}")]
    Invalid {
        /// The file or the variable.
        place: String,
        /// The key's number, counted from 1.
        number: usize,
        /// The cause.
        error: InvalidKey,
    },
}

/// Reads the keys in the file, one per line; or else those in the environment, separated by commas. The first one seals tokens,
/// and all of them open tokens.
///
/// # Errors
/// If the file or the variable has no key, or an invalid one.
pub(crate) fn read(file: Option<&Path>) -> Result<Option<KeyRing>, TokenKeysError> {
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|error| TokenKeysError::Read { path: path.to_owned(), error })?;
        return parse(text.lines(), &OneLine(path.display()).to_string()).map(Some);
    }
    match env::var(VARIABLE).map(Zeroizing::new) {
        Ok(text) => parse(text.split(','), VARIABLE).map(Some),
        Err(VarError::NotPresent) => Ok(None),
        // The variable's value is not UTF-8, so none of its parts is a key.
        Err(VarError::NotUnicode(_)) => Err(TokenKeysError::Missing(VARIABLE.to_owned())),
    }
}

fn parse<'a>(texts: impl Iterator<Item = &'a str>, place: &str) -> Result<KeyRing, TokenKeysError> {
    let mut keys = texts.map(str::trim).filter(|text| !text.is_empty()).enumerate().map(|(index, text)| {
        TokenKey::from_hex(text).map_err(|error| TokenKeysError::Invalid {
            place: place.to_owned(),
            number: index.saturating_add(1),
            error,
        })
    });
    let first = keys.next().unwrap_or_else(|| Err(TokenKeysError::Missing(place.to_owned())))?;
    Ok(KeyRing::new(first, keys.collect::<Result<Vec<_>, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let error = parse(text.lines(), "keys.txt").unwrap_err();
        format!("{error} {error:?}")
    }

    #[test]
    fn keys_are_read_line_by_line() {
        let (one, other) = ("0f".repeat(32), "a1".repeat(32));
        let ring = parse(format!("\n {one}\r\n\n{other}\n").lines(), "keys.txt").unwrap();
        assert_eq!(format!("{ring:?}"), "KeyRing { first: TokenKey(..), others: [TokenKey(..)] }");
    }

    #[test]
    fn what_is_not_a_key_is_named_by_its_place_and_not_repeated() {
        assert!(error(" \n").contains("in keys.txt, got none"));
        let key = "0f".repeat(32);
        let message = error(&format!("{key}\n5ecre7\n"));
        assert!(message.starts_with("key 2 in keys.txt: expected a token key of 64"), "{message}");
        assert!(!message.contains("5ecre7") && !message.contains("0f0f"), "{message}");
    }
}
