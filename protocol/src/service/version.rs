//! Canonical semantic versions, `MAJOR.MINOR.PATCH`, and when two of them interoperate. WIRE_PROTOCOL 13.

use std::fmt;
use std::str::FromStr;

/// Version of an application protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Incompatible changes.
    pub major: u32,
    /// Surface changes.
    pub minor: u32,
    /// Everything else; ignored by the gate.
    pub patch: u32,
}

/// A text that is not a canonical version: `MAJOR.MINOR.PATCH`, decimal, no leading zeros, nothing after.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a version MAJOR.MINOR.PATCH without leading zeros, pre-release or build part, got {0:?}")]
pub struct InvalidVersion(pub String);

impl Version {
    /// True when a client of this version may call a server of the other: equal major and minor.
    pub fn interoperates_with(self, other: Self) -> bool {
        (self.major, self.minor) == (other.major, other.minor)
    }
}

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let invalid = || InvalidVersion(text.chars().take(64).collect());
        let mut parts = text.split('.').map(|part| {
            let canonical = !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_digit())
                && (part.len() == 1 || !part.starts_with('0'));
            // Digits alone fail only by being too many.
            canonical.then(|| part.parse::<u32>().unwrap_or(u32::MAX))
        });
        let mut next = || parts.next().flatten().ok_or_else(invalid);
        let version = Self { major: next()?, minor: next()?, patch: next()? };
        if parts.next().is_some() { Err(invalid()) } else { Ok(version) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_only_the_canonical_form() {
        assert_eq!("2.0.13".parse(), Ok(Version { major: 2, minor: 0, patch: 13 }));
        for bad in ["", "1", "1.0", "1.0.0.0", "01.0.0", "1.0.0-rc1", "1.0.0+b", " 1.0.0", "1..0", "+1.0.0"] {
            assert!(bad.parse::<Version>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_patch_does_not_count() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert!(version("1.4.0").interoperates_with(version("1.4.9")));
        assert!(!version("1.4.0").interoperates_with(version("1.5.0")));
        assert!(!version("2.4.0").interoperates_with(version("1.4.0")));
    }
}
