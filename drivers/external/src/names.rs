//! The names of objects in a bucket: a prefix, and a random or content-derived name.

use std::fmt::Write as _;
use thiserror::Error;
use vgi_rpc_protocol::external::Object;

/// The default prefix, as in the canonical implementation.
pub const DEFAULT_PREFIX: &str = "vgi-rpc/";
/// The maximum length of a prefix. Stores accept names of 1024 bytes; after the prefix, a name has at most 100.
const MAX_PREFIX_BYTES: usize = 900;
/// The number of bytes of a random name, so that it cannot be guessed and is unique.
const RANDOM_BYTES: usize = 16;

/// How objects are named. The default is a random name below [`DEFAULT_PREFIX`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectNames {
    prefix: String,
    by_content: bool,
}

/// Why objects cannot be named.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// The prefix cannot be part of a URL's path unchanged, or is too long.
    #[error(
        "expected a prefix of at most {MAX_PREFIX_BYTES} bytes without control characters, backslashes, a slash at its start, \
         and empty segments or segments '.' and '..', got {0:?}"
    )]
    Prefix(String),
    /// The system returned no random bytes.
    #[error("the system returned no random bytes: {0}")]
    Random(String),
}

impl Default for ObjectNames {
    fn default() -> Self {
        Self { prefix: DEFAULT_PREFIX.to_owned(), by_content: false }
    }
}

impl ObjectNames {
    /// Each object has a random name of 32 hexadecimal digits after the prefix, and an extension: `.arrow`, `.arrow.zst` or
    /// `.arrow.gz`. The prefix may be empty; for a folder, it must end with a slash.
    ///
    /// # Errors
    /// If the prefix is invalid.
    pub fn random(prefix: impl Into<String>) -> Result<Self, NameError> {
        Self::new(prefix.into(), false)
    }

    /// An object's name consists of its digest, length and coding, so that equal batches have the same name and are stored once.
    ///
    /// Anyone who knows a batch can compute its name. That grants no access, but a user who may list names, or test whether an
    /// object exists, learns whether that batch was stored.
    ///
    /// # Errors
    /// If the prefix is invalid.
    pub fn by_content(prefix: impl Into<String>) -> Result<Self, NameError> {
        Self::new(prefix.into(), true)
    }

    fn new(prefix: String, by_content: bool) -> Result<Self, NameError> {
        let is_valid = prefix.len() <= MAX_PREFIX_BYTES
            && !prefix.contains(|letter: char| letter.is_control() || letter == '\\')
            && (prefix.is_empty() || are_segments(prefix.strip_suffix('/').unwrap_or(&prefix)));
        if is_valid { Ok(Self { prefix, by_content }) } else { Err(NameError::Prefix(prefix)) }
    }

    /// Returns the prefix of all names.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether equal objects have the same name.
    pub const fn are_by_content(&self) -> bool {
        self.by_content
    }

    /// Returns the name of an object to store.
    ///
    /// # Errors
    /// If the name is random and the system returns no random bytes.
    pub fn of_object(&self, object: &Object) -> Result<String, NameError> {
        let extension = object.coding.map_or("", |coding| match coding.as_str() {
            "zstd" => ".zst",
            "gzip" => ".gz",
            _ => ".coded",
        });
        if self.by_content {
            let (prefix, sha256, len) = (&self.prefix, object.sha256, object.len);
            return Ok(format!("{prefix}sha256-{sha256}-{len}.arrow{extension}"));
        }
        Ok(self.of_upload()? + extension)
    }

    /// Returns a random name, for an object that a client uploads: its content is not known yet.
    ///
    /// # Errors
    /// If the system returns no random bytes.
    pub fn of_upload(&self) -> Result<String, NameError> {
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random).map_err(|error| NameError::Random(error.to_string()))?;
        let mut name = self.prefix.clone();
        for byte in random {
            // Writing to a string cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        name.push_str(".arrow");
        Ok(name)
    }
}

/// Whether all segments of a path are valid: not empty, and not changed by a URL parser.
fn are_segments(path: &str) -> bool {
    path.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_uploads_are_random_and_below_the_prefix() {
        let names = ObjectNames::default();
        let (one, other) = (names.of_upload().unwrap(), names.of_upload().unwrap());
        assert_ne!(one, other);
        let digits = one.strip_prefix("vgi-rpc/").and_then(|name| name.strip_suffix(".arrow")).unwrap();
        assert!(digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one}");
    }

    #[test]
    fn a_prefix_that_a_url_would_change_is_refused() {
        for prefix in ["", "a", "a/", "a/b c/", "ü/", "a.b/..c/"] {
            assert_eq!(ObjectNames::random(prefix).unwrap().prefix(), prefix);
        }
        let long = "x".repeat(901);
        for prefix in ["/", "/a", "a//", "a//b", "../a", "a/./b", "a/..", "a\\b", "a\nb", &long] {
            assert_eq!(ObjectNames::by_content(prefix), Err(NameError::Prefix(prefix.into())), "{prefix}");
        }
    }
}
