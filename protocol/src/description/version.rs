//! Canonical semantic versions, `MAJOR.MINOR.PATCH`, and when two of them are compatible. WIRE_PROTOCOL 13.

use crate::wire::text::Limit;
use std::cmp::Ordering;
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

/// A text that is not a canonical version: `MAJOR.MINOR.PATCH`, decimal, each less than 2^32, no leading zeros, nothing
/// after.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a version MAJOR.MINOR.PATCH of 32-bit numbers without leading zeros, pre-release or build part, got {0:?}"
)]
pub struct InvalidVersion(pub String);

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let invalid = || InvalidVersion(Limit::bytes(64).cut(text));
        let Spelled([major, minor, patch]) = Spelled::parse(text).ok_or_else(invalid)?;
        let number = |digits: &str| digits.parse().map_err(|_| invalid());
        Ok(Self { major: number(major)?, minor: number(minor)?, patch: number(patch)? })
    }
}

/// The three numbers of a canonical version as received, of any length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spelled<'a>([&'a str; 3]);

impl<'a> Spelled<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let canonical = |digits: &&str| {
            !digits.is_empty()
                && digits.bytes().all(|byte| byte.is_ascii_digit())
                && (digits.len() == 1 || !digits.starts_with('0'))
        };
        let mut parts = text.split('.');
        let mut next = || parts.next().filter(canonical);
        let numbers = [next()?, next()?, next()?];
        parts.next().is_none().then_some(Self(numbers))
    }

    /// Compares the major and minor number with those of a version, ignoring the patch. Versions that compare equal are
    /// compatible.
    pub(crate) fn compare_surface(&self, version: Version) -> Ordering {
        let Self([major, minor, _]) = self;
        compare(major, version.major).then_with(|| compare(minor, version.minor))
    }
}

/// Compares canonical digits with a number: without leading zeros the longer one is larger.
fn compare(digits: &str, number: u32) -> Ordering {
    let number = number.to_string();
    digits.len().cmp(&number.len()).then_with(|| digits.cmp(&number))
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
            assert!(Spelled::parse(bad).is_none(), "{bad:?}");
        }
    }

    /// A number that overflows must not be read as the largest one, and thus as equal to others.
    #[test]
    fn numbers_that_do_not_fit_are_compared_and_not_held() {
        let most = Version { major: u32::MAX, minor: 0, patch: 0 };
        assert_eq!("4294967295.0.0".parse(), Ok(most));
        for long in ["4294967296.0.0", "1.4294967296.0", "1.0.4294967296", "66666666666666666666.20.3"] {
            assert!(long.parse::<Version>().is_err(), "{long:?}");
        }
        let compare = |text, version| Spelled::parse(text).unwrap().compare_surface(version);
        assert_eq!(compare("4294967296.0.0", most), Ordering::Greater);
        assert_eq!(compare("4294967295.1.0", most), Ordering::Greater);
        assert_eq!(compare("4294967295.0.99999999999", most), Ordering::Equal);
        let version = Version { major: 10, minor: 20, patch: 30 };
        for (text, order) in [
            ("10.20.0", Ordering::Equal),
            ("9.99.99", Ordering::Less),
            ("10.3.0", Ordering::Less),
            ("10.21.0", Ordering::Greater),
            ("10.100.0", Ordering::Greater),
            ("11.0.0", Ordering::Greater),
        ] {
            assert_eq!(compare(text, version), order, "{text}");
        }
    }

    #[test]
    fn the_patch_does_not_count() {
        let interoperate = |client: &str, server: &str| {
            Spelled::parse(client).unwrap().compare_surface(server.parse().unwrap()).is_eq()
        };
        assert!(interoperate("1.4.0", "1.4.9"));
        assert!(!interoperate("1.4.0", "1.5.0"));
        assert!(!interoperate("2.4.0", "1.4.0"));
    }
}
